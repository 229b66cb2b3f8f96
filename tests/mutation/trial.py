"""Runs tests on a module and on its mutants, each in a separate process, forked from one that has loaded the libraries.

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
#: Exit codes of a trial in addition to pytest's.
INVALID, TIMEOUT = 64, 65
_OPTIONS = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:warnings", "-m", "not kafka and not slow"]


class Baseline(msgspec.Struct):
    """The tests of a module without a mutant: the time of each test [s], and the lines of the module that it runs."""

    took_s: dict[str, float] = {}
    lines: dict[str, list[int]] = {}
    rc: int = 0

    def through(self, line: int) -> list[str]:
        """Returns the tests that run a line, fastest first; all tests if none does, as the line may run during the import."""
        found = [test for test, lines in self.lines.items() if line in lines]
        return sorted(found or self.took_s, key=self.took_s.__getitem__)


class _Watching:
    """Records lines and time of each test."""

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
    """Runs only these tests, in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._order = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._order), key=lambda item: self._order[item.nodeid]
        )


class _Mutated(importlib.machinery.SourceFileLoader):
    """Loads one module from a changed syntax tree."""

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
    """Imports the libraries of the tests, once for all trials."""
    for name in ("hypothesis", "msgspec", "yaml", "jinja2", "aiohttp", "rich", "click", "confluent_kafka", "lingua"):
        __import__(name)


def baseline(path: Path, files: Sequence[str], limit_s: float) -> Baseline:
    """Runs all tests of `files` on the unchanged module."""
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
    """Runs these tests on one mutant; returns 0 if all pass, INVALID if it cannot be loaded, TIMEOUT after `limit_s`."""

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

    # Failing examples of a mutant are neither stored nor shrunk.
    settings.register_profile(
        "mutation", database=None, derandomize=True, deadline=None, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutation")
    return int(pytest.main([*_OPTIONS, *files], plugins=plugins))


def _forked(work: Callable[[], int], limit_s: float) -> int:
    """Runs `work` in a silent child process; returns its exit code, or TIMEOUT if it was killed after `limit_s`."""
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
