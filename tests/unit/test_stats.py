"""The rows of `attune stats`: counts are added up by what was asked for, arms stand as the policy would draw them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from schemas.learning import ArmStatistics, FeedbackMetrics
from tests.support.core import make_playbook
from workers.core.experimentation import bandit
from workers.core.playbook.campaigns import Variant
from workers.core.playbook.playbook import Playbook
from workers.core.reporting.standings import By, rows, standings

NOON = datetime(2024, 3, 4, 12, tzinfo=UTC)


def metrics(**fields: Any) -> FeedbackMetrics:
    values: dict[str, Any] = {
        "campaign_id": "cart-abandonment",
        "partition": 0,
        "window_start": NOON,
        "window_end": NOON,
        "updated_at": NOON,
    }
    return FeedbackMetrics(**(values | fields))


def playbook() -> Playbook:
    plain = make_playbook()
    variants = [Variant(id=name, prompt="cart-abandonment") for name in ("short", "long")]
    campaign = msgspec.structs.replace(plain.campaigns["cart-abandonment"], variants=variants, no_send=True)
    return msgspec.structs.replace(plain, campaigns={campaign.id: campaign})


RECORDS = [
    metrics(
        channel="push", variation_id="short", target_group="young", published=10, delivered=8, revenue={"EUR": 5.0}
    ),
    metrics(channel="push", variation_id="short", target_group="young", published=1, delivered=1, partition=1),
    metrics(channel="email", variation_id="long", target_group="sports", published=4, revenue={"EUR": 1.0, "CNY": 9.0}),
    metrics(channel="push", campaign_id="welcome", variation_id="short", target_group="young", published=7),
]


@pytest.mark.parametrize(
    ("by", "published"),
    [
        ("campaign", {("cart-abandonment",): 15, ("welcome",): 7}),
        ("arm", {("cart-abandonment", "long"): 4, ("cart-abandonment", "short"): 11, ("welcome", "short"): 7}),
        ("group", {("sports",): 4, ("young",): 18}),
        ("channel", {("email",): 4, ("push",): 18}),
    ],
)
def test_counts_are_added_up_by_what_was_asked_for(by: By, published: dict[tuple[str, ...], int]) -> None:
    assert {row.key: row.counts.published for row in rows(RECORDS, by)} == published


def test_one_campaign_can_be_looked_at_alone() -> None:
    (row,) = rows(RECORDS, "channel", "welcome")
    assert (row.key, row.counts.published) == (("push",), 7)
    assert rows(RECORDS, "campaign", "nobody") == []


def test_revenue_stays_in_its_currency() -> None:
    assert rows(RECORDS, "campaign", "cart-abandonment")[0].counts.revenue == {"EUR": 6.0, "CNY": 9.0}


def test_rates_are_computed_anew_from_the_sums() -> None:
    (row,) = rows([metrics(published=10, delivered=4), metrics(partition=1, published=10, delivered=10)], "campaign")
    rate = row.counts.rates["delivered"]
    assert 0 < rate.low < rate.value == 0.7 < rate.high < 1


COMPARED = {"requested_customers": 500, "requested_customers_converted": 200}
HELD_OUT = {"holdout_customers": 500, "holdout_customers_converted": 50}


def test_the_effect_is_computed_anew_from_the_sums() -> None:
    (row,) = rows([metrics(**COMPARED), metrics(partition=1, **HELD_OUT)], "campaign")
    uplift = row.counts.uplift
    assert uplift is not None
    assert uplift.value == pytest.approx(0.3)
    assert 0.2 < uplift.low < 0.3 < uplift.high < 0.4


def test_the_intervals_of_all_effects_shown_hold_together() -> None:
    many = [metrics(variation_id=f"v{n}", **COMPARED, **HELD_OUT) for n in range(10)]
    (alone,) = rows(many[:1], "arm")
    together = rows([*many, metrics(variation_id="nobody held out", **COMPARED)], "arm")
    assert alone.counts.uplift is not None
    widths = [row.counts.uplift.high - row.counts.uplift.low for row in together if row.counts.uplift is not None]
    assert len(widths) == 10
    assert min(widths) > 1.15 * (alone.counts.uplift.high - alone.counts.uplift.low)
    assert [row.counts.uplift for row in together if row.counts.uplift is None] == [None]


def test_what_several_campaigns_share_has_no_effect() -> None:
    both = [metrics(channel="push", **COMPARED, **HELD_OUT), metrics(campaign_id="welcome", channel="push", **HELD_OUT)]
    (together,) = rows(both, "channel")
    (one,) = rows(both, "channel", "cart-abandonment")
    assert together.counts.uplift is None
    assert one.counts.uplift is not None


def test_arms_stand_with_the_chances_of_the_policy_likeliest_first() -> None:
    known = {
        "short": ArmStatistics(arm="short", trials=100, rewards=50, reward_squares=50, pending=3),
        "long": ArmStatistics(arm="long", trials=100, rewards=10, reward_squares=10),
    }
    found = standings({"cart-abandonment": {"young": known}}, playbook())
    learning = playbook().policy.learning
    arms = ["short", "long", "no-send"]
    chances = bandit.probabilities(known, arms, learning.epsilon, learning.prior_trials)
    assert {one.arm: one.chance for one in found} == chances
    assert found[0].arm == "short"
    assert (found[0].trials, found[0].pending, found[0].mean_reward) == (100, 3, 0.5)
    assert next(one.mean_reward for one in found if one.arm == "no-send") is None


def test_an_arm_that_left_the_playbook_is_never_next() -> None:
    known = {"old": ArmStatistics(arm="old", trials=5, rewards=5)}
    found = {one.arm: one for one in standings({"cart-abandonment": {"young": known}}, playbook())}
    assert found.keys() == {"short", "long", "no-send", "old"}
    assert (found["old"].chance, found["old"].mean_reward) == (0.0, 1.0)


def test_a_campaign_that_left_the_playbook_has_no_chances() -> None:
    known = {"a": {"old": ArmStatistics(arm="old", trials=5)}}
    (one,) = standings({"gone": known, "other": known}, playbook(), "gone")
    assert (one.campaign_id, one.chance) == ("gone", None)


def test_without_a_playbook_nobody_knows_what_is_next() -> None:
    known = {"short": ArmStatistics(arm="short", trials=5, rewards=5)}
    (one,) = standings({"cart-abandonment": {"young": known}}, None)
    assert (one.chance, one.mean_reward) == (None, 1.0)
