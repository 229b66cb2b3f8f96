"""Children that die are started again, ever more slowly, and a person is told once why."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from workers.adapters.process.exit_codes import Exit, code_of, describe_exit
from workers.core.errors import Fatal, Fenced, Misconfigured, Unavailable
from workers.local.supervisor import Role
from workers.settings import Settings

CHILD = """
import pathlib, sys, time
order = pathlib.Path(sys.argv[1])
what = order.read_text()
print(f"12:00:00 intake CRITICAL lane 0 ends the worker: {what}", flush=True)
print("  File lanes.py, line 1 in run", flush=True)
if what.startswith("exit"):
    sys.exit(int(what.split()[1]))
while True:
    time.sleep(0.01)
    if order.read_text() != what:
        sys.exit(int(order.read_text().split()[1]))
"""


class Child:
    """A role whose child does what a file says, and whose time is a number."""

    def __init__(self, folder: Path) -> None:
        self.now_s = 0.0
        self.order = folder / "order"
        script = folder / "child.py"
        script.write_text(CHILD)
        self.role = Role(
            "intake",
            Settings(data_dir=str(folder)),
            lambda _role: (sys.executable, str(script), str(self.order)),
            lambda: self.now_s,
        )

    def ends(self, code: int) -> str | None:
        """What is said when the running or next child has ended with this code."""
        self.order.write_text(f"exit {code}")
        if self.role.restarts == 0 and self.role._process is None:
            self.role.start()
        wait_until(lambda: self.role.pid is None, 20, "the child's end")
        return self.role.poll()

    def pause_s(self) -> float:
        """Lets time pass until the next child is started; returns how long that took."""
        began_s, restarts = self.now_s, self.role.restarts
        while self.role.restarts == restarts:
            self.role.poll()
            if self.role.restarts == restarts:
                self.now_s += 0.25
        return self.now_s - began_s


@pytest.fixture
def child(tmp_path: Path) -> Child:
    return Child(tmp_path)


def test_the_reason_is_the_code_in_words_and_the_last_critical_line(child: Child) -> None:
    said = child.ends(Exit.STALLED) or ""
    assert "intake ended with code 81: it hung, and its watchdog ended it" in said
    assert "lane 0 ends the worker" in said
    assert child.role.poll() == "intake was restarted"


def test_pauses_grow_and_a_role_that_keeps_dying_is_tried_with_the_longest_and_explained_once(child: Child) -> None:
    said, pauses = [], []
    for _ in range(8):
        said.append(child.ends(Exit.SOFTWARE))
        pauses.append(child.pause_s())
    assert pauses == [0.0, 0.5, 1.0, 2.0, 30.0, 30.0, 30.0, 30.0]
    assert [line is not None for line in said] == [True] * 5 + [False] * 3
    assert "keeps ending" in (said[4] or "")
    assert "every 30 s" in (said[4] or "")
    assert child.ends(Exit.FENCED), "another reason is told"
    assert child.pause_s() == 30.0
    assert child.ends(Exit.FENCED) is None


def test_a_role_that_has_recovered_is_announced_and_starts_at_once_again(child: Child) -> None:
    for _ in range(6):
        child.ends(Exit.SOFTWARE)
        child.order.write_text("stay")
        child.pause_s()
    assert child.role.poll() is None
    child.now_s += 61.0
    assert child.role.poll() == "intake has recovered"
    assert child.role.poll() is None
    assert "code 70" in (child.ends(Exit.SOFTWARE) or "")
    assert child.pause_s() == 0.0


def test_a_slow_series_of_ends_is_told_each_time(child: Child) -> None:
    for _ in range(7):
        said = child.ends(Exit.SOFTWARE)
        assert said is not None
        assert "keeps ending" not in said
        child.order.write_text("stay")
        assert child.pause_s() == 0.0
        child.now_s += 61.0


def test_a_wrong_configuration_is_not_tried_again(child: Child) -> None:
    with pytest.raises(Unavailable, match="intake refuses to start"):
        child.ends(Exit.MISCONFIGURED)


def test_its_cure_is_said_once(child: Child) -> None:
    refused = Misconfigured("in use.", "set another port, or 0")
    child.order.write_text(f"exit {Exit.MISCONFIGURED:d} {refused}")
    child.role.start()
    wait_until(lambda: child.role.pid is None, 20, "the child's end")
    with pytest.raises(Unavailable) as caught:
        child.role.poll()
    assert str(caught.value).endswith(f"78 in use. Hint: set another port, or 0; its log is {child.role.log}")
    assert str(caught.value).count("Hint:") == 1


def test_where_it_serves_its_metrics_is_read_from_its_log(child: Child) -> None:
    assert child.role.metrics_url is None
    child.role.log.parent.mkdir(parents=True, exist_ok=True)
    child.role.log.write_text("starting\n12:00:00 intake INFO x: metrics on http://127.0.0.1:40123/metrics\nmore\n")
    assert child.role.metrics_url == "http://127.0.0.1:40123/metrics"


@pytest.mark.parametrize(
    ("error", "code"),
    [(Fenced("x"), 83), (Misconfigured("x"), 78), (Unavailable("x"), 1), (Fatal("x"), 70), (ValueError(), 70)],
)
def test_an_error_has_its_code(error: Exception, code: int) -> None:
    assert code_of(error) == code


@pytest.mark.parametrize("code", [*Exit, 99, 127])
def test_every_code_has_words(code: int) -> None:
    assert describe_exit(code).startswith(f"code {int(code)}: ")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-9, "signal SIGKILL: killed by someone, or out of memory"),
        (-15, "signal SIGTERM"),
        (5, "code 5"),
        (-99, "signal 99"),
    ],
)
def test_signals_and_unknown_codes_are_named(code: int, words: str) -> None:
    assert describe_exit(code) == words
