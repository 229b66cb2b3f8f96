"""Runs tests on a module as it is, and on its mutants: each in a process of its own, forked from one that has the libraries.

Nothing of the product or the tests may be imported in the parent: a mutant must be there before anybody imports it.
"""

from __future__ import annotations

import ast
import importlib.machinery
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Exit codes of a trial beside pytest's own.
INVALID, TIMEOUT = 64, 65
_OPTIONS = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:warnings", "-m", "not kafka and not slow"]


class Baseline(msgspec.Struct):
    """What the tests of a module do without a mutant: how long each takes [s], and which lines of the module it runs."""

    took_s: dict[str, float] = {}
    lines: dict[str, list[int]] = {}
    rc: int = 0

    def through(self, line: int) -> list[str]:
        """The tests that run a line, the quickest first; all where none does, for then it may run while modules load."""
        found = [test for test, lines in self.lines.items() if line in lines]
        return sorted(found or self.took_s, key=self.took_s.__getitem__)


class _Watching:
    """Notes lines and times of each test."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lines: set[int] = set()
        self.found = Baseline()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._lines = set()
        began_s = time.monotonic()
        sys.settrace(self._trace)
        yield
        sys.settrace(None)
        self.found.took_s[item.nodeid] = time.monotonic() - began_s
        self.found.lines[item.nodeid] = sorted(self._lines)

    def _trace(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        del event, argument
        return self._line if frame.f_code.co_filename == self._path else None

    def _line(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        del argument
        if event == "line":
            self._lines.add(frame.f_lineno)
        return self._line


class _Chosen:
    """Leaves out all tests but these, and runs them in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._order = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order), key=lambda item: self._order[item.nodeid]
        )


class _Mutated(importlib.machinery.SourceFileLoader):
    """Loads one module from a changed tree."""

    def __init__(self, module: str, path: str, code: CodeType) -> None:
        super().__init__(module, path)
        self._code = code

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> Any:
        del path, target
        return spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        del fullname
        return self._code


def preload() -> None:
    """Imports the libraries that tests use, once for all trials."""
    for name in ("hypothesis", "msgspec", "yaml", "jinja2", "aiohttp", "rich", "click", "confluent_kafka", "lingua"):
        __import__(name)


def baseline(path: Path, files: Sequence[str], limit_s: float) -> Baseline:
    """Runs all tests of `files` on the module as it is."""
    kept = ROOT / ".cache" / "mutation" / f"{os.getpid()}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.unlink(missing_ok=True)

    def work() -> int:
        watching = _Watching(str(path))
        rc = _pytest(files, [watching])
        watching.found.rc = rc
        kept.write_bytes(msgspec.json.encode(watching.found))
        return rc

    rc = _forked(work, limit_s)
    found = msgspec.json.decode(kept.read_bytes(), type=Baseline) if kept.exists() else Baseline(rc=rc)
    kept.unlink(missing_ok=True)
    return found


def trial(
    module: str, path: Path, tree: ast.Module, make: Callable[[], None], tests: Sequence[str], limit_s: float
) -> int:
    """Runs these tests on one mutant; returns 0 where all pass, INVALID where it is no program, TIMEOUT after `limit_s`."""

    def work() -> int:
        make()
        try:
            code = compile(tree, str(path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError, TypeError):
            return INVALID
        sys.meta_path.insert(0, _Mutated(module, str(path), code))
        return _pytest(sorted({test.partition("::")[0] for test in tests}), [_Chosen(tests)])

    return _forked(work, limit_s)


def _pytest(files: Sequence[str], plugins: list[object]) -> int:
    from hypothesis import Phase, settings

    # Nothing is kept of what a mutant breaks, and nothing made small.
    settings.register_profile(
        "mutation", database=None, derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutation")
    return int(pytest.main([*_OPTIONS, *files], plugins=plugins))


def _forked(work: Callable[[], int], limit_s: float) -> int:
    """The exit code of `work` in a silent child; TIMEOUT if it was ended after `limit_s`."""
    child = os.fork()
    if child == 0:
        rc = 70
        try:
            os.setsid()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nowhere, stream)
            rc = work()
        finally:
            os._exit(rc)
    ends_s = time.monotonic() + limit_s
    while time.monotonic() < ends_s:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return TIMEOUT
