"""A playbook that has been checked is not checked again, until it or the code that checks is another."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.playbooks import REES46, copy_of
from workers.adapters.playbook import check_cache, loader
from workers.adapters.playbook.check_cache import Stamps
from workers.adapters.playbook.loader import load
from workers.core.errors import Misconfigured


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_of(REES46, tmp_path / "rees46")


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that have been checked whole."""
    folders, examine = list[Path](), loader.examine

    def spy(folder: Path) -> object:
        folders.append(folder)
        return examine(folder)

    monkeypatch.setattr(loader, "examine", spy)
    return folders


def test_the_second_load_gives_the_same_playbook_without_a_check(
    folder: Path, tmp_path: Path, examined: list[Path]
) -> None:
    first = load(folder, Stamps(tmp_path / "checked"))
    assert load(folder, Stamps(tmp_path / "checked")) == first
    assert examined == [folder]
    assert load(folder) == first
    assert examined == [folder, folder], "without stamps every load checks"


def test_a_changed_playbook_is_checked_and_refused(folder: Path, tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "checked")
    load(folder, stamps)
    template = folder / "templates" / "en" / "cart-abandonment.yaml"
    template.write_text(template.read_text().replace("body: ", "body: Guaranteed 99% off! ", 1))
    for _ in range(2):  # what was refused is not remembered as right
        with pytest.raises(Misconfigured, match="guardrail"):
            load(folder, stamps)


def test_other_code_checks_again(
    folder: Path, tmp_path: Path, examined: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stamps = Stamps(tmp_path / "checked")
    load(folder, stamps)
    monkeypatch.setattr(check_cache, "_code", lambda: "another release")
    load(folder, stamps)
    assert examined == [folder, folder]


def test_a_place_that_cannot_be_written_to_costs_the_check_and_nothing_else(
    folder: Path, tmp_path: Path, examined: list[Path]
) -> None:
    (tmp_path / "file").touch()
    stamps = Stamps(tmp_path / "file" / "checked")
    assert load(folder, stamps) == load(folder, stamps)
    assert examined == [folder, folder]
