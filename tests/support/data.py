"""Locates the public data sets of the maintainers, if they are available."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def data_file(name: str) -> Path:
    """Returns the file, or skips the test naming what is missing. ATTUNE_TEST_DATA names the folder."""
    folder = Path(os.environ.get("ATTUNE_TEST_DATA", _ROOT.parent / "shared" / "data"))
    if not (folder / name).exists():
        pytest.skip(f"the data set {name} is not in {folder} (set ATTUNE_TEST_DATA)")
    return folder / name
