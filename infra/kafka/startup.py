"""Waits for the first answer of a broker that was launched, and explains a failure to answer."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from workers.core.errors import Unavailable

_CURES = (  # log content → cure
    ("Address already in use", "stop what listens on the port, or choose another one"),
    ("No space left", "free disk space"),
    ("OutOfMemoryError", "free memory: the broker needs 1 GB"),
    ("reserve enough space", "free memory: the broker needs 1 GB"),
    ("Invalid maximum heap size", "free memory: the broker needs 1 GB"),
)


class NotUp(Exception):
    """Raised if the process ended, or did not answer in time; the message says which."""


def wait_until_it_answers(process: subprocess.Popen[bytes], bootstrap: str, cluster: str, timeout_s: float) -> None:
    """Returns once the broker at `bootstrap` answers a metadata request. Raises NotUp.

    `cluster` is the ID that it must have, empty for any: another Kafka that took the port first does not count.
    """
    deadline_s = time.monotonic() + timeout_s
    client = AdminClient(
        {"bootstrap.servers": bootstrap, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 50, "log_level": 0}
    )
    while time.monotonic() < deadline_s:
        if (code := process.poll()) is not None:
            raise NotUp(f"Java ended with exit code {code}")
        try:
            seen = client.list_topics(timeout=0.5)  # blocks while librdkafka tries to connect
        except KafkaException:
            continue
        if seen.brokers and (not cluster or seen.cluster_id == cluster):
            return
    raise NotUp(f"no answer within {timeout_s:.0f} s")


def start_failure(what: str, log: Sequence[str], data_dir: Path) -> Unavailable:
    """Returns the error to show: what happened, the log's last lines, the cure that fits them."""
    text = "".join(f"\n  {line}" for line in log)
    fallback = f"read the lines above; if the data are damaged, move {data_dir} away"
    cure = next((cure for sign, cure in _CURES if sign in text), fallback)
    said = f" Its log says:{text}\n" if text else " Its log says nothing."
    return Unavailable(f"The embedded Kafka did not start: {what}.{said}", cure)
