"""learn: what counts, what is ignored, what is told and when."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from schemas import codec
from schemas.events import Product
from schemas.learning import ArmStatistics
from tests.support.learning import (
    HOUR,
    LEARNING,
    NOON,
    Input,
    LearnHarness,
    decision,
    feedback,
    order,
    outcome,
    refund,
    sums_of,
)
from workers.core.attribution import keys, model
from workers.core.attribution.unit_of_work import index_keys
from workers.core.experimentation.intervals import wilson
from workers.core.playbook.policy import Rewards

LATER = NOON + 2 * HOUR


def learnt(*values: Input, wall_s: float = LATER, **config: Any) -> LearnHarness:
    """A lane that has read these values in one batch."""
    lane = LearnHarness(**config)
    lane.wall_s = wall_s
    lane.run(*values)
    return lane


def the_arm(lane: LearnHarness) -> ArmStatistics:
    (arm,) = lane.snapshots[-1].arms
    return arm


SENT = (decision(1), outcome(1, NOON + 5))


# -- counts ---------------------------------------------------------------------------------------------------------------


def test_a_message_is_followed_from_the_decision_to_the_order() -> None:
    lane = learnt(
        *SENT,
        feedback("f1", 1, "sent", NOON + 6),
        feedback("f2", 1, "delivered", NOON + 7),
        feedback("f3", 1, "opened", NOON + 60),
        feedback("f4", 1, "clicked", NOON + 70),
        order("e1", NOON + 600, total=19.9),
    )
    row = lane.the_row()
    for name in ("decisions", "requested", "published", "sent", "delivered", "opened", "clicked", "converted"):
        assert getattr(row, name) == 1, name
    assert (row.requested_converted, row.revenue, row.requested_revenue) == (1, {"EUR": 19.9}, {"EUR": 19.9})
    assert row.rates["clicked"].value == 1.0
    assert list(lane.metrics) == [f"cart|push|warm|sports|{NOON:.0f}|3"]
    assert (row.partition, row.window_start.timestamp(), row.window_end.timestamp()) == (3, NOON, NOON + HOUR)


def test_a_status_counts_once_however_often_it_comes() -> None:
    lane = learnt(*SENT, *(feedback(f"f{n}", 1, "clicked", NOON + 60 + n) for n in range(40)), *SENT)
    assert (lane.the_row().clicked, lane.the_row().decisions, the_arm(lane).rewards) == (1, 1, 0.3)
    lane.run(feedback("f1", 1, "clicked", NOON + 61))
    assert lane.tally["feedback", "clicked", "repeated"] == 1


def test_what_a_machine_opens_is_told_apart_and_earns_nothing() -> None:
    rewards = msgspec.structs.replace(LEARNING, rewards=Rewards(opened=0.5))
    lane = learnt(*SENT, feedback("f1", 1, "opened", NOON + 9, machine_opened=True), learning=rewards)
    assert (lane.the_row().opened, lane.the_row().machine_opened, the_arm(lane).rewards) == (0, 1, 0.0)
    lane.run(feedback("f2", 1, "opened", NOON + 99))
    lane.tick(LATER + 10)
    assert (lane.the_row().opened, the_arm(lane).rewards) == (1, 0.5)


def test_an_order_told_twice_is_one_conversion_and_the_events_amount_wins() -> None:
    claim = feedback("f1", 1, "converted", NOON + 900, order_id="o1", revenue=5.0, currency="EUR")
    event = order("e1", NOON + 800, order_id="o1", total=20.0)
    for values in ((claim, event), (event, claim), (claim, event, event, claim)):
        row = learnt(*SENT, *values).the_row()
        assert (row.converted, row.revenue, row.requested_revenue) == (1, {"EUR": 20.0}, {"EUR": 20.0})


def test_an_order_without_currency_is_a_conversion_without_revenue() -> None:
    lane = learnt(*SENT, order("e1", NOON + 60, currency=None), order("e2", NOON + 70, total=-3.0))
    assert (lane.the_row().converted, lane.the_row().revenue) == (1, {})
    assert lane.tally["learn_ignored", "customer.events", "revenue_without_currency"] == 1
    assert lane.tally["learn_ignored", "customer.events", "bad_revenue"] == 1


def test_an_order_is_the_last_messages_but_every_decisions_by_intention_to_treat() -> None:
    lane = learnt(
        *SENT,
        decision(2, NOON + 600, variation_id="plain"),
        outcome(2, NOON + 605),
        decision(3, NOON + 700, reason="holdout", variation_id="plain"),
        order("e1", NOON + 1000),
    )
    warm, plain = (next(row for row in lane.metrics.values() if row.variation_id == arm) for arm in ("warm", "plain"))
    assert (warm.requested_converted, warm.converted, warm.revenue) == (1, 0, {})
    assert (plain.requested_converted, plain.converted, plain.holdout_converted) == (1, 1, 1)
    assert (plain.revenue, plain.holdout_revenue) == ({"EUR": 10.0}, {"EUR": 10.0})
    assert {arm.arm: arm.rewards for arm in lane.snapshots[-1].arms} == {"plain": 1.0, "warm": 0.0}


@pytest.mark.parametrize(("at_s", "counts"), [(-1, 0), (0, 1), (6 * HOUR, 1), (6 * HOUR + 1, 0)])
def test_an_order_counts_inside_the_window_only(at_s: float, counts: int) -> None:
    row = learnt(*SENT, order("e1", NOON + at_s), wall_s=NOON + 7 * HOUR).the_row()
    assert (row.converted, row.requested_converted) == (counts, counts)


def test_decisions_that_ask_for_nothing_are_only_counted() -> None:
    lane = learnt(decision(1, reason="consent"), decision(1, reason="consent"), decision(2, reason="shadow"))
    assert sums_of(lane.metrics) == {f"cart|push|warm|sports|{NOON:.0f}|3": {"decisions": 2}}
    assert lane.snapshots == []


def test_the_newest_rating_of_a_message_counts() -> None:
    ratings = [feedback(f"f{n}", 1, "rated", NOON + 60 - n, rating=n) for n in (1, 2, 3)]
    for order_of in (ratings, ratings[::-1]):
        row = learnt(*SENT, *order_of).the_row()
        assert (row.rated, row.rating_sum) == (1, 1)


# -- what is ignored --------------------------------------------------------------------------------------------------


IGNORED: list[tuple[str, Callable[[], Input]]] = [
    ("future", lambda: feedback("f9", 1, "clicked", LATER + 301)),
    ("before_message", lambda: feedback("f9", 1, "clicked", NOON - 301)),
    ("before_delivery", lambda: feedback("f9", 1, "clicked", NOON + 94)),
    ("before_delivery", lambda: feedback("f9", 1, "opened", NOON + 94)),
    ("revenue_without_currency", lambda: feedback("f9", 1, "converted", NOON + 200, revenue=5.0)),
    ("revenue_without_currency", lambda: feedback("f9", 1, "converted", NOON + 200, revenue=5.0, currency="€")),
    ("bad_revenue", lambda: feedback("f9", 1, "converted", NOON + 200, revenue=-5.0, currency="EUR")),
    ("bad_revenue", lambda: feedback("f9", 1, "converted", NOON + 200, revenue=2e9, currency="EUR")),
    ("no_rating", lambda: feedback("f9", 1, "rated", NOON + 200)),
    ("wrong_customer", lambda: feedback("f9", 1, "clicked", NOON + 200, user="bo")),
]


@pytest.mark.parametrize(("reason", "made"), IGNORED)
@pytest.mark.parametrize("early", [False, True])
def test_feedback_that_cannot_be_is_counted_by_its_reason_and_earns_nothing(
    reason: str, made: Callable[[], Input], *, early: bool
) -> None:
    delivered = feedback("f1", 1, "delivered", NOON + 100)
    lane = LearnHarness()
    lane.wall_s = LATER
    for value in (made(), *SENT, delivered) if early else (*SENT, delivered, made(), made()):
        lane.run(value)
    lane.tick(LATER + HOUR)
    lane.tick(LATER + HOUR + 10)
    row = lane.the_row()
    assert row.ignored == {reason: 1}
    assert lane.tally["feedback_ignored", reason] == 1
    assert (row.clicked, row.opened, row.converted, row.rated, the_arm(lane).rewards) == (0, 0, 0, 0, 0.0)


def test_a_clock_of_ours_that_is_slow_refuses_nothing_that_the_broker_has_had() -> None:
    # the worker's clock says 11:00; a click of 12:05, appended then
    lane = LearnHarness()
    lane.wall_s = NOON - HOUR
    clicked = lane.record(feedback("f1", 1, "clicked", NOON + 300))
    lane.run(*SENT, msgspec.structs.replace(clicked, appended_at_s=NOON + 300))
    lane.tick(NOON + HOUR)
    assert (lane.the_row().clicked, lane.the_row().ignored) == (1, {})


def test_feedback_about_a_message_that_was_not_published_is_ignored() -> None:
    lane = learnt(decision(1), outcome(1, NOON + 5, reason="stale"), feedback("f1", 1, "clicked", NOON + 60))
    assert (lane.the_row().ignored, lane.the_row().clicked) == ({"not_published": 1}, 0)


def test_feedback_waits_an_hour_for_its_decision() -> None:
    lane = learnt(feedback("f1", 1, "clicked", NOON + 60))
    lane.tick(LATER + 0.99 * HOUR)
    lane.run(*SENT)
    lane.tick(LATER + HOUR + 10)
    assert lane.the_row().clicked == 1

    lane = learnt(feedback("f1", 1, "clicked", NOON + 60))
    lane.tick(LATER + HOUR)
    assert lane.tally["feedback_ignored", "unknown_message"] == 1
    lane.run(feedback("f1", 1, "clicked", NOON + 60))
    assert lane.tally["feedback", "clicked", "repeated"] == 1


def test_feedback_of_a_wrong_customer_that_waited_and_comes_again_is_counted_once() -> None:
    stray = feedback("f1", 1, "clicked", NOON + 60, user="bo")
    lane = learnt(stray)
    lane.run(*SENT)
    lane.run(stray)
    lane.tick(LATER + HOUR)
    lane.tick(LATER + HOUR + 10)
    assert lane.the_row().ignored == {"wrong_customer": 1}


def test_of_two_feedbacks_that_share_an_id_the_same_wins_in_any_order() -> None:
    pair: list[Input] = [feedback("f1", 1, "clicked", NOON + 60), feedback("f1", 1, "opened", NOON + 50)]
    for values in ([*SENT, *pair], [*SENT, *pair[::-1]], [*pair, *SENT], [*pair[::-1], *SENT]):
        row = learnt(*values).the_row()
        assert (row.opened, row.clicked) == (1, 0)


def test_a_flood_of_unknown_feedback_is_bounded() -> None:
    lane = learnt(*(feedback(f"f{n}", 1000 + n, "clicked") for n in range(600)))
    assert lane.tally["feedback_ignored", "unknown_message"] == 600 - 256


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("broken_json", b"{"),
        ("wrong_type", {"status": "read"}),
        ("wrong_type", {"status": "rated", "rating": 11}),
        ("wrong_type", {"timestamp": "yesterday"}),
        ("unknown_schema_version", {"schema_version": 99}),
        ("null_value", None),
    ],
)
def test_what_is_no_feedback_is_counted_and_its_dead_letter_is_left_to_personalise(reason: str, change: Any) -> None:
    lane = learnt(*SENT)
    good = json.loads(codec.encode(feedback("f1", 1, "clicked", NOON + 60)))
    value = json.dumps(good | change).encode() if isinstance(change, dict) else change
    lane.run(lane.raw("message.feedback", b"ana", value), feedback("f2", 1, "opened", NOON + 70))
    lane.tick(LATER + 10)
    assert (lane.dead_letters, lane.the_row().clicked, lane.the_row().opened) == ([], 0, 1)
    assert lane.tally["learn_ignored", "message.feedback", reason] == 1


@pytest.mark.parametrize(
    ("reason", "change"),
    [("bad_timestamp", {"timestamp": "0001-01-01T00:00:00Z"})],
)
def test_feedback_that_only_learn_cannot_use_is_its_dead_letter(reason: str, change: Any) -> None:
    lane = learnt(*SENT)
    good = json.loads(codec.encode(feedback("f1", 1, "clicked", NOON + 60)))
    value = json.dumps(good | change).encode() if isinstance(change, dict) else change
    lane.run(lane.raw("message.feedback", b"ana", value), feedback("f2", 1, "opened", NOON + 70))
    lane.tick(LATER + 10)
    (letter,) = lane.dead_letters
    assert (letter.reason, letter.stage, lane.the_row().clicked, lane.the_row().opened) == (reason, "learn", 0, 1)


def test_feedback_in_the_partition_of_another_partitioner_comes_again_in_the_right_one() -> None:
    lane = LearnHarness(partition_of=lambda _key: 1)
    lane.run(feedback("f1", 1, "clicked"))
    assert lane.dead_letters == []
    assert lane.tally["learn_ignored", "message.feedback", "misplaced"] == 1


def test_feedback_without_a_key_counts_where_its_customer_is() -> None:
    lane = learnt(*SENT)
    lane.run(lane.raw("message.feedback", None, codec.encode(feedback("f1", 1, "clicked", NOON + 60))))
    lane.tick(LATER + 10)
    assert (lane.dead_letters, lane.the_row().clicked) == ([], 1)


def test_other_events_are_passed_over_and_bad_ones_only_counted() -> None:
    lane = LearnHarness()
    for value in (b'{"event":"Product Viewed', None, b'{"event":"Order Completed"', b'"Order\\u0020Completed"'):
        lane.run(lane.raw("customer.events", b"ana", value))
    assert lane.dead_letters == []
    assert lane.tally["learn_ignored", "customer.events", "broken_json"] == 1
    assert lane.tally["learn_ignored", "customer.events", "wrong_type"] == 1


# -- evidence ---------------------------------------------------------------------------------------------------------


def test_rewards_add_up_each_once() -> None:
    statuses = ("clicked", "replied", "unsubscribed", "complained", "clicked")
    lane = learnt(*SENT, *(feedback(f"f{n}", 1, status, NOON + 60 + n) for n, status in enumerate(statuses)))
    arm = the_arm(lane)
    assert arm.rewards == pytest.approx(0.3 + 0.3 - 1.0 - 2.0)
    assert arm.reward_squares == pytest.approx(2.4**2)
    assert (arm.arm, arm.context, arm.trials, arm.pending) == ("warm", "sports", 1.0, 0.0)


def test_feedback_after_the_window_counts_but_earns_nothing() -> None:
    lane = learnt(*SENT, feedback("f1", 1, "clicked", NOON + 7 * HOUR), wall_s=NOON + 8 * HOUR)
    assert (lane.the_row().clicked, the_arm(lane).rewards) == (1, 0.0)


def test_saying_nothing_earns_the_order_that_comes_all_the_same() -> None:
    lane = learnt(decision(1, reason="no_action_chosen", variation_id="no-send"), order("e1", NOON + 60))
    assert (the_arm(lane).arm, the_arm(lane).rewards) == ("no-send", 1.0)
    assert (lane.the_row().no_action, lane.the_row().no_action_converted) == (1, 1)


def test_a_holdout_is_no_trial() -> None:
    lane = learnt(decision(1, reason="holdout"), order("e1", NOON + 60))
    assert lane.snapshots == []
    assert (lane.the_row().holdout, lane.the_row().holdout_converted) == (1, 1)


@pytest.mark.parametrize("reason", ["holdout", "converted", "expired"])
def test_the_words_of_a_ghost_change_nothing_in_what_is_counted(reason: str) -> None:
    ghost = learnt(decision(1, reason="holdout", message_id="m1"), outcome(1, NOON + 5, reason=reason))
    plain = learnt(decision(1, reason="holdout"))
    for lane in (ghost, plain):
        lane.run(order("e1", NOON + 60))
    assert ghost.snapshots == []
    assert ghost.the_row() == plain.the_row()


@pytest.mark.parametrize("reason", ["paused", "stale", "expired", "consent", "rejected", "guardrail", "shadow"])
def test_what_never_left_is_no_trial_and_the_order_belongs_to_the_one_before(reason: str) -> None:
    lane = learnt(*SENT, decision(2, NOON + 60, variation_id="plain"), order("e1", NOON + 99))
    assert {arm.arm: arm.rewards for arm in lane.snapshots[-1].arms} == {"plain": 1.0, "warm": 0.0}
    lane.run(outcome(2, NOON + 70, reason=reason))
    lane.tick(LATER + 10)
    assert {arm.arm: arm.rewards for arm in lane.snapshots[-1].arms} == {"warm": 1.0}


def test_who_ordered_before_the_words_came_is_a_trial() -> None:
    lane = learnt(decision(1), outcome(1, NOON + 60, reason="converted"), order("e1", NOON + 50))
    assert (the_arm(lane).rewards, lane.the_row().requested_converted, lane.the_row().converted) == (1.0, 1, 0)


def test_an_open_trial_weighs_the_share_of_rewards_that_come_within_its_age() -> None:
    lane = learnt(*SENT, wall_s=NOON + 1)
    weights: list[tuple[float, float]] = []
    for hours in (0.0, 1.5, 3.0, 4.5, 6.0):
        lane.tick(NOON + hours * HOUR + 60, caught_up=False)
        weights.append((the_arm(lane).trials, the_arm(lane).pending))
    assert weights == [(0.0, 1.0), (0.25, 1.0), (0.5, 1.0), (0.75, 1.0), (1.0, 0.0)]

    others: list[Input] = []
    for n in range(2, 94):
        user = f"u{n}"
        others += [decision(n, user=user), outcome(n, user=user), feedback(f"f{n}", n, "clicked", NOON + 30, user)]
    known = learnt(*SENT, *others)
    assert the_arm(known).trials == pytest.approx(92 + (92 + 8 / 3) / 100, abs=1e-3)
    assert the_arm(known).rewards == pytest.approx(92 * 0.3)
    assert the_arm(known).pending == 1.0


def test_a_new_playbook_changes_no_trial_that_runs() -> None:
    lane = learnt(*SENT, feedback("f1", 1, "clicked", NOON + 60))
    lane._learning = msgspec.structs.replace(LEARNING, attribution_s=60.0, rewards=Rewards(clicked=5.0, opened=9.0))
    lane.restart()
    lane.run(order("e1", NOON + HOUR), feedback("f2", 1, "opened", NOON + 90), caught_up=False)
    lane.tick(LATER + 10, caught_up=False)
    assert (lane.the_row().converted, lane.the_row().clicked, lane.the_row().decisions) == (1, 1, 1)
    assert (the_arm(lane).trials, the_arm(lane).rewards) == (1.0, 5.0 + 1.0 + 9.0)


def test_an_order_is_known_as_long_as_a_trial_on_older_terms_may_want_it() -> None:
    long = msgspec.structs.replace(LEARNING, attribution_s=72 * HOUR)
    lane = learnt(*SENT, learning=long)
    lane._learning = LEARNING
    lane.restart()
    lane.run(order("e1", NOON + HOUR), feedback("f2", 2, "clicked", NOON))
    lane.tick(NOON + 30 * HOUR)  # a timer runs, and by the new playbook the order would be old
    lane.run(feedback("f1", 1, "clicked", NOON + 2 * HOUR))
    lane.tick(NOON + 31 * HOUR)
    assert (lane.the_row().converted, the_arm(lane).rewards) == (1, 1.3)


# -- what is told -----------------------------------------------------------------------------------------------------


def test_what_changed_is_told_once_an_interval_and_nothing_else() -> None:
    lane = learnt(*SENT)
    told = len(lane.outputs)
    lane.run(feedback("f1", 1, "clicked", NOON + 60))
    lane.tick(LATER + 4.9)
    assert len(lane.outputs) == told
    lane.tick(LATER + 5.0)
    assert [output.topic for output in lane.outputs[told:]] == ["feedback.metrics", "policy.snapshots"]
    told = len(lane.outputs)
    for seconds in (10, 11, 12):
        assert lane.tick(LATER + seconds).empty
    assert len(lane.outputs) == told


def test_what_was_not_told_before_a_restart_is_told_after_it() -> None:
    lane = learnt(*SENT)
    lane.run(feedback("f1", 1, "clicked", NOON + 60))
    lane.restart()
    lane.tick(LATER + 5)
    assert (lane.the_row().clicked, the_arm(lane).rewards) == (1, 0.3)
    told = len(lane.outputs)
    lane.restart()
    lane.tick(LATER + 10)
    assert len(lane.outputs) == told


# -- whom the uplift compares -------------------------------------------------------------------------------------------

#: When every decision made at NOON is counted for good: the attribution window and the grace, six hours each.
SEALED = NOON + 12 * HOUR
#: A Monday, 00:00 UTC, on which customers count anew.
PERIOD = 1_710_720_000.0
DRAWN: dict[str, Any] = {"mode": "live", "holdout_share": 0.1}


def compared(lane: LearnHarness) -> tuple[int, int, int, int]:
    """Customers asked for, those of them who ordered, customers held out, those of them who ordered; over all rows."""
    return (
        sum(row.requested_customers for row in lane.metrics.values()),
        sum(row.requested_customers_converted for row in lane.metrics.values()),
        sum(row.holdout_customers for row in lane.metrics.values()),
        sum(row.holdout_customers_converted for row in lane.metrics.values()),
    )


def test_uplift_is_told_with_its_interval_when_the_windows_are_over() -> None:
    values: list[Input] = []
    for n in range(400):
        values += [decision(n, NOON, f"u{n}", "holdout" if n % 2 else "requested", **DRAWN)]
        values += [order(f"e{n}", NOON + 60, f"u{n}")] if n % 4 == 0 else []
    lane = learnt(*values)
    assert (lane.the_row().uplift, compared(lane)) == (None, (0, 0, 0, 0))
    lane.tick(SEALED)
    row = lane.the_row()
    assert compared(lane) == (200, 100, 200, 0)
    assert row.uplift is not None
    assert row.uplift.value == 0.5
    assert 0.3 < row.uplift.low < 0.5 < row.uplift.high < 0.7
    assert row.rates["requested_customers_converted"] == wilson(100, 200)


def test_a_customer_is_compared_once_with_the_first_decision_in_whatever_order_they_are_read() -> None:
    many: list[Input] = [decision(n, NOON + n * 60, variation_id=f"v{n}", **DRAWN) for n in range(5)]
    bought: Input = order("e1", NOON + 30)  # before the second decision: only the first can have led to it
    for values in ((*many, bought), (bought, *reversed(many))):
        lane = learnt(*values)
        lane.restart()
        lane.tick(SEALED + HOUR)
        assert compared(lane) == (1, 1, 0, 0)
        assert [row.variation_id for row in lane.metrics.values() if row.requested_customers] == ["v0"]
    late = learnt(*many)  # one by one, each counted for good before the next is decided
    for n in range(5, 9):
        late.tick(NOON + (n - 4) * 13 * HOUR)
        late.run(decision(n, NOON + (n - 4) * 13 * HOUR, **DRAWN))
    late.tick(NOON + 90 * HOUR)
    assert compared(late) == (1, 0, 0, 0)


def test_each_campaign_compares_for_itself_and_each_period_anew() -> None:
    lane = LearnHarness()
    for n, at_s in enumerate((PERIOD - 600, PERIOD - 1, PERIOD, PERIOD + 60)):
        lane.wall_s = at_s
        lane.run(decision(n, at_s, **DRAWN), decision(10 + n, at_s, campaign_id="welcome", **DRAWN))
    lane.tick(PERIOD + 13 * HOUR)
    assert compared(lane) == (4, 0, 0, 0)
    assert {row.window_start.timestamp() for row in lane.metrics.values() if row.requested_customers} == {
        PERIOD - HOUR,
        PERIOD,
    }


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"reason": "requested"}, (1, 1, 0, 0)),
        ({"reason": "holdout"}, (0, 0, 1, 1)),
        ({"reason": "no_action_chosen"}, (0, 0, 0, 0)),
        ({"reason": "holdout", "mode": "shadow"}, (0, 0, 0, 0)),
        ({"reason": "requested", "holdout_share": 0.0}, (0, 0, 0, 0)),
        ({"reason": "holdout", "holdout_share": 1.0}, (0, 0, 0, 0)),
        ({"reason": "requested", "mode": "", "holdout_share": None}, (1, 1, 0, 0)),
    ],
)
def test_only_customers_who_could_be_held_out_are_compared(fields: Any, counts: tuple[int, ...]) -> None:
    lane = learnt(decision(1, **(DRAWN | fields)), order("e1", NOON + 60))
    lane.tick(SEALED)
    assert compared(lane) == counts


def test_whoever_was_asked_for_before_there_was_a_control_group_counts_once_there_is_one() -> None:
    lane = learnt(decision(1, **(DRAWN | {"holdout_share": 0.0})), decision(2, NOON + 60, **DRAWN))
    lane.tick(SEALED + HOUR)
    assert compared(lane) == (1, 0, 0, 0)


@pytest.mark.parametrize("reason", ["requested", "holdout", "no_action_chosen"])
def test_a_campaign_in_shadow_is_no_evidence_and_compares_nobody(reason: str) -> None:
    lane = learnt(
        decision(1, reason=reason, mode="shadow", message_id="m1"),
        outcome(1, reason="published"),
        feedback("f1", 1, "clicked", NOON + 60),
        order("e1", NOON + 70),
    )
    lane.tick(SEALED)
    assert sums_of(lane.metrics) == {f"cart|push|warm|sports|{NOON:.0f}|3": {"decisions": 1}}
    assert lane.snapshots == []


def test_the_memory_of_who_was_compared_is_bounded_and_ends_with_the_period() -> None:
    lane = LearnHarness()
    for n in range(200):
        lane.run(decision(n, NOON, campaign_id=f"c{n}", **DRAWN))
    lane.tick(SEALED)
    stored = model.decode(lane.store.values[keys.customer_key("ana")])
    assert len(stored.compared) == model.MAX_COMPARED
    lane.tick(PERIOD + 13 * HOUR - 1)
    assert lane.kinds()[b"c"] == 1
    lane.tick(PERIOD + 13 * HOUR)
    assert lane.kinds()[b"c"] == lane.kinds()[b"t"] == 0


# -- what is taken back -----------------------------------------------------------------------------------------------

BOUGHT = (*SENT, order("e1", NOON + 60, total=20.0))


@pytest.mark.parametrize(
    ("back", "revenue", "converted"),
    [
        ({}, {}, 1),
        ({"total": 5.0, "currency": "EUR"}, {"EUR": 15.0}, 1),
        ({"revenue": -5.0}, {"EUR": 15.0}, 1),
        ({"total": 99.0}, {}, 1),
        ({"total": 5.0, "currency": "CNY"}, {"EUR": 20.0}, 1),
        (
            {"products": [Product(product_id="p", price=4.0, quantity=2), Product(product_id="q", price=1.0)]},
            {"EUR": 11.0},
            1,
        ),
        ({"cancelled": True}, {}, 0),
        ({"cancelled": True, "total": 20.0, "currency": "EUR"}, {}, 0),
    ],
)
def test_what_is_refunded_or_cancelled_is_taken_back(back: Any, revenue: dict[str, float], converted: int) -> None:
    event = refund("r1", "e1", NOON + 600, **back)
    for values in ((*BOUGHT, event), (event, *BOUGHT), (*BOUGHT, event, event)):
        row = learnt(*values).the_row()
        assert (row.revenue, row.requested_revenue) == (revenue, revenue)
        assert (row.converted, row.requested_converted) == (converted, converted)
    lane = learnt(*BOUGHT)
    assert (lane.the_row().converted, lane.the_row().revenue) == (1, {"EUR": 20.0})
    lane.run(event)
    lane.tick(LATER + 10)
    assert (lane.the_row().converted, lane.the_row().revenue) == (converted, revenue)
    assert the_arm(lane).rewards == float(converted)


def test_several_refunds_of_an_order_add_up_and_an_unusable_one_takes_nothing_back() -> None:
    lane = learnt(
        *BOUGHT,
        refund("r1", "e1", NOON + 70, total=5.0),
        refund("r2", "e1", NOON + 80, total=6.0),
        refund("r3", None, NOON + 90, total=1.0),
        refund("r4", "e1", NOON + 90, products=[Product(product_id="p")]),
        refund("r5", "e1", NOON + 90, total=1e12),
    )
    assert lane.the_row().revenue == {"EUR": 9.0}
    assert lane.tally["learn_ignored", "customer.events", "no_order_id"] == 1
    assert lane.tally["learn_ignored", "customer.events", "bad_revenue"] == 2
    assert lane.dead_letters == []


def test_a_flood_of_refunds_is_bounded_and_a_cancellation_is_never_crowded_out() -> None:
    flood = [refund(f"r{n}", "e1", NOON + 70 + n, total=0.01) for n in range(100)]
    lane = learnt(*BOUGHT, *flood, refund("c1", "e1", NOON + 900, cancelled=True), *flood)
    assert lane.the_row().converted == 0
    stored = model.decode(lane.store.values[keys.customer_key("ana")])
    assert len(stored.orders["oe1"].refunds) == model.MAX_REFUNDS


def test_what_is_counted_for_good_is_not_taken_back_and_that_is_counted() -> None:
    lane = learnt(*BOUGHT)
    lane.tick(SEALED)
    before = sums_of(lane.metrics)
    lane.run(refund("r1", "e1", SEALED + 1, cancelled=True))
    lane.tick(SEALED + HOUR)
    assert sums_of(lane.metrics) == before
    assert lane.tally["learn_ignored", "customer.events", "refund_counts_nowhere"] == 1
    lane.run(refund("r2", "e9", SEALED + HOUR))
    lane.tick(SEALED + 14 * HOUR)
    assert lane.tally["learn_ignored", "customer.events", "refund_of_no_order"] == 1
    assert sums_of(lane.metrics) == before


# -- time -------------------------------------------------------------------------------------------------------------


def test_a_sealed_decision_is_counted_for_good() -> None:
    lane = learnt(*SENT, feedback("f1", 1, "clicked", NOON + 60), order("e1", NOON + 70))
    before = sums_of(lane.metrics)
    lane.tick(NOON + 12 * HOUR - 1)
    assert lane.kinds()[b"c"] == 1
    lane.tick(NOON + 12 * HOUR)
    lane.tick(NOON + 12 * HOUR + 70)  # the order could have been another decision's
    (row,) = before.values()
    row |= {"requested_customers": 1, "requested_customers_converted": 1}
    assert sums_of(lane.metrics) == before
    lane.run(
        *SENT, order("e1", NOON + 70), feedback("f2", 1, "opened", NOON + 80), feedback("f2", 1, "opened", NOON + 80)
    )
    lane.tick(NOON + 13 * HOUR)
    assert (lane.the_row().decisions, lane.the_row().opened, lane.the_row().ignored) == (1, 0, {"expired": 1})
    assert lane.tally["learn_ignored", "message.decisions", "late"] == 1
    assert (the_arm(lane).trials, the_arm(lane).rewards) == (1.0, 1.3)


def test_nothing_is_sealed_or_given_up_while_a_backlog_waits() -> None:
    lane = LearnHarness()
    lane.wall_s = NOON + 72 * HOUR  # after an outage of three days
    lane.run(*SENT, feedback("f2", 2, "clicked", NOON + 60), caught_up=False)
    lane.tick(NOON + 75 * HOUR, caught_up=False)
    lane.run(order("e1", NOON + 60), decision(2), outcome(2), caught_up=True)
    lane.tick(NOON + 75 * HOUR + 10)
    assert (lane.the_row().requested_converted, lane.the_row().clicked) == (2, 1)


def test_long_after_nothing_is_left_but_the_evidence() -> None:
    lane = learnt(*SENT, feedback("f1", 1, "clicked", NOON + 60), decision(2, reason="consent"), order("e1"))
    for days in (1, 20, 28, 29, 31, 32):
        lane.tick(NOON + days * 86_400)
    assert lane.kinds() == {b"a": 1, b"b": 1, b"l": 1}
    assert (the_arm(lane).trials, the_arm(lane).rewards) == (1.0, 1.3)


def test_more_decisions_than_anybody_gets_are_counted_for_good_early() -> None:
    made = [decision(n, NOON + n) for n in range(70)]
    lane = learnt(*made)
    lane.run(*made)
    lane.tick(LATER + 10)
    assert lane.the_row().decisions == 70
    assert lane.tally["learn_ignored", "message.decisions", "repeated"] == 70


def test_in_a_replay_the_clock_is_that_of_what_is_read() -> None:
    lane = LearnHarness(clock="event")
    lane.run(*SENT, feedback("f1", 1, "clicked", NOON + 60), feedback("f2", 9, "clicked", NOON + 60))
    lane.run()
    assert lane.the_row().updated_at.timestamp() == NOON + 5
    lane.run(order("e1", NOON + 40 * HOUR))  # events run ahead of the decisions that they lead to
    assert lane.kinds()[b"c"] == 1
    assert lane.tally["feedback_ignored", "unknown_message"] == 0
    lane.run(decision(3, NOON + 7 * HOUR), order("e2", NOON + 7 * HOUR + 1))
    lane.run()
    lane.run(decision(4, NOON + 14 * HOUR, user="bo"))
    lane.run()
    assert lane.tally["feedback_ignored", "unknown_message"] == 1
    assert sum(row.requested_converted for row in lane.metrics.values()) == 1
    assert sum(row.requested for row in lane.metrics.values()) == 3


def test_the_index_is_what_a_restore_would_rebuild() -> None:
    lane = learnt(
        *SENT,
        feedback("f1", 1, "clicked", NOON + 60),
        feedback("f2", 9, "clicked", NOON + 60, user="bo"),
        decision(2, reason="consent", user="cem"),
        order("e1"),
    )
    for step in range(8):
        lane.run(feedback(f"g{step}", 1, "opened", NOON + 60 + step), decision(10 + step, NOON + step * HOUR, "dan"))
        lane.tick(LATER + step * 3 * HOUR)
        kept = {key for key, value in lane.store.values.items() if value == b""}
        rebuilt = {key for name, value in lane.store.values.items() if value for key in index_keys(name, value)}
        assert kept == rebuilt
        assert {key[:1] for key in kept} <= {keys.TIMER, keys.FORGET, keys.DIRTY}
