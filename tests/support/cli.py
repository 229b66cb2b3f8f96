"""Runs the `attune` command like a user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.workers import ROOT
from workers.settings import Settings, to_environment


def attune(
    settings: Settings, *arguments: str, timeout_s: float = 240.0, code: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end; fails the test with its output if it exits with another code."""
    finished = subprocess.run(
        [sys.executable, "-m", "workers.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, **to_environment(settings), **environment},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert finished.returncode == code, f"{finished.returncode}\n{finished.stdout[-3000:]}\n{finished.stderr[-3000:]}"
    return finished


def replay(
    settings: Settings, file: Path, file_format: str, folder: Path, *arguments: str, prefix: str
) -> dict[str, Any]:
    """Runs `attune replay` with a prefix; returns its report."""
    report = folder / f"report-{prefix}json"
    options = ("--format", file_format, "--prefix", prefix, "--report", str(report))
    attune(settings, "replay", str(file), *options, *arguments)
    loaded: dict[str, Any] = json.loads(report.read_text())
    return loaded
