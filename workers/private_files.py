"""Creates folders and files that only this user can read, because the data folder contains customer data."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

#: Denies all other users access to everything that our processes create.
UMASK = 0o077


def private_folder(path: Path) -> Path:
    """Returns the folder; creates it and missing parents, readable by this user only. Existing parents keep their mode.

    If this user owns the folder already (from an earlier version), access is removed from others. A shared folder (sticky, such
    as /tmp) or another user's is left unchanged. Raises OSError if it cannot be created.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    status = path.stat()
    if status.st_mode & UMASK and not status.st_mode & stat.S_ISVTX and status.st_uid == os.geteuid():
        path.chmod(0o700)
    return path


def new_folder(path: Path) -> Path:
    """Does the same as `private_folder`, but leaves an existing folder's mode unchanged: it may have been set on purpose."""
    return path if path.is_dir() else private_folder(path)


def private_open(path: Path, mode: str) -> IO[str]:
    """Opens a text file that only this user can read, even if it existed with another mode."""
    file = open(path, mode, opener=_create, encoding="utf-8")  # noqa: SIM115 - Path.open takes no opener; the caller closes it
    os.fchmod(file.fileno(), 0o600)
    return file


def private_text(path: Path, text: str) -> None:
    """Writes a file that only this user can read."""
    with private_open(path, "w") as file:
        file.write(text)


def _create(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
