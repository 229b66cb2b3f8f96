"""Plays a timeline: intake, personalise, generate, learn and a sender over one log, in one thread and in virtual time.

The shell of a lane (workers/adapters/lanes/lane.py) is reimplemented in the simplest way: it fetches committed records,
hands them to the pure core with a bounded clock and with whether all is there, and commits everything or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from math import floor
from typing import Any, cast
from zlib import crc32

import msgspec

from benchmarks.memory_store import MemoryStore
from schemas.learning import ArmStatistics
from tests.simulation import faults, learnt
from tests.simulation.log import Log, Place, Transaction
from tests.simulation.oracle import Batch, Judge
from tests.simulation.person import PERSONAL
from tests.simulation.plan import ALL, Plan, Step
from tests.simulation.rules import CART, DOUBTFUL, HOUR, LEARNING, SHADE, Shop, playbook
from workers.adapters.lanes.broker_time import BrokerTime
from workers.adapters.lanes.poison_records import PoisonRecordGuard
from workers.core.attribution.processor import AttributionConfig, AttributionProcessor
from workers.core.decisioning.control_state import ControlState
from workers.core.intake.mapping import Intake
from workers.core.intake.processor import IntakeProcessor
from workers.core.partition import keys
from workers.core.personalisation.processor import PersonalisationConfig, PersonalisationProcessor
from workers.core.profile import model as profiles
from workers.core.stream.effects import Effects, Processor
from workers.core.stream.records import Record, StateStore

SOURCE, EVENTS, FEEDBACK = "shop.events", "customer.events", "message.feedback"
CANDIDATES, VERDICTS = "message.candidates", "message.verdicts"
DECISIONS, OUTCOMES = "message.decisions", "message.outcomes"
#: Maximum by which a lane's clock may be ahead of the broker's [s].
TOLERANCE_S = 60.0
#: Maximum number of timers in a batch; no world has as many.
TIMERS_PER_BATCH = 60
_AT_MOST = 400
_PERSONALISE = (EVENTS, CANDIDATES, FEEDBACK, VERDICTS)
_LEARN = (DECISIONS, OUTCOMES, FEEDBACK, EVENTS)


def _evidence(best: str) -> dict[str, dict[str, ArmStatistics]]:
    arms = {
        arm: ArmStatistics(arm=arm, context="young", trials=40, rewards=24 if arm == best else 8, reward_squares=24)
        for arm in ("warm", "cool", "no-send")
    }
    return {"young": arms}


_EVIDENCE = [{}, *({CART: _evidence(best), SHADE: _evidence(best)} for best in ("warm", "cool", "no-send"))]


class Switches(msgspec.Struct, frozen=True, kw_only=True):
    """The protections of the shell that are on: all of them, unless a test checks the damage without one."""

    bounds_clock: bool = True
    waits_for_open: bool = True
    waits_for_intake: bool = True


class Lane:
    """One lane and its shell. `paced_by`: topics that must be read to their end before timers fire."""

    def __init__(self, number: int, topics: tuple[str, ...], paced_by: tuple[str, ...], build: Any) -> None:
        self.number, self.topics, self.paced_by = number, topics, paced_by
        self.store = MemoryStore()
        self.clock_s = 0.0
        self.applied: dict[str, int] = dict.fromkeys(topics, 0)
        self._build: Callable[[Lane], PoisonRecordGuard] = build
        self.begin()

    def begin(self) -> None:
        """Resets the lane as after a start: only the committed state is kept."""
        self.fetched = dict(self.applied)
        self.deferred: list[Record] = []
        self.more_due = False
        self.time = BrokerTime(TOLERANCE_S)
        self.core = self._build(self)

    def take(self, log: Log, limits: tuple[int, ...]) -> list[Record]:
        """Returns the next records in the order of their append, those of each topic in the order of their offsets."""
        found: list[Record] = []
        for topic, limit in zip(self.topics, limits, strict=True):
            records, self.fetched[topic] = log.fetch((topic, self.number), self.fetched[topic], limit)
            found.extend(records)
        return [*self.deferred, *sorted(found, key=lambda record: record.appended_at_s)]


class World:
    """One world. `run` plays its whole timeline until it is at rest; `judge` has the violations."""

    def __init__(self, plan: Plan, switches: Switches | None = None) -> None:
        self.plan, self.shop = plan, plan.shop
        self.judge = Judge(TOLERANCE_S)
        self._switches = switches or Switches()
        self.now_s = plan.start_s
        self._broker_skew_s = 0.0
        self._worker_skew_s = [0.0] * plan.partitions
        #: The newest time that the broker's clock has shown.
        self._furthest_s = 0.0
        self._zones = dict(plan.users)
        self._home = {name: number % plan.partitions for number, (name, _) in enumerate(plan.users)}
        self.log = Log(self._broker_s)
        self._intake = IntakeProcessor(Intake("segment"))
        self._mapped = [0] * plan.sources
        self._open: dict[int, tuple[Transaction, int]] = {}
        self._playbook = playbook(self.shop)
        self._was_without_cart = False
        self._was_right = True
        self._control = ControlState()
        self._sent: list[tuple[bytes, int, bool]] = []
        #: The time at which the source record of an event was appended to the shop's topic.
        self._received_s: dict[tuple[str, int, int], float] = {}
        self._requests: list[dict[str, Any]] = []
        self._reviews: list[dict[str, Any]] = []
        self._messages: list[dict[str, Any]] = []
        numbers = range(plan.partitions)
        self.lanes = [Lane(number, _PERSONALISE, (EVENTS, FEEDBACK), self._personalise) for number in numbers]
        self.learners = [Lane(number, _LEARN, _LEARN, self._learn) for number in numbers]
        self._failed = [0] * plan.partitions
        self.learnt: list[list[tuple[str, bytes | None, bytes | None]]] = [[] for _ in numbers]
        self._more_in_a_row = 0
        self._has_future_records: set[int] = set()
        self._silent: set[str] = set()
        #: Every batch of personalise: (lane, records, outputs).
        self.trace: list[tuple[int, list[Record], list[tuple[str, Any]]]] = []

    # -- the parts ---------------------------------------------------------------------------------------------------

    def _partition_of(self, key: bytes) -> int:
        return self._home.get(key.decode(), crc32(key) % self.plan.partitions)

    def _personalise(self, lane: Lane) -> PoisonRecordGuard:
        config = PersonalisationConfig(
            clock="wall",
            partition_of=self._partition_of,
            salt="salt",
            seed=str(self.plan.seed),
            lanes=self.plan.partitions,
            timers_per_batch=TIMERS_PER_BATCH,
        )

        def build(store: StateStore) -> Processor:
            return PersonalisationProcessor(config, self._playbook, store, lane.clock_s, lambda: self._control)

        return PoisonRecordGuard(build, lane.store, "personalise")

    def _learn(self, lane: Lane) -> PoisonRecordGuard:
        config = AttributionConfig(clock="wall", partition_of=self._partition_of)

        def build(store: StateStore) -> Processor:
            return AttributionProcessor(config, LEARNING, store, lane.clock_s)

        return PoisonRecordGuard(build, lane.store, "learn")

    def _broker_s(self) -> float:
        return floor((self.now_s + self._broker_skew_s) * 1000) / 1000

    def _wall_s(self, lane: Lane) -> float:
        """Returns the time of a lane: its worker's clock, bounded by the broker's."""
        wall_s = self.now_s + self._worker_skew_s[lane.number]
        if not self._switches.bounds_clock:
            return wall_s
        if lane.time.must_probe(wall_s, self.now_s):
            lane.time.observe(self._broker_s(), self.now_s)
        return lane.time.bounded(wall_s, self.now_s)

    def _caught_up(self, lane: Lane) -> bool:
        """Returns whether all records of the log have been fetched, including hidden and unmapped ones."""
        for topic in lane.paced_by:
            place = (topic, lane.number)
            end = self.log.high_water(place) if self._switches.waits_for_open else self.log.stable(place)
            if lane.fetched[topic] < end:
                return False
        if not self._switches.waits_for_intake:
            return True
        return all(self._mapped[source] >= self.log.high_water((SOURCE, source)) for source in range(self.plan.sources))

    # -- playing -----------------------------------------------------------------------------------------------------

    def run(self, *, first_only: bool = False) -> Judge:
        """Plays the timeline until the world is at rest. `first_only`: stops at the first violation."""
        with self.playing():
            if self._steps(first_only=first_only):
                self.compare()
                self.rest(first_only=first_only)
        return self.judge

    def _steps(self, *, first_only: bool) -> bool:
        for step in self.plan.steps:
            self.do(step)
            if first_only and self.judge.violations:
                return False
        return True

    def compare(self) -> None:
        """Compares this world so far with the same world without a control group."""
        if not self.plan.shop.holdout:
            return
        shop = msgspec.structs.replace(self.plan.shop, holdout=0.0)
        twin = World(msgspec.structs.replace(self.plan, shop=shop), self._switches)
        twin._silent = (
            self.judge.held_out
        )  # feedback on messages that exist only there would change the slots of others
        with twin.playing():
            twin._steps(first_only=False)
        self.judge.compare(twin.judge)

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Enables the faults of the timeline inside the block."""
        with faults.armed() as self._faults:
            yield

    def do(self, step: Step) -> None:
        """Plays one step of the timeline."""
        getattr(self, f"_do_{step[0]}")(*step[1:])

    def _do_pass(self, seconds: float) -> None:
        self.now_s += seconds

    def _do_event(
        self, number: int, user: str, kind: str, args: tuple[Any, ...], skew_s: float, late_s: float, source: int
    ) -> None:
        about: dict[str, Any] = {}
        match kind:
            case "add":
                name = "Product Added"
                about = {"cart_id": args[0], "product_id": args[1], "price": 10.0, "currency": "EUR"}
            case "buy":
                name = "Order Completed"
                products = [{"product_id": args[1], "price": 10.0}]
                about = {"cart_id": args[0], "order_id": f"{user}-{args[2]}", "total": 10.0, "currency": "EUR"}
                about["products"] = products
            case "view":
                name, about = "Product Viewed", {"product_id": args[0]}
            case _:
                name = "Consent Updated"
                about = {"status": "subscribed" if kind == "yes" else "unsubscribed"}
                if args[0] == PERSONAL:
                    about["purpose"] = PERSONAL
                elif args[0]:
                    about["channel"] = args[0]
        at_s = self.now_s - late_s + skew_s
        event = {
            "type": "track",
            "event": name,
            "messageId": f"e{number}",
            "timestamp": _iso(at_s),
            "userId": user,
            "context": {"timezone": self._zones[user]},
            "properties": about,
        }
        value = json.dumps(event).encode()
        record = self.log.append(SOURCE, source, None, value)
        self._sent.append((value, source, skew_s > 0))
        self.judge.event_appended(event, record.appended_at_s)

    def _do_again(self, back: int, source: int) -> None:
        """Repeats an event of a device; if its clock is ahead, the first copy must be read first."""
        if self._sent:
            value, first_source, is_ahead = self._sent[-1 - back % len(self._sent)]
            self.log.append(SOURCE, first_source if is_ahead else source, None, value)

    def _do_poison(self, number: int, user: str, source: int) -> None:
        event = {
            "type": "track",
            "event": faults.POISON,
            "messageId": f"p{number}",
            "timestamp": _iso(self.now_s),
            "userId": user,
            "context": {"timezone": self._zones[user]},
        }
        self.log.append(SOURCE, source, None, json.dumps(event).encode())

    def _do_zone(self, name: str) -> None:
        """Changes the time zone data and restarts every worker with them."""
        self._faults.remove_zone(name)
        for lane in range(len(self.lanes)):
            self._do_restart(lane)

    def _do_curse(self, user: str) -> None:
        """Makes our code raise when it builds a message for this customer ("" = for none)."""
        self._faults.failing = {user} - {""}

    def _do_intake(self, source: int, limit: int, how: str) -> None:
        """Runs intake on a source; `how`: the transaction is committed, stays open, or is aborted."""
        self._do_settle(source, True)
        records, position = self.log.fetch((SOURCE, source), self._mapped[source], limit)
        if not records:
            return
        transaction = Transaction()
        effects = self._intake.apply(records, self.now_s, caught_up=False)
        events = [output for output in effects.outputs if output.topic == EVENTS]
        for record, output in zip(records, events, strict=True):  # every event of a world can be mapped
            partition = self._partition_of(output.key or b"")
            mapped = self.log.append(EVENTS, partition, output.key, output.value, transaction)
            self._received_s[EVENTS, partition, mapped.offset] = record.appended_at_s
        self._open[source] = transaction, position
        if how != "open":
            self._do_settle(source, how == "commit")
        else:
            self.judge.hits["a transaction of intake stays open"] += 1

    def _do_settle(self, source: int, good: bool) -> None:
        """Ends an open transaction of intake."""
        if (found := self._open.pop(source, None)) is not None:
            transaction, position = found
            transaction.state = "committed" if good else "aborted"
            if good:
                self._mapped[source] = position

    def _do_skew(self, who: str | int, seconds: float) -> None:
        self._was_right &= seconds == 0
        if isinstance(who, str):
            self._broker_skew_s = seconds
            self._furthest_s = max(self._furthest_s, seconds)
        else:
            self._worker_skew_s[who] = seconds

    def _do_travel(self, user: str, zone: str) -> None:
        """Changes the time zone of a customer's events."""
        self._zones[user] = zone

    def _do_restart(self, number: int) -> None:
        if any(key.startswith(keys.TIMER) and b"deadline|" in key for key in self.lanes[number].store.values):
            self.judge.hits["a restart with open requests"] += 1
        self.lanes[number].begin()

    def _do_shop(self, changes: tuple[tuple[str, Any], ...]) -> None:
        """Changes the playbook and restarts every worker with it."""
        self.shop = msgspec.structs.replace(self.shop, **dict(changes))
        self._playbook = playbook(self.shop)
        self._was_without_cart |= CART not in self.shop.mode
        for lane in range(len(self.lanes)):
            self._do_restart(lane)

    def _do_pause(self, scope: str) -> None:
        self._control = msgspec.structs.replace(self._control, paused=self._control.paused | {scope})

    def _do_resume(self) -> None:
        self._control = msgspec.structs.replace(self._control, paused=frozenset())

    def _do_evidence(self, number: int) -> None:
        self._control = msgspec.structs.replace(self._control, evidence=_EVIDENCE[number])

    def _do_words(self, back: int, how: str) -> None:
        """Lets the LLM answer one of the newest requests, with a good or bad text."""
        if not self._requests:
            return
        request = self._requests[-1 - back % len(self._requests)]
        name, user = request["message_id"], request["user_id"]
        candidate: dict[str, Any] = {
            "message_id": name if how != "unknown" else "f" * 32,
            "user_id": user,
            "text": {
                "title": "Still there",
                "body": {"empty": "", "doubtful": DOUBTFUL}.get(how, "It is still in your cart."),
            },
            "generated_by": "template" if how == "template" else "llm",
            "verdicts": [{"name": "unsupported", "passed": False, "doubtful": True}] if how == "doubtful" else [],
            "usage": {"model": "m", "calls": 2 if how == "reask" else 1},
            "prompt_version": request["prompt_version"],
            "generated_at": _iso(self.now_s),
        }
        if how == "other":
            others = [other for other in self._home if other != user and self._home[other] == self._home[user]]
            user = candidate["user_id"] = others[0] if others else user
        value = json.dumps(candidate).encode()
        if how == "garbage":
            value = value[: len(value) // 2]
        self.log.append(CANDIDATES, self._home[user], user.encode(), value)

    def _do_verdict(self, number: int, back: int, what: str) -> None:
        if not self._reviews:
            return
        review = self._reviews[-1 - back % len(self._reviews)]
        verdict = {
            "verdict_id": f"v{number}",
            "message_id": review["message_id"],
            "user_id": review["user_id"],
            "verdict": what,
            "reviewer": "vera",
            "decided_at": _iso(self.now_s),
        }
        if what == "rate":
            verdict["rating"] = 4
        if what == "edit":
            verdict["text"] = {"title": "Still there", "body": "It is still in your cart."}
        user = str(review["user_id"])
        self.log.append(VERDICTS, self._home[user], user.encode(), json.dumps(verdict).encode())

    def _do_deliver(self, number: int, back: int, status: str, skew_s: float, astray: bool) -> None:
        """Sends feedback on one of the newest messages. `astray`: to the wrong partition."""
        messages = [message for message in self._messages if message["user_id"] not in self._silent]
        if not messages:
            return
        message = messages[-1 - back % len(messages)]
        feedback = {
            "event_id": f"f{number}",
            "message_id": message["message_id"],
            "user_id": message["user_id"],
            "channel": message["channel"],
            "status": "bounced" if status in ("hard", "soft") else status,
            "timestamp": _iso(self.now_s + skew_s),
        }
        if status in ("hard", "soft"):
            feedback["bounce_type"] = status
        user, home = message["user_id"], self._home[message["user_id"]]
        partition = (home + astray) % self.plan.partitions
        record = self.log.append(FEEDBACK, partition, user.encode(), json.dumps(feedback).encode())
        if partition == home:
            self.judge.reported(feedback, record.appended_at_s)

    def _do_learn(self, number: int, limit: int) -> None:
        lane = self.learners[number]
        records = lane.take(self.log, (limit,) * len(_LEARN))
        effects = _result(lane.core.apply(records, self._wall_s(lane), caught_up=self._caught_up(lane)))
        lane.store.commit(effects)
        lane.clock_s, lane.applied = effects.clock_s, dict(lane.fetched)
        if any(learnt.is_ahead(record, effects.clock_s) for record in records):
            self._has_future_records.add(number)
        self.learnt[number].extend((output.topic, output.key, output.value) for output in effects.outputs)

    def _do_lane(self, number: int, limits: tuple[int, ...], dies: bool) -> None:
        """Runs one batch of personalise. `dies`: its worker is killed before the commit."""
        lane = self.lanes[number]
        if self.log.stable((EVENTS, number)) < self.log.high_water((EVENTS, number)):
            self.judge.hits["events are hidden from a lane"] += 1
        records = lane.take(self.log, limits)
        caught_up = self._caught_up(lane)
        if not caught_up and any(record.topic in (CANDIDATES, VERDICTS) for record in records):
            self.judge.hits["a text arrives during a backlog"] += 1
        broker_s = self._broker_s()
        try:
            effects = _result(lane.core.apply(records, self._wall_s(lane), caught_up=caught_up))
        except Exception as error:  # noqa: BLE001 # the worker exits and is restarted
            self._failed[number] += 1
            if self._failed[number] >= 3:
                self.judge.stuck(f"lane {number} crashes repeatedly: {type(error).__name__}: {error}")
                self._failed[number] = 0
            lane.begin()
            return
        if dies:
            self.judge.hits["a worker is killed before its commit"] += 1
            lane.begin()
            return
        self._failed[number] = 0
        self._commit(lane, records, effects, broker_s, caught_up=caught_up)

    def _known_s(self, record: Record) -> float:
        """Returns the time at which the content of a record was first in the log."""
        received_s = self._received_s.get((record.topic, record.partition, record.offset), record.appended_at_s)
        return min(received_s, record.appended_at_s)

    def _commit(self, lane: Lane, records: list[Record], effects: Effects, broker_s: float, *, caught_up: bool) -> None:
        lane.store.commit(effects)
        lane.time.observe(broker_s, self.now_s)
        lane.clock_s = effects.clock_s
        lane.deferred, lane.more_due = effects.deferred, effects.more_due
        later = {(record.topic, record.offset) for record in effects.deferred}
        lane.applied = dict(lane.fetched)
        for topic, offset in later:
            lane.applied[topic] = min(lane.applied[topic], offset)
        outputs = []
        for output in effects.outputs:
            value = json.loads(output.value or b"null")
            outputs.append((output.topic, value))
            partition = lane.number if output.partition is None else output.partition
            if output.topic in (DECISIONS, OUTCOMES, FEEDBACK):
                record = self.log.append(output.topic, partition, output.key, output.value)
                if output.topic == FEEDBACK:
                    self.judge.reported(value, record.appended_at_s)
            if output.topic == "message.requests":
                self._requests.append(value)
            elif output.topic == "message.reviews":
                self._reviews.append(value)
            elif output.topic.startswith("messages."):
                self._messages.append(value)
        applied = [record for record in records if (record.topic, record.offset) not in later]
        self.trace.append((lane.number, applied, outputs))
        self.judge.batch(
            Batch(
                lane=lane.number,
                records=[
                    (record.topic, _read(record), self._known_s(record))
                    for record in applied
                    if self._partition_of(record.key or b"")
                    == lane.number  # records in the wrong partition are forwarded
                ],
                outputs=outputs,
                clock_s=effects.clock_s,
                broker_s=broker_s,
                newest_broker_s=self.now_s + self._furthest_s,
                shop=self.shop,
                paused=self._control.paused,
                removed_zone=self._faults.removed_zone,
                caught_up=caught_up,
            )
        )
        self._more_in_a_row = self._more_in_a_row + 1 if effects.more_due and not records else 0
        if self._more_in_a_row > 3:
            self.judge.stuck(f"lane {lane.number} fires timers forever")
            self._more_in_a_row = 0

    # -- the end -----------------------------------------------------------------------------------------------------

    def rest(self, *, first_only: bool = False) -> None:
        """Corrects all clocks, runs all workers, and advances time until nothing is due."""
        self._broker_skew_s, self._worker_skew_s = 0.0, [0.0] * self.plan.partitions
        self._do_resume()
        everything = (ALL,) * 4
        for _ in range(_AT_MOST):
            for source in range(self.plan.sources):
                self._do_intake(source, ALL, "commit")
            for lane in self.lanes:
                for _ in range(8):
                    self._do_lane(lane.number, everything, False)
                    if self.judge.violations and (first_only or self.judge.is_stuck):
                        return
                    if not (lane.more_due or lane.deferred):
                        break
            due_s = self._next_due_s()
            if due_s is None:
                break
            self.now_s = max(self.now_s + 1.0, due_s)
        else:
            self.judge.stuck("the world never comes to rest")
        self._do_pass(LEARNING.attribution_s)
        for lane in self.learners:
            self._do_learn(lane.number, ALL)
            self._do_pass(60.0)
            self._do_learn(lane.number, ALL)
            lane_records = [
                record
                for topic in _LEARN
                for record in self.log.committed((topic, lane.number))
                if self._partition_of(record.key or b"") == lane.number
            ]
            outputs = self.learnt[lane.number]
            for text in learnt.differences(
                lane_records, outputs, lane.number, self.now_s, whole=lane.number not in self._has_future_records
            ):
                self.judge.miscounted(text)
        self.judge.settled(self._pictures(), self.shop, whole=not self._was_without_cart, right=self._was_right)

    def _next_due_s(self) -> float | None:
        due = []
        for lane in self.lanes:
            for key in lane.store.values:
                if key.startswith(keys.TIMER):
                    due_s, _, timer = keys.parse_timer(key)
                    if timer != "view":
                        due.append(due_s)
        return min(due, default=None)

    def _pictures(self) -> dict[str, Any]:
        """Returns the content of the profiles in the form of the oracle."""
        found = {}
        for lane in self.lanes:
            for key, value in lane.store.values.items():
                if key.startswith(keys.PROFILE):
                    profile = profiles.decode(value)
                    found[profile.customer_id] = _picture(profile)
        return found


def _result(effects: Coroutine[Any, Any, Effects]) -> Effects:
    """Runs a coroutine that does not wait for anything."""
    try:
        effects.send(None)
    except StopIteration as end:
        return cast("Effects", end.value)
    raise AssertionError("the coroutine waits for something")


def _picture(profile: profiles.Profile) -> dict[str, Any]:
    def allows(channel: str) -> bool:
        statement, everywhere = profile.consent.get(f"{channel}:marketing"), profile.consent.get("*:marketing")
        if statement is None or not statement.granted:
            return False
        return everywhere is None or everywhere.captured_at < statement.captured_at

    return {
        "events": profile.events,
        "counts": dict(profile.counts),
        "orders": profile.orders,
        "carts": {
            name: (
                cart.opened_at,
                cart.updated_at,
                {product: line.added_at for product, line in sorted(cart.lines.items())},
            )
            for name, cart in sorted(profile.carts.items())
        },
        "allowed": [channel for channel in ("push", "email") if allows(channel)],
    }


def _read(record: Record) -> dict[str, Any] | None:
    """Returns a record as JSON; None if it is not JSON, or makes our own code raise."""
    try:
        value = json.loads(record.value or b"null")
    except ValueError:
        return None
    return value if isinstance(value, dict) and value.get("event") != faults.POISON else None


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(floor(at_s * 1000) / 1000, UTC).isoformat()


__all__ = ["HOUR", "Place", "Shop", "Switches", "World"]
