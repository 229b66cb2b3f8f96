"""Removes each protection, in tests only: the simulator must detect the damage. Run as a module, it prints the table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import msgspec

from schemas import codec
from schemas.events import AnyEvent
from tests.simulation import faults
from tests.simulation.plan import Plan
from tests.simulation.run import play
from tests.simulation.world import Switches, World
from workers.adapters.lanes.poison_records import PoisonRecordGuard
from workers.core.attribution import validation
from workers.core.decisioning import frequency_caps, policy, quiet_hours
from workers.core.decisioning.policy import DecisionContext, PolicyDecision
from workers.core.partition.clock import WallClock
from workers.core.personalisation import processor
from workers.core.personalisation.decisions import DecisionMaker
from workers.core.personalisation.processor import PersonalisationProcessor
from workers.core.personalisation.requests import OpenRequests
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import QuietHours
from workers.core.profile import carts, dedupe
from workers.core.profile.model import OpenRequest, PendingText, Profile
from workers.core.publishing import recheck, review_rules
from workers.core.stream.effects import Effects
from workers.core.stream.records import Record
from workers.core.triggers.base import Objection, Occurrence
from workers.core.triggers.registry import Triggers

SEEDS = 2_000
Patch = Callable[[], Any]


class Reverted(msgspec.Struct, frozen=True, kw_only=True):
    """One removed protection. `rules`: those that must be broken then; `switches` of the shell; `patches` of the core."""

    name: str
    rules: tuple[str, ...]
    switches: Switches = Switches()
    patches: tuple[Patch, ...] = ()

    @contextmanager
    def off(self) -> Iterator[Callable[[Plan], World]]:
        """Yields the constructor of a world without the protection."""
        with ExitStack() as stack:
            for patch in self.patches:
                stack.enter_context(patch())
            yield lambda plan: World(plan, self.switches)

    def seeds_needed(self) -> int | None:
        """Returns the number of seeds until the damage is detected; None = more than SEEDS."""
        with self.off() as make:
            tally = play(0, SEEDS, make, stop=lambda tally: bool(tally.broken.keys() & set(self.rules)))
        found = [seed for rule, seed in tally.broken.items() if rule in self.rules]
        return min(found) + 1 if found else None


def _ends_at(quiet: QuietHours, zone: str, now_s: float) -> float | None:
    """Returns the first time at which the clock shows the end of quiet hours, even if it is in the past."""
    local = datetime.fromtimestamp(now_s, UTC).astimezone(quiet_hours._zone(zone))
    minute, start, end = local.hour * 60 + local.minute, _minute(quiet.start), _minute(quiet.end)
    if not (start <= minute < end if start < end else minute >= start or minute < end):
        return None
    day = local.date() + timedelta(days=1) if minute >= end else local.date()
    return datetime(day.year, day.month, day.day, end // 60, end % 60, tzinfo=quiet_hours._zone(zone)).timestamp()


def _minute(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)


def _release(self: OpenRequests, profile: Profile, opened: OpenRequest, held: PendingText, now_s: float) -> None:
    """Publishes texts that are ready at once, however much of the log their lane has read."""
    held.released = True
    self._publish_or_hold(profile, opened, held, now_s)


def _at_any_hour(profile: Profile, playbook: Playbook, channel: str, category: str, now_s: float) -> float:
    """Allows publishing at any hour."""
    return now_s


def _without_receipt_time(value: bytes | None) -> AnyEvent:
    """Decodes an event without the time at which it was received."""
    return msgspec.structs.replace(_decode_event(value), received_at=None)


def _by_processing(self: WallClock, record: Record) -> float:
    """Dates a statement by the time at which it is read."""
    return self.now_s


def _hold_out(profile: Profile, playbook: Playbook, situation: DecisionContext, ruling: PolicyDecision) -> None:
    """Holds customers out for every campaign, including shadow campaigns."""
    is_shadow, ruling.shadow = ruling.shadow, False
    _hold_out_now(profile, playbook, situation, ruling)
    ruling.shadow = is_shadow and ruling.reason is None


def _ruling(
    self: DecisionMaker, profile: Profile, occurrence: Occurrence, situation: DecisionContext, *, its_turn: bool
) -> PolicyDecision:
    """Draws first, then waits for a slot and draws again; decisions not to send do not wait."""
    ruling = _ruling_now(self, profile, occurrence, situation, its_turn=True)
    if ruling.defer_until_s is None and ruling.reason is None and ruling.channel is not None and not its_turn:
        turn_s = self._pace.turn(ruling.channel, situation.now_s)
        if turn_s > situation.now_s:
            ruling.defer_until_s, ruling.deferred_for = turn_s, "rate"
    return ruling


def _objection(profile: Profile, opened: OpenRequest, *rest: Any) -> Objection | None:
    """Ignores changes of a campaign's mode after the decision."""
    found = _objection_now(profile, opened, *rest)
    if found is None or opened.shadow or found[0] not in ("shadow", "not_in_rollout"):
        return found
    return ("holdout", "") if opened.held_out else None


def _open(self: OpenRequests, profile: Profile, opened: OpenRequest, now_s: float) -> bool:
    """Lets a message expire relative to its decision."""
    opened.expires_at = opened.requested_at + self._playbook.campaigns[opened.campaign_id].ttl_s
    return _open_now(self, profile, opened, now_s)


def _raises(self: PersonalisationProcessor, profile: Profile, timer: str, error: Exception) -> None:
    """Lets a timer that raises stop its lane."""
    raise error


async def _note_caught_up(self: PoisonRecordGuard, records: list[Record], wall_s: float, *, caught_up: bool) -> Effects:
    _caught_up[id(self)] = caught_up
    return await _apply_now(self, records, wall_s, caught_up=caught_up)


def _up_to_the_first(self: PoisonRecordGuard, records: list[Record], wall_s: float, error: Exception) -> Effects:
    """Applies the records before one that raises as if there were no records after it."""
    place = next((place for place, record in enumerate(records) if faults.POISON.encode() in (record.value or b"")), -1)
    if place < 0:
        raise error
    core = self._core = self._build(self._store)
    effects = core.apply(records[:place], wall_s, caught_up=_caught_up[id(self)])
    self._add_dead_letters([records[place]], effects, wall_s, error)
    effects.deferred, effects.more_due = records[place + 1 :], True
    return effects


def _with_shadows(*args: Any, **named: Any) -> Any:
    """Counts shadow sends like real ones."""
    return _exceeded_now(*args, **{**named, "shadow": True})


def _hold_out_at_random(
    profile: Profile, playbook: Playbook, situation: DecisionContext, ruling: PolicyDecision
) -> None:
    """Draws the control group again for each decision."""
    customer_id, profile.customer_id = profile.customer_id, situation.decision_id
    _hold_out_now(profile, playbook, situation, ruling)
    profile.customer_id = customer_id


_decode_event = codec.decode_event
_hold_out_now, _objection_now, _exceeded_now = policy._hold_out, recheck.objection, frequency_caps.exceeded_cap
_ruling_now, _open_now, _apply_now = DecisionMaker._ruling, OpenRequests.open, PoisonRecordGuard.apply
_caught_up: dict[int, bool] = {}


def _put(where: Any, name: str, old: Any) -> Patch:
    return lambda: mock.patch.object(where, name, old)


REVERTED = (
    Reverted(
        name="generated texts are published at once",
        rules=("consent", "bought"),
        patches=(_put(OpenRequests, "_release", _release),),
    ),
    Reverted(
        name="texts that are ready ignore quiet hours",
        rules=("quiet hours",),
        patches=(_put(policy, "publishable_at", _at_any_hour),),
    ),
    Reverted(
        name="the last stable offset counts as the end of a topic, and timers do not wait for intake",
        rules=("consent", "bought"),
        switches=Switches(waits_for_open=False, waits_for_intake=False),
    ),
    Reverted(
        name="timers do not wait for unmapped events of intake",
        rules=("consent", "bought"),
        switches=Switches(waits_for_intake=False),
    ),
    Reverted(
        name="a consent statement counts from when it is read, however far its clock was ahead",
        rules=("consent", "profile"),
        patches=(_put(WallClock, "known_at", _by_processing), _put(codec, "decode_event", _without_receipt_time)),
    ),
    Reverted(
        name="a lane uses its worker's clock, however far that has jumped",
        rules=("clock",),
        switches=Switches(bounds_clock=False),
    ),
    Reverted(
        name="a shadow campaign has a control group",
        rules=("shadow",),
        patches=(_put(policy, "_hold_out", _hold_out),),
    ),
    Reverted(
        name="the arm is drawn before the wait for a slot, and again after it",
        rules=("propensity",),
        patches=(_put(DecisionMaker, "_ruling", _ruling),),
    ),
    Reverted(
        name="a timer that raises stops its lane",
        rules=("stuck",),
        patches=(_put(PersonalisationProcessor, "_failed", _raises),),
    ),
    Reverted(
        name="records before one that raises are applied as caught up",
        rules=("consent", "bought"),
        patches=(
            _put(PoisonRecordGuard, "apply", _note_caught_up),
            _put(PoisonRecordGuard, "_without_poison", _up_to_the_first),
        ),
    ),
    Reverted(
        name="the mode of a campaign is not checked again before publishing",
        rules=("rollout",),
        patches=(_put(recheck, "objection", _objection),),
    ),
    Reverted(
        name="the time to live of a message starts at its decision",
        rules=("expiry",),
        patches=(_put(OpenRequests, "open", _open),),
    ),
    Reverted(
        name="published messages are never cancelled",
        rules=("cancellation",),
        patches=(_put(OpenRequests, "recall", lambda _self, _profile, _now_s: None),),
    ),
    Reverted(
        name="caps are not checked",
        rules=("cap",),
        patches=(_put(policy, "exceeded_cap", lambda *_args, **_named: None),),
    ),
    Reverted(
        name="shadow sends count against the caps of real ones",
        rules=("cap",),
        patches=(_put(policy, "exceeded_cap", _with_shadows),),
    ),
    Reverted(
        name="a pause while a text is awaited is ignored",
        rules=("pause",),
        patches=(_put(recheck, "paused_by", lambda *_args: None),),
    ),
    Reverted(
        name="model-written texts need no review",
        rules=("review",),
        patches=(_put(review_rules, "review_reason", lambda *_args: ""),),
    ),
    Reverted(
        name="a doubtful text needs no person",
        rules=("doubt",),
        patches=(_put(review_rules, "doubt", lambda *_args: ""),),
    ),
    Reverted(
        name="the control group is drawn again for each decision",
        rules=("holdout",),
        patches=(_put(policy, "_hold_out", _hold_out_at_random),),
    ),
    Reverted(
        name="a repeated event counts again",
        rules=("profile",),
        patches=(_put(dedupe, "is_duplicate", lambda *_args: False),),
    ),
    Reverted(
        name="decided occurrences are forgotten",
        rules=("ledger", "ids"),
        patches=(_put(Triggers, "done", lambda *_args: None),),
    ),
    Reverted(
        name="an order does not close its cart",
        rules=("bought", "profile"),
        patches=(_put(carts, "close_bought", lambda *_args, **_named: []),),
    ),
    Reverted(
        name="learn does not see orders",
        rules=("counts",),
        patches=(_put(validation, "may_be_order", lambda _value: False),),
    ),
    Reverted(
        name="quiet hours end when the clock first shows their end, and a timer set to the past fires again",
        rules=("quiet hours", "stuck"),
        patches=(_put(quiet_hours, "ends_at", _ends_at), _put(processor, "SPIN_S", 0.0)),
    ),
)


def table() -> Iterator[str]:
    """Yields the lines of the table in docs/simulation.md."""
    yield "| removed protection | rule that is broken | seeds needed |"
    yield "| --- | --- | --- |"
    for one in REVERTED:
        yield f"| {one.name} | {', '.join(one.rules)} | {one.seeds_needed()} |"


if __name__ == "__main__":
    for line in table():
        print(line, flush=True)  # noqa: T201 # output of the program
