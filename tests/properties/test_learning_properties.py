"""Whatever the order, the repetition, the batches and the restarts: the sums are those of the set of records."""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec
from tests.support.generators import examples
from tests.support.learning import (
    HOUR,
    LEARNING,
    NOON,
    Input,
    LearnHarness,
    Oracle,
    Sums,
    decision,
    feedback,
    order,
    outcome,
    refund,
    sums_of,
)

#: Six hours before customers count anew for the uplift of a campaign: 2024-03-18, a Monday, 00:00 UTC.
START = 1_710_720_000.0 - 6 * HOUR
#: When everything is read: the oldest decisions are out of their grace by then, the newest are open.
READ_AT = START + 20 * HOUR
USERS = ("ana", "bo", "cem")
MINUTES = st.integers(0, 20 * 60)
REASONS = ("requested", "requested", "requested", "holdout", "no_action_chosen", "consent", "shadow")
CAMPAIGNS, ARMS = ("cart", "welcome"), ("warm", "plain", None)
ENDS = ("published", "published", "published", "converted", "stale", "paused", None)
#: Mode and share of the control group.
TERMS = (("live", 0.1), ("live", 0.1), ("live", 0.1), ("live", 0.0), ("shadow", 0.1), ("", None))
DECISIONS = st.lists(
    st.tuples(
        MINUTES,
        st.sampled_from(USERS),
        st.sampled_from(REASONS),
        st.sampled_from(CAMPAIGNS),
        st.sampled_from(ARMS),
        st.sampled_from(ENDS),
        st.sampled_from(TERMS),
    ),
    min_size=1,
    max_size=8,
)
STATUSES = (
    *("sent", "delivered", "opened", "machine", "clicked", "clicked", "converted", "converted", "replied", "queued"),
    *("unsubscribed", "complained", "bounced", "failed", "rated", "rated", "rated"),
)
WRONGS = ("", "", "", "", "user", "unknown", "money", "currency")
FEEDBACK = st.lists(
    st.tuples(
        st.integers(0, 8),
        st.integers(-10, 14 * 60),
        st.sampled_from(STATUSES),
        st.sampled_from(WRONGS),
        st.integers(0, 3),
    ),
    max_size=16,
)
#: Of the customer of one of the decisions, or of somebody else, and so many minutes after that decision.
PRICED = (True, True, True, False)
TOLD = (*("made",) * 8, "refunded", "refunded in part", "refunded in CNY", "cancelled")
ORDERS = st.lists(
    st.tuples(
        st.integers(0, 8),
        st.integers(-60, 7 * 60),
        st.integers(0, 3),
        st.sampled_from(PRICED),
        st.sampled_from(TOLD),
    ),
    max_size=8,
)


def history(decisions: Any, feedbacks: Any, orders: Any) -> list[Input]:
    made: list[Input] = []
    for number, (minute, user, reason, campaign, arm, ended, (mode, share)) in enumerate(decisions):
        at_s = START + minute * 60
        fields: dict[str, Any] = {"campaign_id": campaign, "variation_id": arm, "mode": mode, "holdout_share": share}
        made.append(decision(number, at_s, user, reason, **fields))
        if reason == "requested" and ended is not None:
            made.append(outcome(number, at_s + 5, user, ended))
    for number, (about, minute, what, wrong, order_number) in enumerate(feedbacks):
        decided, user = decisions[about][:2] if about < len(decisions) else (0, "ana")
        # seconds apart, so that two ratings have an order
        at_s, event_id = START + (decided + minute) * 60 + number, f"f{number}"
        if wrong == "user":
            user = USERS[(USERS.index(user) + 1) % 3]
        fields = {}
        status = "opened" if what == "machine" else what
        if what == "machine":
            fields = {"machine_opened": True}
        if status == "rated":
            fields = {"rating": 1 + order_number if wrong != "money" else None}
        if status == "converted":
            fields = {"revenue": -1.0 if wrong == "money" else 7.1, "currency": None if wrong == "currency" else "EUR"}
            fields["order_id"] = f"order-{user}-{order_number}" if order_number else None
        made.append(feedback(event_id, 99 if wrong == "unknown" else about, status, at_s, user, **fields))
    for number, (about, minute, order_number, priced, what) in enumerate(orders):
        decided, user = decisions[about][:2] if about < len(decisions) else (0, USERS[about % 3])
        at_s = START + (decided + minute) * 60
        if what != "made":
            fields = {"cancelled": what == "cancelled"}
            if what.startswith("refunded in"):
                fields |= {"total": 4.5, "currency": "CNY" if what == "refunded in CNY" else None}
            made.append(refund(f"e{number}", f"order-{user}-{order_number}", at_s, user, **fields))
            continue
        fields = {
            "order_id": f"order-{user}-{order_number}",
            "total": 10.01 + number,
            "currency": "EUR" if priced else None,
        }
        made.append(order(f"e{number}", at_s, user, **fields))
    return made


def play(values: list[Input], seed: int, cuts: list[int], repeats: list[int]) -> LearnHarness:
    """The values in any order and some of them twice, cut into batches with a restart before each."""
    lane, rng = LearnHarness(), random.Random(seed)
    mixed = [*values, *(values[index % len(values)] for index in repeats)]
    rng.shuffle(mixed)
    lane.wall_s = READ_AT
    for first, last in pairwise(sorted({0, len(mixed), *(cut % len(mixed) for cut in cuts)})):
        lane.run(*mixed[first:last], caught_up=False)
        lane.restart()
    return lane


@settings(max_examples=examples(150), deadline=None)
@given(
    decisions=DECISIONS,
    feedbacks=FEEDBACK,
    orders=ORDERS,
    seed=st.integers(0, 2**32),
    cuts=st.lists(st.integers(0, 60), max_size=5),
    repeats=st.lists(st.integers(0, 60), max_size=10),
)
def test_the_sums_are_those_of_the_set_of_records(
    decisions: Any, feedbacks: Any, orders: Any, seed: int, cuts: list[int], repeats: list[int]
) -> None:
    _check(history(decisions, feedbacks, orders), seed, cuts, repeats)


def test_the_sums_of_long_histories_are_those_of_the_set_of_records() -> None:
    """Hypothesis likes short lists; here there is of everything enough to meet everything else."""
    hits, histories = Counter[str](), examples(100)
    for seed in range(histories):
        rng = random.Random(seed)

        def one(of: tuple[Any, ...], rng: random.Random = rng) -> Any:
            return rng.choice(of)

        decisions = [
            (rng.randint(0, 20 * 60), one(USERS), one(REASONS), one(CAMPAIGNS), one(ARMS), one(ENDS), one(TERMS))
            for _ in range(rng.randint(5, 25))
        ]
        feedbacks = [
            (rng.randrange(len(decisions)), rng.randint(-10, 14 * 60), one(STATUSES), one(WRONGS), rng.randint(0, 3))
            for _ in range(rng.randint(0, 40))
        ]
        orders = [
            (rng.randrange(len(decisions)), rng.randint(-60, 7 * 60), rng.randint(0, 3), one(PRICED), one(TOLD))
            for _ in range(rng.randint(0, 20))
        ]
        cuts, repeats = [rng.randrange(60) for _ in range(5)], [rng.randrange(60) for _ in range(10)]
        final = _check(history(decisions, feedbacks, orders), seed, cuts, repeats)
        hits.update({name for row in final.values() for name in row})
    for what in ("requested_customers_converted", "holdout_customers_converted", "revenue", "holdout_revenue", "rated"):
        assert hits[what] >= histories * 0.25, f"a quarter of the histories must have {what}"


def _check(values: list[Input], seed: int, cuts: list[int], repeats: list[int]) -> Sums:
    oracle = Oracle(values, LEARNING, READ_AT, sealed_s=READ_AT + 3 * HOUR)
    lane = play(values, seed, cuts, repeats)

    lane.tick(READ_AT + 10, caught_up=False)
    snapshots = {snapshot.campaign_id: snapshot for snapshot in lane.snapshots}
    for campaign in ("cart", "welcome"):
        shown = snapshots[campaign].arms if campaign in snapshots else []
        told = {(arm.context, arm.arm): (arm.trials, arm.pending, arm.rewards, arm.reward_squares) for arm in shown}
        expected = oracle.statistics(campaign, READ_AT + 10)
        assert told.keys() == expected.keys()
        for key, numbers in told.items():
            assert numbers == pytest.approx(expected[key], abs=1e-9)

    lane.tick(READ_AT + 2 * HOUR)  # what waits has waited long enough
    lane.tick(READ_AT + 3 * HOUR)
    assert sums_of(lane.metrics) == oracle.rows

    lane.restart()
    lane.tick(READ_AT + 40 * HOUR)
    lane.tick(READ_AT + 80 * HOUR)
    oracle = Oracle(values, LEARNING, READ_AT, sealed_s=READ_AT + 80 * HOUR)
    assert counts(sums_of(lane.metrics)) == counts(oracle.rows), "every decision is counted for good"
    lane.restart()
    lane.run(*values)
    lane.tick(READ_AT + 81 * HOUR)
    assert counts(sums_of(lane.metrics)) == counts(oracle.rows), "what is read again after that changes no count"
    for days in (31, 32, 33):
        lane.tick(READ_AT + days * 86_400)
    assert lane.kinds()[b"c"] == lane.kinds()[b"t"] == 0, "nothing is kept of any customer"
    assert counts(sums_of(lane.metrics)) == counts(oracle.rows)
    return oracle.rows


def counts(sums: Sums) -> Sums:
    return {key: {name: value for name, value in row.items() if name != "ignored"} for key, row in sums.items()}


@settings(max_examples=examples(50), deadline=None)
@given(
    decisions=DECISIONS,
    feedbacks=FEEDBACK,
    orders=ORDERS,
    seeds=st.tuples(st.integers(0, 2**32), st.integers(0, 2**32)),
    cuts=st.lists(st.integers(0, 60), max_size=5),
)
def test_two_interleavings_leave_the_same_snapshots_to_the_bit(
    decisions: Any, feedbacks: Any, orders: Any, seeds: tuple[int, int], cuts: list[int]
) -> None:
    values = history(decisions, feedbacks, orders)
    last = []
    for seed, own in zip(seeds, (cuts, []), strict=True):
        lane = play(values, seed, own, [])
        lane.tick(READ_AT + 10, caught_up=False)
        last.append({snapshot.campaign_id: (snapshot.arms, snapshot.snapshot_version) for snapshot in lane.snapshots})
    assert {campaign: shown for campaign, shown in last[0].items() if shown[0]} == {
        campaign: shown for campaign, shown in last[1].items() if shown[0]
    }


ODD = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(
        ["EUR", "€", "d0", "m0", "o1", "clicked", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "x" * 5000]
    )
)
FIELDS = (
    st.sampled_from(
        ["event_id", "message_id", "status", "timestamp", "rating", "revenue", "currency", "order_id", "machine_opened"]
    )
    | st.sampled_from(
        ["decision_id", "campaign_id", "decided_at", "reason", "channel", "variation_id", "ended_at", "schema_version"]
    )
    | st.sampled_from(["target_group", "event", "messageId", "userId", "properties", "total"])
)


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.dictionaries(FIELDS, ODD, max_size=3), st.dictionaries(FIELDS, ODD, max_size=3)
        ),
        max_size=8,
    )
)
def test_no_record_stops_the_lane_and_the_good_ones_count(steps: Any) -> None:
    lane = LearnHarness()
    lane.wall_s = NOON + HOUR
    good = [decision(0), outcome(0), feedback("f", 0, "clicked", NOON + 60), order("e", NOON + 70)]
    for kind, changes, inside in steps:
        value = json.loads(codec.encode(good[kind])) | changes
        if kind == 3 and isinstance(value.get("properties"), dict):
            value["properties"] |= inside
        record = lane.record(good[kind])
        lane.run(msgspec.structs.replace(record, value=json.dumps(value).encode()))
    lane.run(decision(7, user="bo"), outcome(7, user="bo"), feedback("g", 7, "clicked", NOON + 60, "bo"))
    for hours in (2, 3, 50, 24 * 40):
        lane.tick(NOON + hours * HOUR)
        lane.restart()
    assert sum(row.clicked for row in lane.metrics.values() if row.campaign_id == "cart") >= 1
    assert all(arm.trials >= 0 for snapshot in lane.snapshots for arm in snapshot.arms)
    assert lane.kinds()[b"c"] == 0
