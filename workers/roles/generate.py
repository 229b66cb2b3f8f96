"""Assembles the role `generate`: turns requests into candidates concurrently and acknowledges them in order.

At-least-once: a crash may repeat an LLM call, but `personalise` accepts one candidate per open request, so no message is
sent twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Protocol

import faust

from schemas import codec
from schemas.messages import Candidate, MessageRequest
from workers.adapters.lanes.faust_app import make_app, raw_topic
from workers.adapters.lanes.faust_transport import CommittedTransport
from workers.adapters.process import clock
from workers.adapters.process.exit_codes import Exit
from workers.adapters.process.liveness import ASSIGNMENT, Liveness
from workers.adapters.process.termination import end_at_once
from workers.core.errors import InvalidEvent, Misconfigured, Unavailable
from workers.core.resilience.priority_queue import ROOM_PER_SLOT
from workers.core.stream.dead_letters import dead_letter
from workers.core.stream.metrics import Metrics
from workers.core.stream.records import Record
from workers.roles.text_writer import Writer
from workers.settings import Settings

log = logging.getLogger(__name__)

ROLE = "generate"
REQUESTS, CANDIDATES, DEAD_LETTERS = "message.requests", "message.candidates", "dead.letters"
#: Producer linger [s]: negligible compared with the time a text takes, and batches cost the broker less than single records.
_LINGER_S = 0.02


class CheckableModel(Protocol):
    """A model that can be checked at the start, and closed."""

    async def check(self) -> str:
        """Returns the model's name. Raises Misconfigured or Unavailable."""
        ...

    async def close(self) -> None:
        """Closes the model's connections."""
        ...


def build(settings: Settings, writer: Writer, model: CheckableModel, metrics: Metrics, liveness: Liveness) -> faust.App:
    """Builds the app of this role. It also runs without an LLM: requests then get the template."""
    app = make_app(settings, ROLE, CommittedTransport, wait_empty=True, linger_s=_LINGER_S)
    window = Window(settings, writer, app, metrics, liveness)

    @app.agent(raw_topic(app, settings.topic(REQUESTS)), concurrency=1)
    async def generate(stream: Any) -> None:  # Any: Faust's stream type lacks `noack`
        async for event in stream.noack().events():
            await window.take(event)

    liveness.awaits("LLM", "is being checked")

    async def check_model() -> None:
        try:
            log.info("the LLM is %s; %s", await model.check(), await writer.check_prompts())
        except Misconfigured as error:
            log.critical("%s", error)
            end_at_once(Exit.MISCONFIGURED)  # a wrong model, key or prompt: a restart does not help
        except Unavailable as error:
            log.warning("%s Templates are published until it is available.", error)
        liveness.awaits("LLM", "")

    async def assigned(*_: object, **__: object) -> None:
        liveness.awaits(ASSIGNMENT, "")

    async def revoked(*_: object, **__: object) -> None:
        liveness.awaits(ASSIGNMENT, "being handed over")

    async def close_model(*_: object, **__: object) -> None:
        await model.close()

    app.task(check_model)
    app.on_partitions_assigned.connect(assigned)
    app.on_partitions_revoked.connect(revoked)
    app.on_before_shutdown.connect(close_model)

    return app


class Window:
    """Processes requests concurrently and acknowledges them in the order of their offsets.

    It holds as many as the LLM servers and their queue accept; among those, higher priorities go first. The rest waits in Kafka:
    with more, some would be shed only because the queue is full. Acks out of order would make Faust's committer skip events
    that are still open, so an event is acked only after all earlier ones.
    """

    def __init__(
        self, settings: Settings, writer: Writer, app: faust.App, metrics: Metrics, liveness: Liveness
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._app = app
        self._metrics = metrics
        self._liveness = liveness
        in_flight = settings.llm.in_flight * max(1, len(settings.llm.urls))
        self._slots = asyncio.Semaphore(in_flight * (ROOM_PER_SLOT + 1))
        self._queues: dict[int, deque[tuple[faust.EventT[bytes], asyncio.Task[None]]]] = {}
        self._in_progress = 0
        metrics.watch("in_flight", lambda: self._in_progress)

    async def take(self, event: faust.EventT[bytes]) -> None:
        """Waits for a free slot, then processes the request in the background."""
        await self._slots.acquire()
        task = asyncio.create_task(self._work(event))
        self._in_progress += 1
        partition = event.message.partition
        self._liveness.working(f"requests of partition {partition}")
        self._queues.setdefault(partition, deque()).append((event, task))
        task.add_done_callback(lambda _task: self._finished(partition))

    def _finished(self, partition: int) -> None:
        self._slots.release()
        self._in_progress -= 1
        queue = self._queues[partition]
        while queue and queue[0][1].done():
            event, task = queue.popleft()
            if task.cancelled():
                return  # the worker is stopping: the request is not acked, so it will be redelivered
            if (error := task.exception()) is not None:
                log.critical("generate ends the worker: %s", error, exc_info=error)
                end_at_once(Exit.SOFTWARE)  # not a clean stop, which would acknowledge the event
            event.ack()
            self._liveness.beat(f"requests of partition {partition}")
        if not queue:
            self._liveness.idle(f"requests of partition {partition}")

    async def _work(self, event: faust.EventT[bytes]) -> None:
        message = event.message
        key: bytes | None = message.key
        try:
            request = codec.decode(MessageRequest, message.value)
        except codec.Malformed as error:
            await self._refuse(event, InvalidEvent(error.reason, error.detail))
            return
        candidate: Candidate = await self._writer.write(request)
        await self._send(CANDIDATES, key, codec.encode(candidate), message.partition)

    async def _refuse(self, event: faust.EventT[bytes], error: InvalidEvent) -> None:
        message = event.message
        record = Record(
            topic=REQUESTS,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            value=message.value,
            appended_at_s=message.timestamp,
        )
        letter = dead_letter(record, ROLE, error, clock.utc_now())
        self._metrics.count("dead_letters", ROLE, error.reason)
        await self._send(DEAD_LETTERS, letter.key, letter.value, message.partition)

    async def _send(self, topic: str, key: bytes | None, value: bytes | None, partition: int) -> None:
        """Returns once every replica has the record; only then may the request be acknowledged.

        It uses the app's producer directly, because the overhead of Faust's topic is as large as the cost of sending.
        """
        producer = self._app.producer
        await producer.maybe_start()
        await (await producer.send(self._settings.topic(topic), key, value, partition, None, None))
