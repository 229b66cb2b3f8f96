"""Runs a lane: one coroutine processes all records of one partition number, batch by batch, each batch one transaction.

Greedy: a lane takes the records that are there and never waits for more. While a batch commits, the next one gathers
(pacing.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

import msgspec

from workers.adapters.lanes.buffer import FetchedRecord, RecordBuffer
from workers.adapters.lanes.context import LaneContext
from workers.adapters.lanes.lane_clock import LaneClock, Probe
from workers.adapters.lanes.ledger import LedgerHistory
from workers.adapters.lanes.local_state import LocalState
from workers.adapters.lanes.poison_records import PoisonRecordGuard
from workers.adapters.lanes.positions import Positions
from workers.adapters.lanes.source_progress import GroupOffsets, SourceProgress, read_group
from workers.adapters.lanes.spec import TopicPartitionKey
from workers.adapters.lanes.transactions import LaneProducer
from workers.adapters.process import clock, exit_codes, failpoints
from workers.adapters.process.termination import end_at_once
from workers.core.errors import Fatal, Misconfigured
from workers.core.stream.dead_letter_limits import Limits
from workers.core.stream.effects import Effects, Processor
from workers.core.stream.records import StateStore

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

_TICK_S = 0.25
#: The topic that `intake` writes.
EVENTS = "customer.events"
#: Minimum interval between warnings about a sender's mistake [s].
_WARN_INTERVAL_S = 60.0


class Lane:
    """One lane: opened when its partitions are assigned, closed when another owner gets them.

    During a rebalance it is held: its transaction is finished and nothing is written. If it keeps its partitions it continues
    with its state in memory, without a restore; if another owner had them in the meantime, its producer is fenced.
    """

    def __init__(
        self,
        name: str,
        sources: list[TopicPartitionKey],
        positions: Positions,
        context: LaneContext,
    ) -> None:
        """`context` is shared with the other lanes of the process."""
        self.name = name
        self.sources = sources
        self.ready = False
        self._context = context
        self._spec = context.spec
        self._settings = context.settings
        self._client_config = context.client_config
        self._metrics = context.metrics
        self._liveness = context.liveness
        self._positions = positions
        self._progress = SourceProgress(sources, context.settings.prefix, context.source_ids)
        self._buffer = RecordBuffer(context.settings.lane_buffer_records)
        # Its own thread: a commit never waits for a thread, whatever other lanes do.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"lane-{name}")
        self._part = f"lane {name}"
        self._liveness.working(self._part, "is being opened")
        self._partition = sources[0][1]
        self._arrived = asyncio.Event()
        self._closing = self._held = False
        self._rested_at_s = 0.0
        self._warned_misplaced_at_s = float("-inf")
        self._quiet = asyncio.Event()  # no write and no fencing is in progress
        self._quiet.set()
        self._released = asyncio.Event()
        self._released.set()
        self._committed_next: dict[TopicPartitionKey, int] = {}
        self._hinted: dict[TopicPartitionKey, int] = {}
        self._group: GroupOffsets | None = None
        self._more_due = False
        self._local = LocalState(name, sources, context)
        changelog = self._settings.topic(self._spec.changelog) if self._spec.changelog is not None else None
        self._clock = LaneClock(name, changelog, self._settings)
        beat = partial(self._liveness.beat, self._part)
        self._ledger = LedgerHistory(name, self._partition, self._spec, self._settings, beat)

    # -- feeding -----------------------------------------------------------------------------------------------------

    def wants(self, source: TopicPartitionKey) -> bool:
        """Returns whether records of this source may be fetched; a full lane still takes those that its events wait for."""
        if not self.ready:
            return False
        return not self._buffer.is_full or (
            self._spec.waits_for is not None and source[0] == self._settings.topic(self._spec.waits_for)
        )

    def deliver(self, source: TopicPartitionKey, batch: Sequence[FetchedRecord]) -> None:
        """Takes fetched records; drops those already applied (a fetch from an old position)."""
        topic, partition = source
        name = topic.removeprefix(self._settings.prefix)
        expected = self._progress.next.get(source, 0)
        if batch:
            self._progress.fetched(source, batch[0].offset, batch[-1].offset)
        for fetched in batch:
            if fetched.offset >= expected:
                self._buffer.add(name, partition, fetched)
        self._arrived.set()

    # -- -- lifecycle ---- -------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Opens the lane, then works until `close`. Any failure ends the process: memory is ahead of the committed state."""
        try:
            await self._until_released("is being opened")
            if not self._closing:
                await self._work()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # whatever the error: no uncommitted state may survive it
            log.critical("lane %s ends the worker: %s", self.name, error, exc_info=not isinstance(error, Fatal))
            end_at_once(exit_codes.code_of(error))  # not a clean stop: that would commit
        finally:
            self._liveness.idle(self._part)
            self._local.close()
            self._metrics.pending(self.name, {})  # its next owner continues the count
            self._thread.shutdown(wait=False)

    def close(self) -> None:
        """Makes the lane finish its running transaction and end; waiting records are left for the next owner."""
        self._closing = True
        self.ready = False
        self._arrived.set()
        self._released.set()

    async def hold(self) -> None:
        """Returns once the running transaction is finished; nothing is written until `release`. A restore continues."""
        self._held, self.ready = True, False
        self._released.clear()
        self._arrived.set()
        await self._quiet.wait()

    def release(self, positions: Positions) -> None:
        """Continues after the last commit: the partitions still belong to this lane."""
        self._positions, self._held = positions, False
        self._released.set()

    def _may_write(self) -> bool:
        return not (self._closing or self._held)

    async def _until_released(self, then: str) -> None:
        """Waits while the lane is held, reporting it as idle: a rebalance may take minutes. `then` names the next activity."""
        self._liveness.idle(self._part, "waits for the group")
        await self._released.wait()
        self._liveness.working(self._part, then)

    async def _resume(self, producer: LaneProducer) -> None:
        """Waits until the lane is not held, then continues after its last commit; if it had another owner, it is fenced."""
        self._buffer.clear()  # records that were fetched but not applied are fetched again
        await self._until_released("sets its position")
        if self._closing:
            return
        await self._undisturbed(self._recover_from_ledger, producer)
        if self._committed_next and self._local.is_kept:  # its memory must not be older than what is committed
            await self._undisturbed(self._commit_nothing, producer)
        self._progress.about_to_seek()
        await self._blocking(self._progress.check_ids)
        offsets = {source: self._progress.next.get(source) for source in self.sources}
        try:
            await self._positions.seek_lane(offsets, lambda: not self._closing and not self._held, self._set_ready)
        except Misconfigured:  # the topic ends before the applied offset: it may just have been recreated
            await self._blocking(self._progress.check_ids, 0.0)
            raise

    async def _work(self) -> None:
        identity = f"{self._spec.group}-{self.name}"
        limit_s, compression = self._settings.transaction_timeout_s, self._settings.compression
        producer = LaneProducer(self._client_config, identity, limit_s, compression)
        started = clock.monotonic_s()
        await self._undisturbed(producer.fence)
        self._liveness.beat(self._part)
        await self._open()
        if not self._closing:
            self._local.marker = await self._blocking(self._ledger.read, self._local.marker)
            await self._start_clock(partial(self._undisturbed, self._commit_nothing, producer))
        if not self._closing:
            core = await self._blocking(self._isolated)
            for topic, _ in self.sources:
                log.info("lane %s owns %s", self.name, topic)
            took_s, read = clock.monotonic_s() - started, f"{self._local.restored_records} records of its changelog"
            log.info("lane %s is open after %.2f s and %s, resumes at %s", self.name, took_s, read, self._progress.next)
        while not self._closing:
            if self.ready:
                await self._turn(core, producer)
            else:
                await self._resume(producer)
            self._liveness.beat(self._part)
        await self._blocking(producer.close)

    def _isolated(self) -> PoisonRecordGuard:
        settings, beat = self._settings, partial(self._liveness.beat, self._part)
        limits = Limits(
            raised=settings.raised_ratio,
            raised_in_a_row=settings.raised_in_a_row,
            dead_letters=settings.dead_letter_ratio,
        )
        role, store = self._spec.role, self._local.store
        return PoisonRecordGuard(self._build_core, store, role, limits=limits, blocking=self._blocking, beat=beat)

    def _build_core(self, store: StateStore) -> Processor:
        return self._spec.core(store, self._local.marker.clock_s)

    async def _open(self) -> None:
        """Restores the committed state; only part of it if the lane is closed in the meantime."""
        await self._blocking(self._progress.fetch_ids)
        if self._spec.changelog is None:
            self._group = await self._blocking(read_group, self._client_config, self._spec.group, self.sources)
            for source, (offset, source_id) in self._group.committed.items():
                self._progress.begin_at(source, offset, source_id)
            return
        self._liveness.idle(self._part, "waits for its turn to restore")
        async with self._context.restores:
            self._liveness.working(self._part, "is being restored")
            await self._blocking(self._local.restore, self._spec.changelog, self._restored, lambda: self._closing)
        self._progress.begin_from(self._local.marker)

    async def _start_clock(self, probe: Probe) -> None:
        """Rejects a state whose clock is in the future, or sets its clock back. Writes nothing while the lane is held."""
        while self._held and not self._closing:
            await self._until_released("checks the broker's clock")
        if self._closing or not self._local.is_kept:
            return
        began_s = await self._clock.start_s(self._local.marker.clock_s, probe)
        self._local.marker = msgspec.structs.replace(self._local.marker, clock_s=began_s)

    def _recover_from_ledger(self, producer: LaneProducer) -> None:
        """Writes the state recovered from the ledger as the first state of a lane that lost its own."""
        for effects in self._ledger.first_state(self._local.marker.clock_s):
            self._commit(producer, effects)

    async def _blocking(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a blocking call in the lane's own thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(call, *args, **kwargs))

    async def _undisturbed(self, call: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Runs a blocking call during which no partition changes hands."""
        self._quiet.clear()
        try:
            await self._blocking(call, *args, **kwargs)
        finally:
            self._quiet.set()

    def _restored(self, done: int, total: int) -> None:
        """Reports the progress of a restore, which may take as long as it needs."""
        self._liveness.working(self._part, f"{done:,} of {total:,} records")
        self._liveness.beat(self._part)

    def _set_ready(self) -> None:
        self.ready = not self._closing and not self._held
        if self.ready:
            self._liveness.working(self._part)

    # -- one batch ---------------------------------------------------------------------------------------------------

    async def _turn(self, core: PoisonRecordGuard, producer: LaneProducer) -> None:
        if not self._buffer and not self._more_due:
            self._arrived.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), _TICK_S)
        if (left_s := self._rested_at_s - clock.monotonic_s()) > 0 and self._context.pacing.rests(len(self._buffer)):
            await asyncio.sleep(left_s)
        if not self._may_write():
            return
        self._progress.refuse_recreated()
        now_s = await self._clock.now_s(partial(self._undisturbed, self._commit_nothing, producer))
        if not self._may_write():
            return
        records = self._buffer.take(self._settings.batch_records)
        waited_s = now_s - records[0].appended_at_s if records else 0.0
        self._metrics.gauge("lag_seconds", waited_s, self._spec.role, self.name)
        if records:
            failpoints.hit("lane.parse")
        effects = await core.apply(records, now_s, caught_up=self._caught_up())
        if not self._may_write():  # the search for poison records took time: the lane may no longer write
            core.discard()
            return
        effects.outputs = self._ledger.unpublished(effects.outputs)
        advanced = self._progress.advance(records, effects)
        self._buffer.defer(effects.deferred)
        passed = self._pass_over()
        self._more_due = effects.more_due
        if effects.empty and not advanced and not passed:
            self._metrics.pending(self.name, effects.pending)
            return
        failpoints.hit("lane.fold")
        started = clock.monotonic_s()
        await self._undisturbed(self._commit, producer, effects)
        took_s = clock.monotonic_s() - started
        self._rested_at_s = clock.monotonic_s() + self._context.pacing.committed(len(records), took_s)
        self._committed_next = dict(self._progress.next)
        self._metrics.batch(self._spec.role, len(advanced), took_s, effects)
        self._metrics.pending(self.name, effects.pending)
        self._warn_misplaced(effects)

    def _warn_misplaced(self, effects: Effects) -> None:
        """Warns of feedback in the wrong partition, at most once a minute."""
        moved, now_s = effects.tally[("feedback_misplaced",)], clock.monotonic_s()
        if moved and now_s >= self._warned_misplaced_at_s + _WARN_INTERVAL_S:
            self._warned_misplaced_at_s = now_s
            log.warning(
                "lane %s: %d records of message.feedback are in the wrong partition and were forwarded. Hint: their sender "
                "must key by user_id and partition by murmur2 (docs/senders.md)",
                *(self.name, moved),
            )

    def _caught_up(self) -> bool:
        """Returns whether due items may be published: everything that was in the logs a moment ago has been applied."""
        if not failpoints.waits_for_backlog():
            return True
        if self._buffer:
            return False
        paced = [(self._settings.topic(topic), self._partition) for topic in self._spec.paced_by]
        horizon_s = min(map(self._positions.horizon_s, paced), default=float("inf"))
        if clock.monotonic_s() - horizon_s > self._settings.timer_hold_lag_s:
            return False
        events = (self._settings.topic(EVENTS), self._partition)
        return events not in paced or self._context.mapped(self._positions.horizon_s(events))

    def _pass_over(self) -> bool:
        """See SourceProgress.pass_over: for lanes without state, once every fetched record is applied."""
        if self._spec.changelog is not None or self._buffer or self._buffer.has_deferred:
            return False
        return self._progress.pass_over(self._positions.handed_over)

    def _commit(self, producer: LaneProducer, effects: Effects) -> None:
        spec, prefix = self._spec, self._settings.prefix
        if spec.changelog is None:
            group = (self._progress.group_offsets(), self._group and self._group.metadata, spec.group)
            producer.commit(effects.outputs, prefix=prefix, partition=None, group_offsets=group)
            return
        marker = self._progress.marker(effects.clock_s, self._local.marker.anew_at_s)
        offset = producer.commit(
            effects.outputs,
            prefix=prefix,
            partition=self._partition,
            changelog=(self._settings.topic(spec.changelog), self._partition),
            puts=effects.puts,
            marker=marker,
        )
        self._clock.observe(producer.stamped)
        self._local.write(effects, marker, offset + 1)

    def _commit_nothing(self, producer: LaneProducer) -> None:
        """Commits the marker unchanged."""
        with failpoints.suspended():
            self._commit(producer, Effects(clock_s=self._local.marker.clock_s))

    def hints(self) -> dict[TopicPartitionKey, int]:
        """Returns the applied offsets that have not been committed to the group as hints yet."""
        committed = self._committed_next.items()
        fresh = {source: offset for source, offset in committed if self._hinted.get(source) != offset}
        self._hinted.update(fresh)
        return fresh if self._spec.changelog is not None else {}
