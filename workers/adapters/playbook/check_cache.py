"""Caches which playbooks have passed all checks, so that a restarted worker does not check an unchanged one again."""

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
    """Empty files in a folder, each named after a playbook's version and the version of the code that checked it.

    Several workers may share the folder. If it is not writable nothing is cached, and every start checks again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, version: str) -> bool:
        """Returns whether this version of the code has found no mistake in this version of a playbook."""
        return (self._folder / _name(version)).is_file()

    def put(self, version: str) -> None:
        """Records that the whole playbook was checked without finding a mistake."""
        with contextlib.suppress(OSError):
            private_folder(self._folder)
            (self._folder / _name(version)).touch()


def _name(version: str) -> str:
    return f"{version}-{_code()}"


@cache
def _code() -> str:
    """Returns a hash of everything that a check depends on.

    Another guardrail, word list or Jinja release may find other mistakes.
    """
    digest = sha256(jinja2.__version__.encode())
    files = [*_CORE.rglob("*.py"), *_CORE.rglob("*.txt"), *_HERE.rglob("*.py")]
    for path in sorted([*files, *(Path(folder) / "messages.py" for folder in schemas.__path__)]):
        digest.update(path.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:_DIGITS]
