"""Processes one lane of `personalise`, the only writer of a customer's profile. One lane = one partition, single-threaded.

Events are folded into profiles and set timers; timers that fire become occurrences; the policy decides each exactly once;
candidates are rechecked against the newest profile and published or discarded here, so that neither the recheck nor the
frequency caps have races. Feedback that stops delivery (unsubscribed, complained, hard bounce) also changes the profile here.
Feedback that another client's partitioner put into this partition is forwarded to the customer's partition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from schemas import codec
from schemas.base import SourceEvent
from schemas.messages import Candidate, Feedback, ReviewVerdict
from workers.core.common.timestamps import instant
from workers.core.decisioning.channel_rate import ChannelRateLimiter
from workers.core.decisioning.control_state import NOTHING, ControlState
from workers.core.errors import InvalidEvent
from workers.core.partition import keys
from workers.core.partition.clock import make_clock
from workers.core.partition.unit_of_work import UnitOfWork
from workers.core.personalisation.decisions import DecisionMaker
from workers.core.personalisation.pending import PendingCounts, encode_counts
from workers.core.personalisation.requests import DEADLINE, OpenRequests
from workers.core.playbook.playbook import Playbook
from workers.core.profile import consent, dedupe, public_view
from workers.core.profile.consent import Rules
from workers.core.profile.feedback import REFUSALS, apply_feedback
from workers.core.profile.fold import fold
from workers.core.profile.model import Profile
from workers.core.segments import features
from workers.core.segments.conditions import Groups
from workers.core.stream import decoding
from workers.core.stream.dead_letters import dead_letter
from workers.core.stream.effects import Effects
from workers.core.stream.records import Output, Record, StateStore
from workers.core.triggers import registry
from workers.core.triggers.registry import Triggers

STAGE = "personalise"
EVENTS, CANDIDATES, FEEDBACK = "customer.events", "message.candidates", "message.feedback"
VERDICTS = "message.verdicts"
_VIEW = "view"
#: Delay for a timer that reschedules itself to a past time: firing it again at once would block everything else [s].
SPIN_S = 1.0
_END_OF_TIME_S = 4_102_444_800.0  # 2100-01-01


class PersonalisationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Configuration of a lane, in addition to its playbook.

    `clock` and `timers_per_batch`: see core.partition.clock. `presumed`: see consent.allows. `seed` decides every draw; `lanes`
    share the rate of each channel.
    """

    clock: Literal["wall", "event"]
    partition_of: Callable[[bytes], int]
    salt: str
    seed: str = "7"
    lanes: int = 1
    presumed: frozenset[str] = frozenset()
    timers_per_batch: int = 1_000
    cache_size: int = 20_000


class PersonalisationProcessor:
    """Processes one lane. What `apply` returns must be committed before the next call (core.stream.effects.Processor)."""

    def __init__(
        self,
        config: PersonalisationConfig,
        playbook: Playbook,
        store: StateStore,
        clock_s: float = 0.0,
        control: Callable[[], ControlState] = lambda: NOTHING,
    ) -> None:
        self._config = config
        self._playbook = playbook
        self._rules = Rules(tuple(playbook.channels), playbook.policy.categories)
        self._groups = Groups(playbook.audiences, features.reader)
        self._triggers = Triggers(playbook)
        self._workspace = UnitOfWork(store, config.cache_size)
        self._clock = make_clock(config.clock, clock_s, config.timers_per_batch)
        self._control = control
        self._fixed = NOTHING
        self._closing = OpenRequests(
            playbook,
            self._workspace,
            self._triggers,
            self._fixed_control,
            seed=config.seed,
            presumed=config.presumed,
            live=self._clock.is_live,
        )
        self._deciding = DecisionMaker(
            playbook,
            self._workspace,
            self._triggers,
            ChannelRateLimiter(playbook, self._workspace, config.lanes),
            self._closing,
            self._fixed_control,
            salt=config.salt,
            seed=config.seed,
            presumed=config.presumed,
        )
        awaiting = [*filter(None, map(self._workspace.load, self._workspace.awaiting_at_start))]
        self._closing.awaited = sum(opened.held is None for profile in awaiting for opened in profile.open.values())
        self._pending = PendingCounts(self._workspace.timers_at_start, awaiting)
        self._show: set[str] = set()
        self._ungrouped: set[str] = set()
        #: Topics whose records are always applied at once; only events may be deferred.
        self._handlers: dict[str, Callable[[Record], None]] = {
            CANDIDATES: self._candidate,
            FEEDBACK: self._feedback,
            VERDICTS: self._verdict,
        }
        #: The answers to an interrupted replay may be lost.
        self._requests_again = not self._clock.is_live and self._closing.awaited > 0

    def _fixed_control(self) -> ControlState:
        """Returns the control state of this batch: it changes only between batches, so that a batch can be repeated."""
        return self._fixed

    def apply(self, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
        """See core.stream.effects.Processor."""
        self._workspace.begin()
        self._fixed = self._control()
        if self._requests_again:
            self._requests_again = False
            for customer_id in self._workspace.awaiting_at_start:
                self._deciding.request_again(customer_id)
        self._clock.begin_batch(wall_s)
        deferred = self._apply_all(records, wall_s)
        while deferred and not self._closing.awaited:  # the awaited texts were among the records
            deferred = self._apply_all(deferred, wall_s)
        if (due_s := self._clock.due_after_batch(caught_up)) is not None:
            self._advance(due_s)
        for profile in self._workspace.changed.values():
            self._refresh(profile)
        self._count_pending()
        effects = self._workspace.finish(self._clock.now_s)
        effects.deferred = deferred
        return effects

    def _apply_all(self, records: list[Record], wall_s: float) -> list[Record]:
        """Applies records in order; returns the deferred events, in order."""
        deferred: list[Record] = []
        for record in records:
            if record.topic == EVENTS and deferred:
                deferred.append(record)
                continue
            try:
                if not self._apply_one(record):
                    deferred.append(record)
            except InvalidEvent as error:
                letter = dead_letter(record, STAGE, error, instant(wall_s))
                self._workspace.effects.outputs.append(letter)
                self._workspace.count("dead_letters", STAGE, error.reason)
        return deferred

    def _apply_one(self, record: Record) -> bool:
        """Applies one record. False = deferred: the record must be passed again once the awaited texts have arrived."""
        if record.topic == EVENTS:
            return self._event(record)
        handle = self._handlers.get(record.topic)
        if handle is None:
            raise InvalidEvent("unknown_topic", record.topic)
        handle(record)
        return True

    # -- events and candidates ---------------------------------------------------------------------------------------

    def _event(self, record: Record) -> bool:
        if (until_s := self._clock.punctuation(record)) is not None:
            return self._advance(until_s)
        try:
            event = codec.decode_event(record.value)
        except codec.Malformed as error:
            raise InvalidEvent(error.reason, error.detail) from error
        customer_id, at_s = event.customer_id, event.timestamp.timestamp()
        if record.key != customer_id.encode():
            raise InvalidEvent("key_mismatch", "the record's key is not the customer of its value")
        if not 0 <= at_s < _END_OF_TIME_S:
            raise InvalidEvent("bad_timestamp", "before 1970 or after 2100")
        if self._clock.is_too_late(at_s):
            self._workspace.count("events", "late")
            return True
        if (due_s := self._clock.due_before(at_s)) is not None and not self._advance(due_s):
            return False
        workspace = self._workspace
        profile = workspace.load(customer_id)
        if profile is None:
            if self._config.partition_of(record.key) != record.partition:
                raise InvalidEvent(
                    "wrong_partition", "the key belongs in another partition: use the murmur2 partitioner"
                )
            profile = workspace.create(customer_id)
        if dedupe.is_duplicate(profile, event.message_id, at_s, lambda hour: workspace.event_ids(hour, customer_id)):
            workspace.count("events", "duplicate")
            return True
        source = SourceEvent(record.topic, record.partition, record.offset)
        known_s = logged_s = self._clock.known_at(record)
        if event.received_at is not None and event.received_at.timestamp() >= consent.CLOCK_NEVER_SET_S:
            known_s = min(known_s, event.received_at.timestamp())
        products = self._playbook.products
        folded = fold(profile, event, at_s, source, products, now_s=known_s, logged_s=logged_s, rules=self._rules)
        workspace.touch(profile)
        if folded.more or self._groups.depends_on(folded.counted):
            self._ungrouped.add(customer_id)
        workspace.count("events", "late" if at_s < self._clock.now_s - dedupe.KEEP_HOURS * 3600 else "applied")
        self._triggers.rearm(profile, folded, workspace.timers)
        if folded.consent:
            workspace.remember_consent(profile, folded.consent)
        if folded.consent or folded.traits_changed:
            self._show.add(customer_id)
        if profile.published and (folded.consent or folded.traits_changed or folded.carts or folded.orders):
            self._closing.recall(profile, self._clock.now_s)
        return True

    def _candidate(self, record: Record) -> None:
        candidate = decoding.read(Candidate, record)
        self._closing.candidate(self._workspace.load(candidate.user_id), candidate, self._clock.now_s)

    def _verdict(self, record: Record) -> None:
        verdict = decoding.read(ReviewVerdict, record)
        self._closing.verdict(self._workspace.load(verdict.user_id), verdict, self._clock.now_s)

    def _feedback(self, record: Record) -> None:
        feedback = decoding.decode(Feedback, record)
        key = feedback.user_id.encode()
        home = self._config.partition_of(key)
        if home != record.partition:  # another client's partitioner: forwarded to the customer's partition
            self._workspace.effects.outputs.append(Output(FEEDBACK, key, record.value, home))
            self._workspace.count("feedback_misplaced")
            return
        profile = self._workspace.load(feedback.user_id)
        if profile is None:
            if feedback.status not in REFUSALS:
                return  # not a customer to whom a message can be sent
            profile = self._workspace.create(feedback.user_id)
            profile.user_id = feedback.user_id
        known_s = self._clock.known_at(record) or feedback.timestamp.timestamp()
        effect = apply_feedback(profile, feedback, self._playbook, known_s)
        if effect.changed:
            self._workspace.touch(profile)
            self._closing.recall(profile, self._clock.now_s)
        if effect.consent:
            self._workspace.remember_consent(profile, effect.consent)
            self._show.add(profile.customer_id)

    # -- time --------------------------------------------------------------------------------------------------------

    def _advance(self, to_s: float) -> bool:
        """Advances the clock to `to_s`, firing due timers in order. False = stopped early: texts awaited, or batch full."""
        fired = 0
        while self._clock.may_fire(fired, self._closing.awaited):
            due = self._workspace.timers.pop_due(to_s)
            if due is None:
                self._clock.now_s = max(self._clock.now_s, to_s)
                return True
            due_s, customer_id, timer = due
            profile = self._workspace.load(customer_id)
            if profile is None or profile.timers.get(timer) != due_s:
                continue  # cancelled or moved in this batch
            self._clock.fires(due_s)
            fired += 1
            self._workspace.timers.fired(profile, timer)
            self._workspace.touch(profile)
            try:
                self._fire(profile, timer, due_s)
            except Exception as error:  # noqa: BLE001 # any error: the timers of all other customers wait after it
                self._failed(profile, timer, error)
            for sibling in registry.sibling_timers(timer):
                if profile.timers.get(sibling, _END_OF_TIME_S) <= self._clock.now_s:
                    self._workspace.timers.set(profile, sibling, self._clock.now_s + SPIN_S)
        self._workspace.effects.more_due = self._clock.is_live
        return False

    def _fire(self, profile: Profile, timer: str, due_s: float) -> None:
        if timer == _VIEW:
            self._show.add(profile.customer_id)
        elif timer.startswith(DEADLINE):
            self._closing.deadline(profile, timer.removeprefix(DEADLINE), self._clock.now_s)
        elif (parsed := registry.parse_timer_id(timer)) is not None:
            self._occurrence_due(profile, due_s, *parsed)

    def _failed(self, profile: Profile, timer: str, error: Exception) -> None:
        """Handles a timer that raised: it is removed, and the request that it was to end ends without a message. No record caused
        the error, so the dead letter has none; the reason and the kind of timer identify the fault.
        """
        key = profile.customer_id.encode()
        partition = self._config.partition_of(key)
        place = Record(topic="personalise-state", partition=partition, offset=0, key=key, value=None, appended_at_s=0.0)
        detail = f"timer {timer[:200]}: {type(error).__name__}: {error}"
        letter = dead_letter(
            place, STAGE, InvalidEvent("timer_failed", detail), instant(self._clock.now_s), complete=False
        )
        self._workspace.effects.outputs.append(letter)
        self._workspace.count("dead_letters", STAGE, "timer_failed")
        if timer.startswith(DEADLINE):
            self._closing.abandon(profile, timer.removeprefix(DEADLINE), self._clock.now_s)

    def _occurrence_due(self, profile: Profile, timer_due_s: float, kind: str, campaign_id: str, key: str) -> None:
        campaign = self._playbook.campaigns.get(campaign_id)
        due_s = self._triggers.due_at(profile, campaign, key) if campaign else None
        if campaign is None or due_s is None:
            return
        if due_s > self._clock.now_s:  # new activity, or a longer delay in the playbook
            self._workspace.timers.set(profile, registry.timer_id(campaign_id, key), due_s)
        elif (occurrence := self._triggers.due(profile, campaign, key)) is not None:
            if self._assign_groups(profile):
                self._show.add(profile.customer_id)
            its_turn = kind == registry.TURN
            self._deciding.decide(profile, occurrence, self._clock.now_s, max(timer_due_s, due_s), its_turn=its_turn)

    def _count_pending(self) -> None:
        """Updates the pending counts; a batch that changes a profile stores them with the lane's state."""
        workspace, counts = self._workspace, self._pending
        counts.follow(workspace.changed.values(), workspace.timers.moved)
        workspace.effects.pending = counts.by_reason()
        if workspace.changed:
            workspace.store(keys.PENDING, encode_counts(workspace.effects.pending))

    # -- public view -------------------------------------------------------------------------------------------------

    def _assign_groups(self, profile: Profile) -> bool:
        """Updates target group and segments; returns whether they changed."""
        customer = features.snapshot(profile, self._clock.now_s)
        group, segments = self._groups.target_group(customer), self._groups.segments(customer)
        changed = (group, segments) != (profile.target_group, profile.segments)
        profile.target_group, profile.segments = group, segments
        self._ungrouped.discard(profile.customer_id)
        return changed

    def _refresh(self, profile: Profile) -> None:
        """Publishes the public view when it is due, with up-to-date groups; features that only decay are re-evaluated then."""
        due_s = profile.viewed_at + public_view.VIEW_INTERVAL_S
        showing = profile.customer_id in self._show or self._clock.now_s >= due_s
        ungrouped = showing or profile.target_group is None or profile.customer_id in self._ungrouped
        changed = self._assign_groups(profile) if ungrouped else False
        if changed or showing:
            self._show.discard(profile.customer_id)
            profile.viewed_at = self._clock.now_s
            self._workspace.timers.cancel(profile, _VIEW)
            shown = public_view.profile_view(profile, self._playbook.version, self._clock.now_s)
            self._workspace.put("customer.profiles", profile, shown)
        elif _VIEW not in profile.timers:
            self._workspace.timers.set(profile, _VIEW, due_s)
