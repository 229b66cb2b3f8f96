"""Formats the storage folder of the embedded broker, once, completely or not at all."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.child import start_child
from infra.kafka.startup import StartFailed


def format_storage(
    run_java: Sequence[str], data: Path, properties_for: Callable[[Path], Path], output: Path, timeout_s: float
) -> None:
    """Creates `data`, formatted for a one-node cluster with a new random ID.

    `properties_for` writes the `server.properties` of a folder and returns its path. The work is done in a folder next to it
    and renamed to `data` at the end, so an interrupted start leaves no half-formatted folder. Raises StartFailed; the
    reason is in the file `output`.
    """
    unfinished = data.with_name(data.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    process = start_child(
        [
            *(*run_java, "kafka.tools.StorageTool", "format", "--standalone"),
            *("--cluster-id", new_cluster_id(), "--config", str(properties_for(unfinished))),
        ],
        output=output,
    )
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired as error:
        raise StartFailed(f"formatting {data} did not finish within {timeout_s:.0f} s") from error
    finally:
        process.kill()
    if code != 0:
        raise StartFailed(f"formatting {data} failed with exit code {code}")
    unfinished.rename(data)


def new_cluster_id() -> str:
    """Returns 16 random bytes in URL-safe base64, as Kafka requires, without dashes: a leading one would look like an option."""
    return secrets.token_urlsafe(16).replace("-", "A")


def cluster_id(data: Path) -> str:
    """Returns the ID that `meta.properties` of a formatted folder contains; empty if there is none."""
    path = data / "meta.properties"
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    return next((line.partition("=")[2].strip() for line in lines if line.startswith("cluster.id=")), "")
