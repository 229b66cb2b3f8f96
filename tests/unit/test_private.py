"""What lies in the data folder is for this user alone, and no module of a stranger is run as ours."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from infra.child import start_child
from infra.kafka.properties import server_properties
from infra.llm import locate, process
from infra.vllm import server as vllm
from workers.adapters.playbook.check_cache import Stamps
from workers.commands.run.up import pid_file
from workers.core.errors import Misconfigured, Unavailable
from workers.local.supervisor import worker_command
from workers.private_files import new_folder, private_folder, private_text
from workers.settings import Settings


@pytest.fixture(autouse=True)
def _usual_umask() -> object:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def open_to_others(folder: Path) -> list[str]:
    """What others could read below a folder, and the folder itself."""
    return [str(path) for path in [folder, *folder.rglob("*")] if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_a_folder_is_made_with_its_parents_for_this_user_alone(tmp_path: Path) -> None:
    private_folder(tmp_path / "a" / "b")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == ("0o700", "0o700")


def test_ours_of_an_earlier_version_is_closed_a_shared_one_and_a_chosen_one_are_left(tmp_path: Path) -> None:
    for name, bits in (("ours", 0o755), ("shared", 0o1777), ("chosen", 0o750)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(bits)
    private_folder(tmp_path / "ours")
    private_folder(tmp_path / "shared")
    new_folder(tmp_path / "chosen")
    assert [mode(tmp_path / name) for name in ("ours", "shared", "chosen")] == ["0o700", "0o1777", "0o750"]


def test_a_file_that_was_open_is_closed_when_it_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("1")
    private_text(tmp_path / "port", "2")
    assert ((tmp_path / "port").read_text(), mode(tmp_path / "port")) == ("2", "0o600")


def test_whatever_a_child_writes_is_private(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "data")
    body = (
        f"import pathlib; p = pathlib.Path({str(folder)!r}); (p / 'x').mkdir(); (p / 'x' / 'y').touch(); print('said')"
    )
    child = start_child([sys.executable, "-c", body], output=folder / "log")
    assert child.wait(30) == 0
    assert (folder / "log").read_text() == "said\n"
    assert open_to_others(folder) == []


def test_commands_leave_nothing_open_in_the_data_folder(tmp_path: Path) -> None:
    folder = tmp_path / ".attune"
    with pid_file(Settings(data_dir=str(folder))):
        Stamps(folder / "checked").put("v")
    assert (mode(folder), mode(folder / "up.pid"), mode(folder / "checked")) == ("0o700", "0o600", "0o700")


@pytest.mark.slow
def test_a_workers_own_files_are_private(tmp_path: Path) -> None:
    body = (
        "import os, pathlib, workers.main as main\n"
        "main.WorkerMetrics = lambda: pathlib.Path(os.environ['WHERE']).write_text('state') and os._exit(0)\n"
        "from workers.settings import Settings\nmain.run('deliver', Settings())"
    )
    where = tmp_path / "state"
    subprocess.run([sys.executable, "-c", body], env={**os.environ, "WHERE": str(where)}, check=True, timeout=60)
    assert mode(where) == "0o600"


def test_vllm_works_in_a_folder_of_its_own_and_refuses_a_shared_one(tmp_path: Path) -> None:
    named, own = vllm.working_folder(tmp_path / "llm"), vllm.working_folder(None)
    assert (mode(named), mode(own)) == ("0o700", "0o700")
    own.rmdir()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    with pytest.raises(Misconfigured, match="shared"):
        vllm.working_folder(tmp_path / "shared")


def test_the_starter_names_the_folder_of_the_llm_below_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(locate.CHILDREN, "embedded", ("infra.no_such_module", 60.0))
    with pytest.raises(Unavailable):
        locate.LlmServer.start(Settings(data_dir=str(tmp_path / "data")))
    assert open_to_others(tmp_path / "data") == []
    assert (tmp_path / "data" / "llm").is_dir()


OPTIONS = process.Options(host="127.0.0.1", port=1, slots=1, context_tokens=256)
STRANGER = "import pathlib, sys; pathlib.Path(__file__).with_name('ran').touch()\n"


@pytest.mark.parametrize(
    "command",
    [
        worker_command("intake"),
        (sys.executable, "-P", "-m", "infra.llm.server", "--slots", "0"),
        tuple(vllm.command(Path(sys.executable), Path("model"), OPTIONS)),
    ],
    ids=["worker", "embedded", "vllm"],
)  # fmt: skip
def test_no_module_of_the_folder_one_stands_in_is_run(command: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("torch", "vllm", "click", "xllamacpp", "workers", "infra", "msgspec"):
        (tmp_path / f"{name}.py").write_text(STRANGER)
    strange = {"PATH": os.environ["PATH"], "ATTUNE_CLOCK": "moon"}  # each ends at once, by its own refusal
    done = subprocess.run(command, cwd=tmp_path, env=strange, capture_output=True, check=False, timeout=60)
    assert done.returncode != 0
    assert not (tmp_path / "ran").exists(), done.stderr
    without = [argument for argument in command if argument != "-P"]
    subprocess.run(without, cwd=tmp_path, env=strange, capture_output=True, check=False, timeout=60)
    assert (tmp_path / "ran").exists(), "the counterpart: without -P it is"


def test_what_vllm_starts_does_not_import_from_there_either() -> None:
    assert vllm.environment({})["PYTHONSAFEPATH"] == "1"


def test_the_embedded_broker_is_reached_from_this_machine_only() -> None:
    listeners = server_properties(Path("/data"), 9092, 9093)["listeners"].split(",")
    assert [listener.partition("://")[2].partition(":")[0] for listener in listeners] == ["127.0.0.1"] * 2
