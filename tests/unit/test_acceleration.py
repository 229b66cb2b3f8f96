"""A playbook whose time runs faster."""

from __future__ import annotations

import msgspec

from tests.support.playbooks import playbook
from workers.core.playbook.campaigns import BrowseAbandonment, CartAbandonment, CrossSell, RepeatView, Trigger
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Learning, QuietHours
from workers.core.playbook.time_scaling import accelerate

SHIPPED = playbook()
replace = msgspec.structs.replace


def with_trigger(trigger: Trigger) -> Playbook:
    campaign = replace(SHIPPED.campaigns["cart-abandonment"], trigger=trigger)
    return replace(SHIPPED, campaigns={campaign.id: campaign})


def accelerated(trigger: Trigger) -> Trigger:
    return accelerate(with_trigger(trigger), 360.0).campaigns["cart-abandonment"].trigger


def test_by_one_nothing_changes() -> None:
    assert accelerate(SHIPPED, 1.0) is SHIPPED


def test_every_trigger_comes_sooner_and_keeps_its_other_conditions() -> None:
    assert accelerated(CartAbandonment(delay_s=1800, min_value=5)) == CartAbandonment(delay_s=5, min_value=5)
    assert accelerated(RepeatView(delay_s=3600, views=4, within_s=7200)) == RepeatView(delay_s=10, views=4, within_s=20)
    assert accelerated(BrowseAbandonment(delay_s=720, views=2)) == BrowseAbandonment(delay_s=2, views=2)
    assert accelerated(CrossSell(delay_s=1800, offer=["viewed"])) == CrossSell(delay_s=5, offer=["viewed"])


def test_nobody_waits_for_days() -> None:
    assert accelerated(CrossSell(delay_s=3 * 86_400, offer=["viewed"])) == CrossSell(delay_s=10, offer=["viewed"])


def test_windows_of_caps_and_learning_shrink_alike() -> None:
    learning = Learning(attribution_s=86_400, metrics_window_s=3600, epsilon=0.2)
    playbook = replace(SHIPPED, policy=replace(SHIPPED.policy, learning=learning))
    fast = accelerate(playbook, 360.0).policy
    assert fast.learning == replace(learning, attribution_s=240.0, metrics_window_s=10.0)
    assert [cap.per_s * 360.0 for cap in fast.caps] == [cap.per_s for cap in SHIPPED.policy.caps]


def test_what_machines_need_stays() -> None:
    before = replace(SHIPPED.campaigns["cart-abandonment"], deadline_s=60.0, ttl_s=86_400.0, max_age_s=900.0)
    after = accelerate(replace(SHIPPED, campaigns={before.id: before}), 360.0).campaigns[before.id]
    assert (after.deadline_s, after.max_age_s) == (60.0, 900.0)
    assert after.ttl_s == 240.0


def test_a_message_lives_for_two_deadlines_at_least() -> None:
    before = replace(SHIPPED.campaigns["cart-abandonment"], deadline_s=60.0, ttl_s=3600.0)
    assert accelerate(replace(SHIPPED, campaigns={before.id: before}), 360.0).campaigns[before.id].ttl_s == 120.0


def test_there_is_no_night_on_a_fast_clock() -> None:
    policy = replace(SHIPPED.policy, quiet_hours=QuietHours(start="22:00", end="08:00", timezone="Asia/Shanghai"))
    assert accelerate(replace(SHIPPED, policy=policy), 360.0).policy.quiet_hours is None
