"""Waits until a started broker answers, and explains why it does not."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from workers.core.errors import Unavailable

_HINTS = (  # log content → hint
    ("Address already in use", "stop the program that uses the port, or choose another port"),
    ("No space left", "free disk space"),
    ("OutOfMemoryError", "free memory: the broker needs 1 GB"),
    ("reserve enough space", "free memory: the broker needs 1 GB"),
    ("Invalid maximum heap size", "free memory: the broker needs 1 GB"),
)


class StartFailed(Exception):
    """Raised if the process exits or does not answer in time; the message says which."""


def wait_until_ready(process: subprocess.Popen[bytes], bootstrap: str, cluster: str, timeout_s: float) -> None:
    """Waits until the broker at `bootstrap` answers a metadata request. Raises StartFailed.

    `cluster` is the expected cluster ID, empty for any: another Kafka that uses the port does not count.
    """
    deadline_s = time.monotonic() + timeout_s
    client = AdminClient(
        {"bootstrap.servers": bootstrap, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 50, "log_level": 0}
    )
    while time.monotonic() < deadline_s:
        if (code := process.poll()) is not None:
            raise StartFailed(f"Java ended with exit code {code}")
        try:
            metadata = client.list_topics(timeout=0.5)  # blocks while librdkafka tries to connect
        except KafkaException:
            continue
        if metadata.brokers and (not cluster or metadata.cluster_id == cluster):
            return
    raise StartFailed(f"no answer within {timeout_s:.0f} s")


def start_failure(what: str, log: Sequence[str], data_dir: Path) -> Unavailable:
    """Returns the error to show: what happened, the log's last lines, and a hint."""
    text = "".join(f"\n  {line}" for line in log)
    fallback = f"read the lines above; if the data are corrupted, move {data_dir} away"
    hint = next((hint for pattern, hint in _HINTS if pattern in text), fallback)
    excerpt = f" Its log:{text}\n" if text else " Its log is empty."
    return Unavailable(f"The embedded Kafka did not start: {what}.{excerpt}", hint)
