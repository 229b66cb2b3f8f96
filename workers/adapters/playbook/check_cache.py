"""Remembers which playbooks have been checked whole: a worker that starts again does not check what has not changed."""

from __future__ import annotations

import contextlib
from functools import cache
from hashlib import sha256
from pathlib import Path

import jinja2

import schemas
from workers.private_files import private_folder

_HERE = Path(__file__).resolve().parent
_CORE = _HERE.parents[1] / "core"
_DIGITS = 16


class Stamps:
    """Empty files in a folder, each named after a playbook's version and the code that has checked it.

    Several workers may share the folder. One that cannot be written to forgets, and every start checks again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, version: str) -> bool:
        """Returns whether this code has found no mistake in this version of a playbook."""
        return (self._folder / _name(version)).is_file()

    def put(self, version: str) -> None:
        """To be called when the whole playbook has been looked at without a mistake."""
        with contextlib.suppress(OSError):
            private_folder(self._folder)
            (self._folder / _name(version)).touch()


def _name(version: str) -> str:
    return f"{version}-{_code()}"


@cache
def _code() -> str:
    """Over everything that a check depends on: another guardrail, word list or release of Jinja may find another mistake."""
    digest = sha256(jinja2.__version__.encode())
    files = [*_CORE.rglob("*.py"), *_CORE.rglob("*.txt"), *_HERE.rglob("*.py")]
    for path in sorted([*files, *(Path(folder) / "messages.py" for folder in schemas.__path__)]):
        digest.update(path.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:_DIGITS]
