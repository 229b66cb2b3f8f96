"""Whatever is installed is known by its hash: nobody on the way, no mirror and no registry can slip another file in."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))


def environment() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment", ROOT / "infra" / "setup" / "environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_of_a_lock_has_hashes(lock: Path) -> None:
    packages = re.split(r"\n(?=\S)", lock.read_text().strip())
    without = [package.split("\n")[0] for package in packages if "--hash=sha256:" not in package and package[0] != "#"]
    assert packages
    assert without == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-vllm.lock"])
def test_the_set_up_installs_nothing_without_hashes(lock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = environment()
    ran: list[list[str]] = []
    monkeypatch.setattr(module, "run", ran.append)
    monkeypatch.setattr(module.venv, "create", lambda *_, **__: None)
    arguments = ["environment", "--venv", str(tmp_path), "--lock", str(ROOT / lock), "--no-deps-lock", str(LOCKS[0])]
    monkeypatch.setattr("sys.argv", arguments)
    assert module.main() == 0
    own = [command for command in ran if "-e" in command]
    assert [command for command in ran if command not in own and "--require-hashes" not in command] == []
    assert ("pip" in ran[0], str(module.TOOLS) in ran[0]) == (True, True)
    for command in own:  # builds with the setuptools that is installed, and fetches nothing
        assert {"--no-deps", "--no-build-isolation"} <= set(command)
    assert len(own) == (lock == "requirements.lock")


def test_the_tool_that_builds_our_package_is_the_pinned_one() -> None:
    required = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    assert [f"\n{name} " in "\n" + environment().TOOLS.read_text() for name in required] == [True]


def test_no_script_installs_a_package_by_name_alone() -> None:
    scripts = [
        *(ROOT / "infra").rglob("*.sh"),
        *(ROOT / "infra").rglob("Dockerfile"),
        ROOT / "Makefile",
        ROOT / ".ci" / "run",
    ]
    for script in scripts:
        text = script.read_text().replace("\\\n", " ")
        for line in text.splitlines():
            if re.search(r"\bpip install\b", line):
                assert "--require-hashes" in line, (script.name, line)
