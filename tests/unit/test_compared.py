"""From the policy to the uplift: what personalise writes of its draws is what learn compares."""

from __future__ import annotations

import msgspec
import pytest

from tests.support.core import DELAY_S, NOON, LaneHarness, make_playbook
from tests.support.learning import LearnHarness
from workers.core.playbook.policy import Learning

PEOPLE = 60


@pytest.mark.parametrize(
    ("mode", "holdout", "compared"),
    [("live", 0.5, PEOPLE), ("live", 0.0, 0), ("live", 1.0, 0), ("shadow", 0.5, 0), ("ramp", 0.5, PEOPLE)],
)
def test_only_where_customers_are_held_out_at_random_they_are_compared(
    mode: str, holdout: float, compared: int
) -> None:
    base = make_playbook()
    campaigns = {
        name: msgspec.structs.replace(campaign, mode=mode, ramp_percent=100.0)
        for name, campaign in base.campaigns.items()
    }
    policy = msgspec.structs.replace(base.policy, holdout=holdout)
    lane = LaneHarness(msgspec.structs.replace(base, campaigns=campaigns, policy=policy))
    for number in range(PEOPLE):
        lane.run([*lane.allow("push", user=f"u{number}"), lane.add(user=f"u{number}")])
    lane.run([], NOON + DELAY_S)
    assert {(decision.mode, decision.holdout_share) for decision in lane.decisions} == {(mode, holdout)}
    assert len(lane.decisions) == PEOPLE
    learn = LearnHarness(Learning(attribution_s=3600.0, metrics_window_s=3600.0))
    learn.wall_s = NOON + DELAY_S
    learn.run(*lane.decisions)
    learn.tick(NOON + DELAY_S + 2 * 3600.0)
    rows = learn.metrics.values()
    asked, held = (sum(getattr(row, name) for row in rows) for name in ("requested_customers", "holdout_customers"))
    assert asked + held == compared
    assert (asked > 0 and held > 0) == (compared > 0)
    assert sum(row.decisions for row in rows) == PEOPLE
