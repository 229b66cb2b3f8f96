"""Rates, differences and sums of records."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from schemas.learning import FeedbackMetrics
from tests.support.learning import NOON, at
from workers.core.attribution.metrics import combine, with_rates
from workers.core.attribution.reward_delays import bucket, share_within
from workers.core.experimentation.intervals import wilson
from workers.core.experimentation.uplift import Groups, uplift


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe 1998 (single proportion), table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_the_published_examples(successes: int, trials: int, low: float, high: float) -> None:
    rate = wilson(successes, trials)
    assert (round(rate.low, 4), round(rate.high, 4)) == (low, high)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (2, 1), (-1, 3)])
def test_what_is_no_rate_is_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="not a rate"):
        wilson(successes, trials)


def test_ninety_five_of_a_hundred_intervals_hold_the_truth() -> None:
    rng, held = random.Random(3), 0
    for _ in range(2000):
        rate = wilson(sum(rng.random() < 0.1 for _ in range(60)), 60)
        held += rate.low <= 0.1 <= rate.high
    assert 0.93 <= held / 2000 <= 0.98


def row(**fields: Any) -> FeedbackMetrics:
    values: dict[str, Any] = {
        "campaign_id": "cart",
        "partition": 1,
        "window_start": at(NOON),
        "window_end": at(NOON + 60),
        "updated_at": at(NOON),
    }
    return FeedbackMetrics(**values | fields)


def test_records_add_up_and_say_what_they_do_not_share() -> None:
    one = row(channel="push", requested=10, requested_converted=4, published=8, clicked=2, revenue={"EUR": 0.1})
    other = row(
        channel="email",
        partition=2,
        window_start=at(NOON - 60),
        updated_at=at(NOON + 9),
        requested=10,
        requested_converted=2,
        holdout=5,
        holdout_converted=1,
        published=2,
        clicked=1,
        revenue={"EUR": 0.2, "CNY": 5.0},
        ignored={"future": 2},
    )
    total = combine([one, other])
    assert (total.campaign_id, total.channel, total.partition) == ("cart", "*", -1)
    assert (total.window_start, total.window_end, total.updated_at) == (at(NOON - 60), at(NOON + 60), at(NOON + 9))
    assert (total.requested, total.published, total.clicked) == (20, 10, 3)
    assert (total.revenue, total.ignored) == ({"CNY": 5.0, "EUR": 0.3}, {"future": 2})
    assert total.rates["clicked"] == wilson(3, 10)
    assert total.uplift is None
    assert combine([total]) == total


def test_uplift_of_a_sum_is_compared_window_by_window() -> None:
    compared = {"requested_customers": 900, "requested_customers_converted": 90}
    held = {"holdout_customers": 100, "holdout_customers_converted": 5}
    one, other = row(**compared, **held), row(window_start=at(NOON + 60), partition=2, **compared, **held)
    total = combine([one, other])
    assert total.uplift == uplift({NOON: Groups(900, 90, 100, 5), NOON + 60: Groups(900, 90, 100, 5)})
    assert with_rates(one).uplift == uplift({NOON: Groups(900, 90, 100, 5)})
    elsewhere = combine([one, row(partition=2, **compared, **held)])
    assert elsewhere.uplift == uplift({NOON: Groups(1800, 180, 200, 10)})


def test_several_campaigns_have_no_uplift_together_as_they_share_customers() -> None:
    held = {"requested_customers": 100, "holdout_customers": 100}
    assert combine([row(**held), row(**held)]).uplift is not None
    assert combine([row(**held), row(campaign_id="welcome", **held)]).uplift is None


def test_nothing_cannot_be_added_up() -> None:
    with pytest.raises(ValueError, match="no records"):
        combine([])


def test_a_rate_of_nothing_is_left_out_and_there_is_no_uplift_without_a_holdout() -> None:
    shown = with_rates(row(requested=3, requested_converted=1))
    assert set(shown.rates) == {"requested_converted", "published"}
    assert shown.uplift is None


def test_a_part_that_is_ahead_of_its_whole_is_all_of_it() -> None:
    assert with_rates(row(published=1, clicked=2)).rates["clicked"] == wilson(1, 1)


def test_the_share_of_rewards_grows_with_age_and_follows_what_was_seen() -> None:
    window, seen = 86_400.0, {bucket(60.0): 200, bucket(600.0): 100}
    shares = [share_within(age, window, seen) for age in (0, 30, 100, 1000, 80_000, window)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert shares[2] == pytest.approx(200 / 308, abs=0.01)
    assert shares[3] == pytest.approx(300 / 308, abs=0.01)


def test_every_rate_of_the_contract_is_a_count() -> None:
    names = {field.name for field in msgspec.structs.fields(FeedbackMetrics)}
    full = row(
        **dict.fromkeys(
            ("requested", "published", "holdout", "no_action", "requested_customers", "holdout_customers"), 1
        )
    )
    assert set(with_rates(full).rates) <= names
