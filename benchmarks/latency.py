"""Measures latency under a steady load: from the produce call of an event until a reader of committed records gets its output."""

from __future__ import annotations

import math
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks import broker, load
from benchmarks.job import Job
from benchmarks.numbers import percentile
from benchmarks.processes import Ended, running
from benchmarks.programs import BY_NAME, FAUST, OURS, PERSONALISE, QUIX, Program
from benchmarks.work_unit import Event
from workers.adapters.kafka import topic_admin
from workers.settings import Settings

NOTHING_BETWEEN = "no program: the topic itself"
_WARM_S = 6.0
#: The broker is warm if the median of a round is not 10 % below the best one so far, or after this many rounds.
_NO_FASTER, _WARM_ROUNDS = 0.9, 8
_READY_TIMEOUT_S = 60.0


class Latency(msgspec.Struct, kw_only=True):
    """Latency in milliseconds; `lost`: outputs that had not arrived 5 s after the last event."""

    p50_ms: float
    p99_ms: float
    max_ms: float
    events: int
    lost: int


class Reader:
    """Records when the first record of each key was read, in its own thread."""

    def __init__(self, brokers: str, topic: str, partitions: int) -> None:
        self.seen: dict[bytes, float] = {}
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": f"latency-{topic}",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 5,
                **broker.FETCH,
            }
        )
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        self._stop = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._stop:
            first = self._consumer.poll(0.01)  # returns at the first record; `consume` would wait for more
            for message in [first, *self._consumer.consume(100, 0)] if first is not None else ():
                if message.error() is None and (key := message.key()) is not None:
                    self.seen.setdefault(key, time.perf_counter())

    def close(self) -> None:
        """Stops the thread."""
        self._stop = True
        self._thread.join()
        self._consumer.close()


def bench_latency(
    settings: Settings, rate: int, seconds: float, broker_warm_s: float, say: Callable[[str], None]
) -> tuple[dict[str, Latency], dict[str, str]]:
    """Measures one program after the other under the load; returns results, and the reason for each missing one.

    First come warm-up rounds of `broker_warm_s` with transactions, until they get no faster: the JIT compiler of the broker
    needs half a minute of them, on a slow machine several.
    """
    results: dict[str, Latency] = {}
    best_ms = math.inf
    for number in range(_WARM_ROUNDS if broker_warm_s else 0):
        p50_ms = _one(settings, BY_NAME[OURS], f"warm{number}", rate, broker_warm_s).p50_ms
        say(f"warming the broker, round {number + 1}: p50 {p50_ms:.1f} ms")
        if p50_ms > _NO_FASTER * best_ms:
            break
        best_ms = min(best_ms, p50_ms)
    left_out: dict[str, str] = {}
    for number, name in enumerate((None, OURS, PERSONALISE, QUIX, FAUST)):
        program = BY_NAME[name] if name else None
        try:
            result = _one(settings, program, f"l{number}", rate, seconds)
        except Ended as error:
            left_out[name or NOTHING_BETWEEN] = str(error)
            continue
        results[name or NOTHING_BETWEEN] = result
        say(f"{name or NOTHING_BETWEEN:34} p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms")
    return results, left_out


def pipe_us(times: int = 5_000) -> float:
    """Returns the round trip of a byte to a process on another core [µs]: the cost of two wake-ups on this machine. The median
    of ten rounds. A record from client to broker to client wakes a dozen threads.
    """
    cores = sorted(os.sched_getaffinity(0))
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        os.sched_setaffinity(other.pid, {cores[-1]})
        os.sched_setaffinity(0, {cores[0]})
        rounds = []
        try:
            for _ in range(10):
                began_s = time.perf_counter()
                for _ in range(times // 10):
                    other.stdin.write(b"x")
                    other.stdout.read(1)
                rounds.append((time.perf_counter() - began_s) / (times // 10))
        finally:
            os.sched_setaffinity(0, cores)
            other.stdin.close()
    return 1e6 * percentile(rounds, 0.5)


def _one(settings: Settings, program: Program | None, name: str, rate: int, seconds: float) -> Latency:
    real = program is not None and not program.work_unit
    prefixed = settings.changed(prefix=f"{name}." if real else "")
    if real:
        topic_admin.apply(prefixed)
        topic, output = "customer.events", "customer.profiles"
    else:
        topic, output = f"{name}-in", f"{name}-out"
        broker.create(settings.brokers, [topic, output], settings.partitions)
    shown = prefixed.topic(topic if program is None else output)
    reader = Reader(settings.brokers, shown, settings.partitions)
    send = Sender(settings.brokers, prefixed.topic(topic), real)
    try:
        if program is None:
            return _load(send, reader, rate, seconds)
        job = Job(
            program=program.name,
            brokers=settings.brokers,
            topic=topic,
            events=0,
            name=name,
            folder=str(Path(settings.data_dir) / f"latency-{name}"),
            output=output,
            option=program.option,
            prefix=prefixed.prefix,
            partitions=settings.partitions,
        )
        with running(program, job):
            _until_ready(send, reader, program, settings.partitions)
            return _load(send, reader, rate, seconds)
    finally:
        reader.close()


class Sender:
    """Produces one event of a new customer."""

    def __init__(self, brokers: str, topic: str, real: bool) -> None:
        self._producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 0})
        self._topic = topic
        self._real = real
        self.sent: dict[bytes, float] = {}

    def __call__(self, customer: str) -> None:
        now_s, key = time.time(), customer.encode()
        event = Event(f"e-{customer}", customer, "page_view", now_s, f"s-{customer}")
        value = load.consent(customer, now_s) if self._real else msgspec.json.encode(event)
        self.sent[key] = time.perf_counter()
        self._producer.produce(self._topic, key=key, value=value)
        self._producer.poll(0)

    def flush(self) -> None:
        """Waits until all events are delivered."""
        self._producer.flush(30)


def _until_ready(send: Sender, reader: Reader, program: Program, partitions: int) -> None:
    """Waits until every partition has produced output, because start-up is not latency."""
    deadline_s, number = time.perf_counter() + _READY_TIMEOUT_S, 0
    while len(reader.seen) < 8 * partitions:
        if time.perf_counter() > deadline_s:
            raise Ended(f"{program.name} wrote no output within {_READY_TIMEOUT_S:.0f} s")
        number += 1
        send(f"warm-{number}")
        time.sleep(0.05)
    send.sent.clear()


def _load(send: Sender, reader: Reader, rate: int, seconds: float) -> Latency:
    started_s, number = time.perf_counter(), 0
    while (elapsed_s := time.perf_counter() - started_s) < seconds:
        while number < elapsed_s * rate:
            send(f"c{number}")
            number += 1
        time.sleep(0.0005)
    send.flush()
    counted = {key: at_s for key, at_s in send.sent.items() if at_s > started_s + min(_WARM_S, seconds / 2)}
    deadline_s = time.perf_counter() + 5.0
    while time.perf_counter() < deadline_s and not counted.keys() <= reader.seen.keys():
        time.sleep(0.05)
    took_ms = [1000 * (reader.seen[key] - at_s) for key, at_s in counted.items() if key in reader.seen]
    if not took_ms:
        raise Ended("no output came")
    return Latency(
        p50_ms=percentile(took_ms, 0.5),
        p99_ms=percentile(took_ms, 0.99),
        max_ms=max(took_ms),
        events=len(counted),
        lost=len(counted) - len(took_ms),
    )
