"""The evaluation of learning, on worlds whose truth is known."""

from __future__ import annotations

from random import Random
from typing import Any, Literal

import pytest
from msgspec.structs import replace

from schemas import codec
from schemas.messages import Decision, Feedback, FeedbackStatus
from workers.core.common.timestamps import instant
from workers.core.experimentation.logged_decisions import LoggedDecision, LoggedFeedback
from workers.core.experimentation.off_policy import (
    Comparison,
    Estimator,
    InsufficientData,
    by_arm,
    compare,
    effective_sample_size,
    ips,
    newest_chances,
    series,
    snips,
)
from workers.core.playbook.policy import Rewards

NOW_S = 1_790_000_000.0
#: Chance of a reward of 1 per arm; equal chances earn their mean.
TRUTH = {"a": 0.10, "b": 0.30, "c": 0.60}
UNIFORM = sum(TRUTH.values()) / len(TRUTH)


def world(
    seed: int, customers: int = 150, chances: dict[str, float] | None = None
) -> tuple[list[LoggedDecision], float]:
    """Decisions by a policy that gets better on its way, and its true mean reward. Customers differ, and come twice or so."""
    rng = Random(seed)
    scored, truth = [], 0.0
    for customer in range(customers):
        luck = rng.uniform(-0.1, 0.1)
        share = customer / customers
        best = 1 / 3 + share * 0.5
        own = chances or {"a": (1 - best) / 2, "b": (1 - best) / 2, "c": best}
        for visit in range(rng.randint(1, 3)):
            arm = rng.choices(list(own), list(own.values()))[0]
            reward = float(rng.random() < TRUTH[arm] + luck)
            truth += sum(own[name] * TRUTH[name] for name in own)
            scored.append(one(f"c-{customer}", arm, reward, own, NOW_S + customer + visit / 10))
    return scored, truth / len(scored)


def one(user: str, arm: str, reward: float, chances: dict[str, float], at_s: float = NOW_S) -> LoggedDecision:
    return LoggedDecision(
        user_id=user,
        campaign_id="cart-abandonment",
        target_group="young",
        arm=arm,
        decided_at_s=at_s,
        propensities=chances,
        reward=reward,
    )


@pytest.mark.slow
def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """95 % of 200 worlds, give or take 4 points (2.6 standard errors)."""
    held = 0
    for seed in range(200):
        scored, learnt = world(seed)
        found = compare(scored, Random(seed), resamples=200)
        assert isinstance(found, Comparison)
        held += found.difference.low <= learnt - UNIFORM <= found.difference.high
    assert 0.91 <= held / 200 <= 0.99


def test_the_estimate_of_equal_chances_is_right_on_average() -> None:
    found = [compare(world(seed)[0], Random(seed), resamples=2) for seed in range(200)]
    estimates = [one.other for one in found if isinstance(one, Comparison)]
    assert sum(estimates) / len(estimates) == pytest.approx(UNIFORM, abs=0.01)


@pytest.mark.parametrize("estimator", [ips, snips])
@pytest.mark.parametrize("arm", list(TRUTH))
def test_any_policy_can_be_evaluated_on_what_was_logged(arm: str, estimator: Estimator) -> None:
    """Here the one that always takes the same arm."""
    found = [
        compare(world(seed)[0], Random(seed), 2, policy=lambda _decision: {arm: 1.0}, estimator=estimator)
        for seed in range(200)
    ]
    estimates = [one.other for one in found if isinstance(one, Comparison)]
    assert len(estimates) > 150
    assert sum(estimates) / len(estimates) == pytest.approx(TRUTH[arm], abs=0.015)


def test_a_policy_that_took_none_of_the_logged_arms_cannot_be_evaluated() -> None:
    scored, _ = world(1)
    found = compare(scored, Random(0), policy=lambda _decision: {"d": 1.0})
    assert isinstance(found, InsufficientData)
    assert found.ess == 0.0


def test_a_policy_of_equal_chances_is_no_better_than_itself() -> None:
    found = compare(world(3, chances=dict.fromkeys(TRUTH, 1 / 3))[0], Random(0))
    assert isinstance(found, Comparison)
    assert found.difference.value == pytest.approx(0.0)
    assert found.ess == pytest.approx(found.decisions)


def test_too_small_a_sample_is_refused_with_the_reason() -> None:
    few = [one(f"c-{number}", "a", 1.0, {"a": 0.5, "b": 0.5}) for number in range(29)]
    refused = compare(few, Random(0))
    assert isinstance(refused, InsufficientData)
    assert "29.0" in refused.reason
    heavy = [*few, one("c-x", "b", 1.0, {"a": 0.999, "b": 0.001})]
    assert effective_sample_size(heavy) < 2
    assert isinstance(compare(heavy, Random(0)), InsufficientData)
    assert isinstance(compare([], Random(0)), InsufficientData)


def test_the_same_seed_gives_the_same_interval() -> None:
    scored, _ = world(1)
    assert compare(scored, Random(5)) == compare(scored, Random(5))


def test_customers_are_drawn_not_decisions() -> None:
    """Ten copies of each decision under one customer tell no more than one: the interval keeps its width."""
    scored, _ = world(1)
    once, ten = compare(scored, Random(5)), compare(scored * 10, Random(5))
    assert isinstance(once, Comparison)
    assert isinstance(ten, Comparison)
    assert ten.difference.high - ten.difference.low == pytest.approx(once.difference.high - once.difference.low)


def test_the_series_follows_the_window() -> None:
    chances = {"a": 0.5, "b": 0.5}
    scored = [one("c", "a", float(second >= 30), chances, NOW_S + second) for second in range(60)]
    points = series(scored, step_s=10.0, window_s=20.0)
    assert [(point.at_s, point.decisions, point.learnt) for point in points] == [
        (10, 10, 0.0),
        (20, 20, 0.0),
        (30, 20, 0.0),
        (40, 20, 0.5),
        (50, 20, 1.0),
        (60, 20, 1.0),
    ]
    assert [point.at_s for point in series(scored, step_s=10.0, until_s=30.0)] == [10, 20, 30]
    assert series([]) == []


def test_arms_are_told_apart_with_the_probabilities_of_the_newest_decision() -> None:
    scored = [
        one("c-1", "a", 0.0, {"a": 0.5, "b": 0.5}),
        one("c-2", "a", 1.0, {"a": 0.5, "b": 0.5}),
        one("c-3", "b", 1.0, {"a": 0.2, "b": 0.8}),
    ]
    assert newest_chances(scored) == {("cart-abandonment", "young"): {"a": 0.2, "b": 0.8}}
    first, second = by_arm(scored)
    assert (first.arm, first.decisions, first.mean, first.probability) == ("a", 2, 0.5, 0.2)
    assert first.reward is not None
    assert first.reward.high == pytest.approx(0.5 + 1.96 * 0.5)
    assert (second.arm, second.decisions, second.mean, second.reward) == ("b", 1, 1.0, None)


def test_the_interval_of_an_arm_is_that_of_its_customers() -> None:
    """Ten copies of each decision under one customer tell no more than one."""
    scored, _ = world(1)
    for once, ten in zip(by_arm(scored), by_arm(scored * 10), strict=True):
        assert once.reward is not None
        assert ten.reward is not None
        assert ten.reward.high - ten.reward.low == pytest.approx(once.reward.high - once.reward.low)
    (lonely,) = by_arm([one("c-1", "a", float(n % 2), {"a": 1.0}) for n in range(10)])
    assert (lonely.decisions, lonely.mean, lonely.reward) == (10, 0.5, None)


def decision(number: int, at_s: float, reason: Literal["requested", "no_action_chosen"] = "requested") -> Decision:
    arm = "plain.warm" if reason == "requested" else "no-send"
    return Decision(
        decision_id=f"d-{number}",
        user_id="ana",
        campaign_id="cart-abandonment",
        occurrence_id=f"o-{number}",
        trigger="cart_abandonment",
        decided_at=instant(at_s),
        reason=reason,
        message_id=f"m-{number}" if reason == "requested" else None,
        variation_id=arm,
        target_group="young",
        propensity=0.5,
        propensities={"plain.warm": 0.5, "no-send": 0.5},
    )


def feedback(number: int, status: FeedbackStatus, **fields: Any) -> Feedback:
    return Feedback(
        event_id=f"{number}-{status}-{len(fields)}",
        message_id=f"m-{number}",
        user_id="ana",
        status=status,
        timestamp=instant(NOW_S),
        **fields,
    )


def order(at_s: float, order_id: str = "order-1", event_name: str = "Order Completed") -> Any:
    event = {
        "type": "track",
        "event": event_name,
        "messageId": f"{event_name} {order_id}",
        "userId": "ana",
        "timestamp": instant(at_s).isoformat(),
        "properties": {"order_id": order_id},
    }
    return codec.decode_event(codec.encode(event))


def earned(*values: Any, attribution_s: float = 60.0) -> dict[str, float]:
    evaluation = LoggedFeedback(Rewards(opened=0.1), attribution_s)
    for value in values:
        evaluation.add(value)
    return {f"{one.arm}@{one.decided_at_s - NOW_S:g}": one.reward for one in evaluation.scored()}


def test_a_reward_is_the_sum_of_what_happened_each_once_in_any_order() -> None:
    what = [feedback(1, "clicked"), decision(1, NOW_S), feedback(1, "clicked"), feedback(1, "opened"), order(NOW_S + 5)]
    assert earned(*what) == earned(*reversed(what)) == {"plain.warm@0": pytest.approx(1.4)}


def test_what_a_machine_opened_earns_nothing() -> None:
    assert earned(decision(1, NOW_S), feedback(1, "opened", machine_opened=True)) == {"plain.warm@0": 0.0}


def test_an_order_counts_for_the_newest_decision_of_the_window_message_or_not() -> None:
    both = decision(1, NOW_S), decision(2, NOW_S + 10, "no_action_chosen")
    assert earned(*both, order(NOW_S + 5)) == {"plain.warm@0": 1.0, "no-send@10": 0.0}
    assert earned(*both, order(NOW_S + 15)) == {"plain.warm@0": 0.0, "no-send@10": 1.0}
    assert earned(*both, order(NOW_S + 71)) == {"plain.warm@0": 0.0, "no-send@10": 0.0}
    assert earned(*both, order(NOW_S - 1)) == {"plain.warm@0": 0.0, "no-send@10": 0.0}


def test_an_order_that_is_cancelled_earns_nothing() -> None:
    what = [decision(1, NOW_S), order(NOW_S + 5), order(NOW_S + 9, event_name="Order Cancelled")]
    assert earned(*what) == earned(*reversed(what)) == {"plain.warm@0": 0.0}
    assert earned(*what, order(NOW_S + 6, "order-2")) == {"plain.warm@0": 1.0}


def test_a_campaign_in_shadow_is_not_evaluated() -> None:
    assert earned(replace(decision(1, NOW_S), mode="shadow")) == {}
    assert earned(replace(decision(1, NOW_S, "no_action_chosen"), mode="shadow")) == {}


def test_decisions_that_chose_nothing_do_not_count() -> None:
    chosen = decision(1, NOW_S)
    for reason in ("holdout", "consent", "frequency_capped", "shadow"):
        assert earned(replace(chosen, reason=reason)) == {}
    assert earned(replace(chosen, propensities={"plain.warm": 1.0})) == {}


def test_only_the_newest_decisions_are_kept() -> None:
    evaluation = LoggedFeedback(Rewards(), 60.0, keep=10)
    for number in range(25):
        evaluation.add(decision(number, NOW_S + number))
        evaluation.add(feedback(number, "clicked"))
    scored = evaluation.scored()
    assert [one.decided_at_s - NOW_S for one in scored] == list(range(15, 25))
