"""Assembles the role `deliver`, for installations without senders: one thread, ledger and consumer group per channel."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaException

from workers.adapters.delivery_channels import Port
from workers.adapters.process.exit_codes import Exit, code_of
from workers.adapters.process.liveness import ASSIGNMENT, Liveness
from workers.core.stream.metrics import Metrics
from workers.delivery.sender import Plan, Sender
from workers.settings import Settings

log = logging.getLogger(__name__)

ROLE = "deliver"
_STATUSES = ("sent", "bounced", "failed", "dropped", "skipped", "later")
#: Interval at which the lateness gauge is updated [s].
_GAUGE_INTERVAL_S = 5.0


class Deliver:
    """Runs each sender in its own thread, which also builds it: a slow mail server does not delay push messages."""

    def __init__(
        self,
        builders: Mapping[str, Callable[[], Sender]],
        metrics: Metrics,
        liveness: Liveness,
        clock: Callable[[], datetime],
    ) -> None:
        """`builders`: channel → function that builds its sender. No connection is opened before `run`."""
        self._builders = builders
        self._metrics = metrics
        self._liveness = liveness
        self._clock = clock
        self._stopping = threading.Event()
        self._exit_code = Exit.OK
        liveness.awaits(ASSIGNMENT, "")
        for channel in builders:
            liveness.awaits(channel, "not assigned yet")
            for status in _STATUSES:
                metrics.count("deliveries", channel, status, amount=0)

    def stop(self) -> None:
        """Makes each sender finish its message, commit and leave its group. Safe in any thread and in a signal handler."""
        self._stopping.set()

    def run(self) -> Exit:
        """Runs until `stop`, or until a sender fails: then all stop, and the exit code gives the reason."""
        threads = [threading.Thread(target=self._work, args=(channel,), name=channel) for channel in self._builders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self._exit_code

    def _work(self, channel: str) -> None:
        liveness, gauge_set_at_s = self._liveness, 0.0
        liveness.working(channel, "not assigned yet")
        try:
            sender = self._builders[channel]()
            while not self._stopping.is_set():
                sender.step()
                liveness.beat(channel)
                liveness.awaits(channel, sender.awaits)
                now_s = self._clock().timestamp()
                if now_s - gauge_set_at_s >= _GAUGE_INTERVAL_S:
                    self._metrics.gauge("delivery_late_seconds", sender.late_s(), channel)
                    gauge_set_at_s = now_s
            sender.close()
        except Exception as error:  # after any error the other senders must still stop cleanly
            self._exit_code = _exit_code_of(error)
            log.critical("%s ends the worker: %s", channel, error, exc_info=error)
            self.stop()
        liveness.idle(channel)


def build(
    settings: Settings,
    ports: Mapping[str, Port],
    client_config: Mapping[str, str | int],
    metrics: Metrics,
    liveness: Liveness,
    clock: Callable[[], datetime],
) -> Deliver:
    """Builds the role. `ports`: channel → its transport, address book and rules."""
    folder = Path(settings.data_dir) / ROLE
    folder.mkdir(parents=True, exist_ok=True)

    def make(channel: str, port: Port) -> Sender:
        plan = Plan(
            channel=channel,
            prefix=settings.prefix,
            group=f"{ROLE}-{channel}",
            instance=settings.instance,
            ledger=str(folder / f"{settings.prefix}{channel}.sqlite"),
            rules=port.rules,
        )
        count_status = partial(metrics.count, "deliveries", channel)
        log.info("%s messages are sent to %s", channel, port.where)
        return Sender(plan, client_config, port.channel, port.addresses(), clock, count_status)

    return Deliver({channel: partial(make, channel, port) for channel, port in ports.items()}, metrics, liveness, clock)


def _exit_code_of(error: Exception) -> Exit:
    """Maps Kafka's and SQLite's errors to exit codes."""
    if isinstance(error, KafkaException):
        return (
            Exit.FENCED if "fenced" in str(error) else Exit.FAILED
        )  # librdkafka wraps the error: its code is only "fatal"
    return Exit.FAILED if isinstance(error, sqlite3.OperationalError) else code_of(error)
