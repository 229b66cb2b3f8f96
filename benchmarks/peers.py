"""The programs that stand beside ours: a raw consumer (the limit), and a bare Faust agent (the framework as it comes).

Run as `python -m benchmarks.peers raw|faust BROKERS TOPIC EVENTS`; prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
import uuid

from confluent_kafka import Consumer


class Meter:
    """Wall and CPU time from the first event to the last."""

    def __init__(self, events: int) -> None:
        self.left = events
        self._events = events
        self._wall_s = 0.0
        self._cpu_s = 0.0

    def add(self, number: int) -> bool:
        """Counts events; True when all have been seen, and the result is printed."""
        if self._wall_s == 0.0:
            self._wall_s, self._cpu_s = time.perf_counter(), cpu_s()
        self.left -= number
        if self.left > 0:
            return False
        wall_s, used_s = time.perf_counter() - self._wall_s, cpu_s() - self._cpu_s
        result = {"events_per_s": self._events / wall_s, "cpu_s_per_100k": used_s * 1e5 / self._events}
        print(json.dumps(result), file=sys.__stdout__, flush=True)  # Faust redirects sys.stdout
        return True


def cpu_s() -> float:
    """User and system time of this process [s]."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def raw(brokers: str, topic: str, events: int) -> None:
    """Consumes and does nothing: what the client library can do at most."""
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "fetch.queue.backoff.ms": 5,
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([topic])
    meter = Meter(events)
    while True:
        messages = consumer.consume(5000, 1.0)
        if messages and meter.add(len(messages)):
            return


def faust_agent(brokers: str, topic: str, events: int) -> None:
    """An agent as the guide writes it: JSON values, one event at a time, nothing done with them."""
    import faust  # noqa: PLC0415 # only this program needs it

    app = faust.App(
        f"bench-{uuid.uuid4().hex}",
        broker=f"kafka://{brokers}",
        datadir=tempfile.mkdtemp(),
        web_enabled=False,
        topic_disable_leader=True,
    )
    meter = Meter(events)

    @app.agent(app.topic(topic, value_serializer="json"))
    async def count(stream: faust.StreamT[object]) -> None:
        async for _ in stream:
            if meter.add(1):
                sys.stdout.flush()
                os._exit(0)

    sys.argv[1:] = ["worker", "-l", "error", "--without-web"]
    app.main()


if __name__ == "__main__":
    program = {"raw": raw, "faust": faust_agent}[sys.argv[1]]
    program(sys.argv[2], sys.argv[3], int(sys.argv[4]))
