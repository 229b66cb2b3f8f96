"""Folders and files for this user alone: what lies in the data folder is about customers."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

#: What a process of ours creates, no other user of the machine may read.
UMASK = 0o077


def private_folder(path: Path) -> Path:
    """The folder, created with its missing parents for this user alone. Parents that are there keep their mode.

    One of ours from an earlier version is closed to others. A shared one (sticky, as /tmp) or another user's is left as it is.
    Raises OSError when it cannot be created.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    found = path.stat()
    if found.st_mode & UMASK and not found.st_mode & stat.S_ISVTX and found.st_uid == os.geteuid():
        path.chmod(0o700)
    return path


def new_folder(path: Path) -> Path:
    """As `private_folder`; one that is there keeps its mode, for somebody else may have chosen it."""
    return path if path.is_dir() else private_folder(path)


def private_open(path: Path, mode: str) -> IO[str]:
    """A text file that only this user can read, also if it was there with another mode."""
    file = open(path, mode, opener=_create, encoding="utf-8")  # noqa: SIM115 - Path.open knows no opener; the caller closes
    os.fchmod(file.fileno(), 0o600)
    return file


def private_text(path: Path, text: str) -> None:
    """Writes a file that only this user can read."""
    with private_open(path, "w") as file:
        file.write(text)


def _create(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
