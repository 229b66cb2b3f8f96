"""Thompson sampling against numbers worked out otherwise: by hand, by Monte Carlo, by counting draws."""

from __future__ import annotations

import math
import random
from collections import Counter
from statistics import NormalDist

import pytest

from schemas.learning import ArmStatistics
from workers.core.experimentation.bandit import Posterior, add_up, chances_to_be_best, posteriors, probabilities
from workers.core.experimentation.sampling import choose, uniform


def arm(name: str, trials: float, rewards: float, squares: float | None = None, context: str = "") -> ArmStatistics:
    found = rewards if squares is None else squares
    return ArmStatistics(arm=name, context=context, trials=trials, rewards=rewards, reward_squares=found)


def known(*arms: ArmStatistics) -> dict[str, ArmStatistics]:
    return {one.arm: one for one in arms}


# -- posteriors ----------------------------------------------------------------------------------------------------------


def test_posteriors_with_numbers_worked_out_by_hand() -> None:
    # trials 100 + 60, rewards 20 + 30: mean 50/160 = 0.3125, sum of squares about it 50 - 160 * 0.3125² = 34.375
    # variance (34.375 + 4 * 0.25) / (160 + 4) = 0.215701...; each arm's mean is drawn to 0.3125 by 4 trials
    found = posteriors(known(arm("a", 100, 20), arm("b", 60, 30)), ["a", "b", "new"], 4.0)
    variance = 35.375 / 164
    assert found["a"].mean == pytest.approx((20 + 4 * 0.3125) / 104)
    assert found["b"].mean == pytest.approx((30 + 4 * 0.3125) / 64)
    assert found["new"].mean == pytest.approx(0.3125)
    assert found["a"].sd == pytest.approx(math.sqrt(variance / 104))
    assert found["b"].sd == pytest.approx(math.sqrt(variance / 64))
    assert found["new"].sd == pytest.approx(math.sqrt(variance / 4))
    assert [found[name].trials for name in ("a", "b", "new")] == [100, 60, 0]


def test_rewards_other_than_one_count_with_their_squares() -> None:
    # 10 trials of 0.3 and 10 of 0: mean 0.15, squares 0.9; spread 0.9 - 20 * 0.0225 = 0.45
    found = posteriors(known(arm("a", 20, 3, 0.9)), ["a"], 2.0)
    assert found["a"].mean == pytest.approx((3 + 2 * 0.15) / 22)
    assert found["a"].sd == pytest.approx(math.sqrt((0.45 + 2 * 0.25) / 22 / 22))


def test_without_evidence_the_prior_is_that_of_a_fair_coin() -> None:
    found = posteriors({}, ["a"], 4.0)["a"]
    assert (found.mean, found.trials) == (0.0, 0.0)
    assert found.sd == pytest.approx(math.sqrt(0.25 / 4))


def test_evidence_of_other_arms_is_left_out() -> None:
    alone = posteriors(known(arm("a", 10, 5)), ["a"], 4.0)
    assert posteriors(known(arm("a", 10, 5), arm("gone", 1_000, 900)), ["a"], 4.0) == alone


def test_a_belief_without_evidence_is_behind_no_trials() -> None:
    assert Posterior(mean=0.5, sd=0.1).trials == 0.0


def test_sameness_never_makes_us_sure() -> None:
    found = posteriors(known(arm("a", 1_000_000, 0)), ["a"], 4.0)["a"]
    assert found.sd == pytest.approx(math.sqrt(1e-3 / 1_000_004))


def test_trials_below_zero_are_none() -> None:
    # the trials of open exposures are estimates, and sums of estimates may end a hair below zero
    found = posteriors(known(arm("a", -0.5, 0)), ["a"], 4.0)["a"]
    assert found.mean == 0.0
    assert found.sd == pytest.approx(0.25)


# -- chances -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "believed",
    [
        {"a": (0.3, 0.05), "b": (0.35, 0.05)},
        {"a": (0.30, 0.02), "b": (0.31, 0.10)},
        {"a": (0.1, 0.03), "b": (0.12, 0.03), "c": (0.11, 0.09)},
        {"a": (-0.2, 0.3), "b": (0.0, 0.1), "c": (0.1, 0.2), "d": (0.05, 0.4)},
    ],
)
def test_chances_to_be_best_agree_with_monte_carlo(believed: dict[str, tuple[float, float]]) -> None:
    found = chances_to_be_best({name: Posterior(mean=mean, sd=sd) for name, (mean, sd) in believed.items()})
    rng, draws = random.Random(11), 40_000
    best = Counter(max(believed, key=lambda name: rng.gauss(*believed[name])) for _ in range(draws))
    assert sum(found.values()) == pytest.approx(1.0)
    for name in believed:
        spread = math.sqrt(found[name] * (1 - found[name]) / draws)
        assert abs(found[name] - best[name] / draws) < 4 * spread + 0.004, name  # 0.004: 128 points stand for a curve


def test_of_two_the_chance_is_that_of_their_difference() -> None:
    found = chances_to_be_best({"a": Posterior(mean=0.30, sd=0.03), "b": Posterior(mean=0.34, sd=0.04)})
    assert found["b"] == pytest.approx(1 - NormalDist(0.04, 0.05).cdf(0.0), abs=0.003)


def test_arms_alike_have_equal_chances_and_one_has_all() -> None:
    same = Posterior(mean=0.2, sd=0.1)
    assert chances_to_be_best({"a": same}) == {"a": 1.0}
    assert chances_to_be_best({"a": same, "b": same, "c": same}) == pytest.approx({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})


def test_what_is_far_behind_has_no_chance() -> None:
    found = chances_to_be_best({"a": Posterior(mean=0.9, sd=0.01), "b": Posterior(mean=0.1, sd=0.01)})
    assert found == pytest.approx({"a": 1.0, "b": 0.0})


# -- probabilities -------------------------------------------------------------------------------------------------------


def test_every_arm_keeps_its_share_of_epsilon() -> None:
    statistics = known(arm("good", 10_000, 5_000), arm("bad", 10_000, 10))
    for epsilon in (0.1, 0.3, 1.0):
        found = probabilities(statistics, ["good", "bad", "new"], epsilon, 4.0)
        assert sum(found.values()) == pytest.approx(1.0)
        assert found["bad"] == pytest.approx(epsilon / 3)
        assert min(found.values()) >= epsilon / 3 - 1e-12
        best = chances_to_be_best(posteriors(statistics, ["good", "bad", "new"], 4.0))
        assert found == pytest.approx({name: (1 - epsilon) * best[name] + epsilon / 3 for name in best})


def test_probabilities_follow_the_order_of_the_arms_and_one_arm_is_certain() -> None:
    assert probabilities({}, ["only"], 0.5, 4.0) == {"only": 1.0}
    assert list(probabilities({}, ["b", "a"], 0.1, 4.0)) == ["b", "a"]


def test_what_was_given_out_can_be_changed_without_harm() -> None:
    first = probabilities({}, ["a", "b"], 0.1, 4.0)
    first["a"] = 9.0
    assert probabilities({}, ["a", "b"], 0.1, 4.0)["a"] == pytest.approx(0.5)


def test_more_evidence_of_the_better_arm_makes_it_likelier() -> None:
    shares = [
        probabilities(known(arm("a", n, 0.3 * n), arm("b", n, 0.2 * n)), ["a", "b"], 0.1, 4.0)["a"]
        for n in (10, 50, 250, 1_250)
    ]
    assert shares == sorted(shares)
    assert shares[0] > 0.5
    assert shares[-1] == pytest.approx(0.95, abs=0.001)


# -- choosing ------------------------------------------------------------------------------------------------------------


def test_arms_are_chosen_as_often_as_their_chances_say() -> None:
    chances = {"a": 0.5, "b": 0.05, "c": 0.3, "d": 0.15}
    drawn = Counter(choose(chances, "7", f"decision-{number}") for number in range(20_000))
    for name, chance in chances.items():
        assert abs(drawn[name] / 20_000 - chance) < 4 * math.sqrt(chance * (1 - chance) / 20_000), name


def test_the_place_of_the_draw_decides_in_the_order_of_the_names() -> None:
    parts = next([str(number)] for number in range(1_000) if 0.3 < uniform(str(number)) < 0.4)
    at = uniform(*parts)
    assert choose({"b": 1 - at, "a": at}, *parts) == "b"  # a ends where the draw begins
    assert choose({"b": 1 - at - 1e-9, "a": at + 1e-9}, *parts) == "a"
    assert choose({"a": 0.0, "b": 1.0}, *parts) == "b"


def test_rounding_never_leaves_a_draw_without_an_arm() -> None:
    assert choose({"a": 0.0, "b": 0.0}, "x") == "b"


def test_a_draw_depends_on_its_parts_and_where_they_end() -> None:
    assert uniform("a", "bc") == uniform("a", "bc")
    assert len({uniform("a", "bc"), uniform("ab", "c"), uniform("abc"), uniform("a", "b", "c")}) == 4
    drawn = [uniform("7", str(number)) for number in range(10_000)]
    assert all(0 <= draw < 1 for draw in drawn)
    assert sum(drawn) / 10_000 == pytest.approx(0.5, abs=0.012)
    assert sum(draw < 0.1 for draw in drawn) == pytest.approx(1_000, abs=120)
    assert sum(draw >= 0.9 for draw in drawn) == pytest.approx(1_000, abs=120)


# -- sums over partitions ------------------------------------------------------------------------------------------------


def test_what_partitions_know_is_added_up_by_context_and_arm() -> None:
    parts = [
        ArmStatistics(arm="a", context="young", trials=3, pending=1, rewards=2, reward_squares=1.5),
        ArmStatistics(arm="a", context="young", trials=4, pending=2, rewards=1, reward_squares=0.5),
        ArmStatistics(arm="b", context="young", trials=5, rewards=1, reward_squares=1),
        ArmStatistics(arm="a", context="old", trials=7, rewards=3, reward_squares=3),
    ]
    found = add_up(parts)
    assert {context: list(arms) for context, arms in found.items()} == {"young": ["a", "b"], "old": ["a"]}
    assert found["young"]["a"] == ArmStatistics(
        arm="a", context="young", trials=7, pending=3, rewards=3, reward_squares=2
    )
    assert (found["young"]["b"], found["old"]["a"]) == (parts[2], parts[3])


def test_without_a_number_every_arm_has_the_same_chance() -> None:
    nobody_knows = {name: Posterior(mean=0.5, sd=float("nan")) for name in ("a", "b", "c", "d")}
    assert chances_to_be_best(nobody_knows) == dict.fromkeys(nobody_knows, 0.25)
