"""One row a rule of the policy: sent, not sent, and the edge between. The timelines are run as they stand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from schemas.learning import ArmStatistics
from tests.support.core import NOON, LaneHarness, make_playbook
from tests.timeline import Timeline
from workers.core.decisioning.control_state import ControlState
from workers.core.playbook.campaigns import Campaign, Tone
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Cap, Policy, QuietHours

CAP = Cap(messages=2, per_s=7 * 86_400.0)
NIGHT = QuietHours(start="22:00", end="08:00")
WITH_ZONE = QuietHours(start="22:00", end="08:00", timezone="Europe/London")


def playbook(policy: dict[str, Any] | None = None, **campaign: Any) -> Playbook:
    """The playbook of the tests with a changed policy or campaign."""
    base = make_playbook(tones={"warm": Tone(id="warm", hint={}), "brisk": Tone(id="brisk", hint={})})
    values = {"deadline_s": 600.0} | campaign
    changed: Campaign = msgspec.structs.replace(base.campaigns["cart-abandonment"], **values)
    return msgspec.structs.replace(
        base,
        policy=Policy(**({"caps": [CAP], "undescribed_products": "named"} | (policy or {}))),
        campaigns={changed.id: changed},
    )


ROWS: dict[str, tuple[Playbook, str]] = {
    # -- pause ---------------------------------------------------------------------------------------------------------
    "pause: what is due meanwhile is not sent later": (
        playbook(),
        """
        12:00  allow push
        12:00  add smart-band
        12:10  pause all
        12:30  -> paused
        12:40  resume all
        20:00  -> nothing
        """,
    ),
    "pause: of this campaign": (
        playbook(),
        """
        12:00  allow push
        12:00  add smart-band
        12:10  pause campaign:cart-abandonment
        12:30  -> paused
        """,
    ),
    "pause: of another campaign": (
        playbook(),
        """
        12:00  allow push
        12:00  add smart-band
        12:10  pause campaign:welcome
        12:30  -> requested push
        12:31  words
        12:31  => published
        """,
    ),
    "pause: lifted in time": (
        playbook(),
        """
        12:00  allow push
        12:00  add smart-band
        12:10  pause all
        12:29  resume all
        12:30  -> requested push
        12:31  words
        12:31  => published
        """,
    ),
    "pause: of one channel, another one is left": (
        playbook(),
        """
        12:00  allow push
        12:00  allow email
        12:00  add smart-band
        12:10  pause channel:push
        12:30  -> requested email
        12:31  words
        12:31  => published
        """,
    ),
    "pause: of the only channel that she allows": (
        playbook(),
        """
        12:00  allow push
        12:00  add smart-band
        12:10  pause channel:push
        12:30  -> paused
        """,
    ),
    "pause: while the words are written": (
        playbook(),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> requested push
        12:30  pause channel:push
        12:30  words
        12:30  => paused
        """,
    ),
    "pause: holds over a restart, and for the template that leaves at the deadline": (
        playbook(deadline_s=600.0),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> requested push
        12:31  pause all
        12:32  restart
        12:40  => paused
        """,
    ),
    # -- age -----------------------------------------------------------------------------------------------------------
    "age: after a short outage it is still worth it": (
        playbook(),
        """
        12:00  allow push
        12:00  add smart-band
        13:30  outage
        13:30  -> requested push
        13:31  words
        13:31  => published
        """,
    ),
    "age: after more than an hour it is not": (
        playbook(),
        """
        12:00  allow push
        12:00  add smart-band
        13:31  outage
        13:31  -> stale
        """,
    ),
    "age: a campaign may be more patient": (
        playbook(max_age_s=7200.0),
        """
        12:00  allow push
        12:00  add smart-band
        14:30  outage
        14:30  -> requested push
        14:30  words
        14:30  => published
        """,
    ),
    # -- rollout -------------------------------------------------------------------------------------------------------
    "rollout: in shadow the words are written and nobody hears them": (
        playbook(mode="shadow"),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> shadow push
        12:31  words
        12:31  => shadow
        """,
    ),
    "rollout: on the allowlist": (
        playbook({"allowlist": ["ana"]}, mode="allowlist"),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> requested push
        12:31  words
        12:31  => published
        """,
    ),
    "rollout: not on the allowlist": (
        playbook({"allowlist": ["bo"]}, mode="allowlist"),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> not_in_rollout
        """,
    ),
    "rollout: a ramp of nobody": (
        playbook(mode="ramp", ramp_percent=0.0),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> not_in_rollout
        """,
    ),
    "rollout: a ramp of everybody": (
        playbook(mode="ramp", ramp_percent=100.0),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> requested push
        12:31  words
        12:31  => published
        """,
    ),
    # -- identifiers ---------------------------------------------------------------------------------------------------
    "identifiers: a dead address leaves the other channel": (
        playbook(),
        """
        12:00  allow push
        12:00  allow email
        12:00  add smart-band
        12:30  -> requested push
        12:31  words
        12:31  => published
        12:40  feedback bounced hard
        13:00  add smart-band cart-2
        13:30  -> requested email
        13:30  words
        13:30  => published
        """,
    ),
    "identifiers: no address is left": (
        playbook(),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> requested push
        12:31  words
        12:31  => published
        12:40  feedback bounced hard
        12:45  allow email
        12:46  refuse email
        13:00  add smart-band cart-2
        13:30  -> consent
        """,
    ),
    "identifiers: a soft bounce is no dead address": (
        playbook(),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> requested push
        12:31  words
        12:31  => published
        12:40  feedback bounced soft
        13:00  add smart-band cart-2
        13:30  -> requested push
        13:30  words
        13:30  => published
        """,
    ),
    "identifiers: allowed anew, there is an address again": (
        playbook(channels=["push"]),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> requested push
        12:31  words
        12:31  => published
        12:40  feedback bounced hard
        13:00  add smart-band cart-2
        13:30  -> missing_identifier
        14:00  allow push
        14:00  add smart-band cart-3
        14:30  -> requested push
        14:30  words
        14:30  => published
        """,
    ),
    # -- consent -------------------------------------------------------------------------------------------------------
    "consent: nothing said is no": (
        playbook(),
        """
        12:00  add smart-band
        12:30  -> consent
        """,
    ),
    "consent: withdrawn before the time": (
        playbook(),
        """
        12:00  allow push
        12:00  add smart-band
        12:29  refuse push
        12:30  -> consent
        """,
    ),
    "consent: withdrawn while the words are written": (
        playbook(),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> requested push
        12:30  refuse push
        12:30  words
        12:30  => consent
        """,
    ),
    "consent: an unsubscribe that the sender reports holds for its channel": (
        playbook(),
        """
        12:00  allow push
        12:00  allow email
        12:00  add smart-band
        12:30  -> requested push
        12:31  words
        12:31  => published
        12:40  feedback unsubscribed
        13:00  add smart-band cart-2
        13:30  -> requested email
        13:31  words
        13:31  => published
        """,
    ),
    "consent: a complaint holds for all channels": (
        playbook(),
        """
        12:00  allow push
        12:00  allow email
        12:00  add smart-band
        12:30  -> requested push
        12:31  words
        12:31  => published
        12:40  feedback complained
        13:00  add smart-band cart-2
        13:30  -> consent
        """,
    ),
    "consent: what is transactional needs none": (
        playbook(category="transactional"),
        """
        12:00  add smart-band
        12:30  -> requested push
        12:31  words
        12:31  => published
        """,
    ),
    # -- caps ----------------------------------------------------------------------------------------------------------
    "caps: the third of a week is one too many, the week after it is not": (
        playbook(),
        """
        12:00  allow push
        12:00  add smart-band cart-1
        12:30  -> requested push
        12:30  words
        12:30  => published
        13:00  add smart-band cart-2
        13:30  -> requested push
        13:30  words
        13:30  => published
        14:00  add smart-band cart-3
        14:30  -> frequency_capped
        +7 11:59  add smart-band cart-4
        +7 12:29  -> frequency_capped
        +7 12:01  add smart-band cart-5
        +7 12:59  -> requested push
        +7 12:59  words
        +7 12:59  => published
        """,
    ),
    "caps: a reservation counts before anything is published": (
        playbook({"caps": [Cap(messages=1, per_s=86_400.0)]}, deadline_s=3600.0),
        """
        12:00  allow push
        12:00  add smart-band cart-1
        12:05  add smart-band cart-2
        12:30  -> requested push
        12:35  -> frequency_capped
        12:36  words
        12:36  => published
        """,
    ),
    "caps: what is discarded keeps its place, in the control group as outside": (
        playbook({"caps": [Cap(messages=1, per_s=86_400.0)]}),
        """
        12:00  allow push
        12:00  add smart-band cart-1
        12:30  -> requested push
        12:30  buys cart-1
        12:30  words
        12:30  => converted
        12:40  add wireless-earphones cart-2
        13:10  -> frequency_capped
        """,
    ),
    "caps: what was not delivered frees its place": (
        playbook({"caps": [Cap(messages=1, per_s=86_400.0)]}),
        """
        12:00  allow push
        12:00  add smart-band cart-1
        12:30  -> requested push
        12:30  words
        12:30  => published
        12:40  feedback failed
        12:40  add smart-band cart-2
        13:10  -> requested push
        13:10  words
        13:10  => published
        """,
    ),
    "caps: a full channel leaves another one": (
        playbook({"caps": [Cap(messages=1, per_s=86_400.0, channel="push")]}),
        """
        12:00  allow push
        12:00  allow email
        12:00  add smart-band cart-1
        12:30  -> requested push
        12:30  words
        12:30  => published
        12:40  add smart-band cart-2
        13:10  -> requested email
        13:10  words
        13:10  => published
        """,
    ),
    "caps: what is transactional is exempt": (
        playbook({"caps": [Cap(messages=1, per_s=86_400.0)]}, category="transactional"),
        """
        12:00  add smart-band cart-1
        12:05  add smart-band cart-2
        12:30  -> requested push
        12:35  -> requested push
        12:35  words
        12:35  => published published
        """,
    ),
    # -- quiet hours ---------------------------------------------------------------------------------------------------
    "quiet hours: by day it leaves": (
        playbook({"quiet_hours": NIGHT}),
        """
        12:00  zone Europe/London
        12:00  allow push
        21:29  add smart-band
        21:59  -> requested push
        21:59  words
        21:59  => published
        """,
    ),
    "quiet hours: at night it waits for the morning": (
        playbook({"quiet_hours": NIGHT}),
        """
        12:00  zone Europe/London
        12:00  allow push
        21:30  add smart-band
        +1 07:59  -> nothing
        +1 08:00  -> requested push
        +1 08:00  words
        +1 08:00  => published
        """,
    ),
    "quiet hours: the customer's clock counts, not ours": (
        playbook({"quiet_hours": NIGHT}),
        """
        12:00  zone Asia/Shanghai
        12:00  allow push
        14:00  add smart-band
        23:59  -> nothing
        +1 00:00  -> requested push
        +1 00:00  words
        +1 00:00  => published
        """,
    ),
    "quiet hours: what was bought at night needs no reminder": (
        playbook({"quiet_hours": NIGHT}),
        """
        12:00  zone Europe/London
        12:00  allow push
        22:00  add smart-band
        23:00  buys cart-1
        +1 12:00  -> nothing
        """,
    ),
    "quiet hours: worthless in the morning": (
        playbook({"quiet_hours": NIGHT}, ttl_s=4 * 3600.0),
        """
        12:00  zone Europe/London
        12:00  allow push
        22:00  add smart-band
        22:30  -> quiet_hours
        """,
    ),
    "quiet hours: a zone that is not known": (
        playbook({"quiet_hours": NIGHT}),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> missing_timezone
        """,
    ),
    "quiet hours: a zone for those whose own is not known": (
        playbook({"quiet_hours": WITH_ZONE}),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> requested push
        12:30  words
        12:30  => published
        """,
    ),
    "quiet hours: of one channel, another one is awake": (
        playbook({"quiet_hours": msgspec.structs.replace(WITH_ZONE, channels=["push"])}),
        """
        12:00  allow push
        12:00  allow email
        22:00  add smart-band
        22:30  -> requested email
        22:30  words
        22:30  => published
        """,
    ),
    "quiet hours: what is transactional does not wait": (
        playbook({"quiet_hours": NIGHT}, category="transactional"),
        """
        22:00  add smart-band
        22:30  -> requested push
        22:30  words
        22:30  => published
        """,
    ),
    # -- arm -----------------------------------------------------------------------------------------------------------
    "arm: who refuses personalisation is no trial": (
        playbook(tones=["warm", "brisk"], no_send=True),
        """
        12:00  allow push
        12:00  refuse personalisation
        12:00  add smart-band
        12:30  -> requested push
        12:30  words
        12:30  => published
        """,
    ),
    # -- holdout -------------------------------------------------------------------------------------------------------
    "holdout: hears nothing": (
        playbook({"holdout": 1.0}),
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> holdout push
        """,
    ),
    "holdout: its virtual sends count like real ones": (
        playbook({"holdout": 1.0}),
        """
        12:00  allow push
        12:00  add smart-band cart-1
        12:30  -> holdout push
        13:00  add smart-band cart-2
        13:30  -> holdout push
        14:00  add smart-band cart-3
        14:30  -> frequency_capped
        """,
    ),
    "holdout: is stamped last, other reasons come first": (
        playbook({"holdout": 1.0}),
        """
        12:00  add smart-band
        12:30  -> consent
        """,
    ),
    "holdout: what is transactional is for everybody": (
        playbook({"holdout": 1.0}, category="transactional"),
        """
        12:00  add smart-band
        12:30  -> requested push
        12:30  words
        12:30  => published
        """,
    ),
}


@pytest.mark.parametrize("row", list(ROWS))
def test_policy(row: str) -> None:
    book, timeline = ROWS[row]
    Timeline(book).run(timeline)


def test_an_anonymous_visitor_is_not_written_to() -> None:
    Timeline(playbook(), user="").run(
        """
        12:00  add smart-band
        12:30  -> missing_identifier
        """
    )


def test_the_night_in_which_clocks_change_ends_at_eight_too() -> None:
    # 2024-03-30 22:30 GMT ──────── 01:00 GMT = 02:00 BST ──────── 2024-03-31 08:00 BST = 07:00 UTC
    last_winter_day_s = datetime(2024, 3, 30, tzinfo=UTC).timestamp()
    Timeline(playbook({"quiet_hours": NIGHT}), day_s=last_winter_day_s).run(
        """
        12:00  zone Europe/London
        12:00  allow push
        22:00  add smart-band
        +1 06:59  -> nothing
        +1 07:00  -> requested push
        +1 07:00  words
        +1 07:00  => published
        """
    )


def test_each_check_leaves_a_line_in_its_order() -> None:
    lane = Timeline(playbook({"quiet_hours": WITH_ZONE, "holdout": 1e-9}, tones=["warm", "brisk"])).run(
        """
        12:00  allow push
        12:00  add smart-band
        12:30  -> requested push
        12:30  words
        12:30  => published
        """
    )
    assert [check.name for check in lane.decisions[0].checks] == [
        "pause",
        "age",
        "rollout",
        "identifiers",
        "consent",
        "caps",
        "quiet hours",
        "arm",
        "holdout",
    ]


# -- a hundred at once ------------------------------------------------------------------------------------------------


def hundred_campaigns(caps: list[Cap]) -> LaneHarness:
    """One cart that a hundred campaigns want to speak of at the same instant, and no words yet for any of them."""
    book = playbook({"caps": caps})
    model = book.campaigns["cart-abandonment"]
    campaigns = {f"c{number}": msgspec.structs.replace(model, id=f"c{number}") for number in range(100)}
    lane = LaneHarness(msgspec.structs.replace(book, campaigns=campaigns))
    lane.run([*lane.allow("push", "email"), lane.add()])
    lane.run([], NOON + 1800)
    assert len(lane.decisions) == 100
    return lane


@pytest.mark.parametrize("cap", [1, 2, 7])
def test_a_hundred_triggers_at_once_never_pass_a_cap(cap: int) -> None:
    # 12:30  c0 c1 c2 ... c99     all due in one instant, none answered
    #        #  #  .  ... .       `cap` requests, the rest frequency_capped
    lane = hundred_campaigns([Cap(messages=cap, per_s=7 * 86_400.0)])
    assert [decision.reason for decision in lane.decisions].count("requested") == len(lane.requests) == cap
    assert [decision.reason for decision in lane.decisions].count("frequency_capped") == 100 - cap
    lane.run([lane.candidate(request) for request in lane.requests], NOON + 1860)
    assert len(lane.messages) == cap


def test_without_a_cap_all_hundred_leave() -> None:
    lane = hundred_campaigns([])
    assert len(lane.requests) == 100  # so the test above can fail


def test_shadow_sends_take_no_place_of_real_ones() -> None:
    book = playbook({"caps": [Cap(messages=1, per_s=7 * 86_400.0)]}, mode="shadow")
    real = msgspec.structs.replace(book.campaigns["cart-abandonment"], id="real", mode="live")
    book = msgspec.structs.replace(book, campaigns={**book.campaigns, "real": real})
    lane = LaneHarness(book)
    lane.run([*lane.allow("push"), lane.add("cart-1")])
    lane.run([], NOON + 1800)
    assert [decision.reason for decision in lane.decisions] == ["shadow", "requested"]
    lane.run([lane.add("cart-2", NOON + 1800)], NOON + 1800)
    lane.run([], NOON + 3600)
    assert [decision.reason for decision in lane.decisions[2:]] == ["frequency_capped", "frequency_capped"]
    lane.run([lane.candidate(request) for request in lane.requests], NOON + 3600)
    assert [message.campaign_id for message in lane.messages] == ["real"]


# -- arms -------------------------------------------------------------------------------------------------------------


def decide_for(customers: int, control: ControlState, **campaign: Any) -> LaneHarness:
    """One open cart for each of many customers, decided under the same evidence."""
    lane = LaneHarness(playbook(**campaign))
    lane.control = control
    for number in range(customers):
        user = f"user-{number}"
        lane.run([*lane.allow("push", user=user), lane.add(user=user)])
    lane.run([], NOON + 1800)
    return lane


def learnt(**rewards: tuple[float, float]) -> ControlState:
    """Evidence for the group `young`: arm=(trials, rewards)."""
    arms = {
        name: ArmStatistics(arm=name, context="young", trials=trials, rewards=total, reward_squares=total)
        for name, (trials, total) in ((name.replace("_", "."), value) for name, value in rewards.items())
    }
    return ControlState(evidence={"cart-abandonment": {"young": arms}}, versions={"cart-abandonment": "s1"})


def test_without_evidence_all_arms_are_drawn_alike_and_saying_nothing_is_one() -> None:
    lane = decide_for(300, ControlState(), tones=["warm", "brisk"], no_send=True)
    drawn = [decision.variation_id for decision in lane.decisions]
    assert set(drawn) == {"base.warm", "base.brisk", "no-send"}
    for arm in set(drawn):
        assert 70 <= drawn.count(arm) <= 130  # 100 expected, sd 8
    for decision in lane.decisions:
        assert sum(decision.propensities.values()) == pytest.approx(1.0)
        assert decision.propensity == decision.propensities[decision.variation_id or ""] == pytest.approx(1 / 3)
        assert (decision.reason == "no_action_chosen") == (decision.variation_id == "no-send")
        assert (decision.message_id is None) == (decision.variation_id == "no-send")
    assert len(lane.requests) == 300 - drawn.count("no-send")
    assert {request.tone for request in lane.requests} == {"warm", "brisk"}
    assert {request.variation_id for request in lane.requests} == {"base.warm", "base.brisk"}


def test_evidence_moves_the_probabilities_and_the_floor_keeps_every_arm_alive() -> None:
    lane = decide_for(400, learnt(base_warm=(200, 20), base_brisk=(200, 120)), tones=["warm", "brisk"])
    drawn = [decision.variation_id for decision in lane.decisions]
    (propensities,) = {tuple(sorted(decision.propensities.items())) for decision in lane.decisions}
    assert dict(propensities) == {"base.brisk": pytest.approx(0.95), "base.warm": pytest.approx(0.05)}
    assert 5 <= drawn.count("base.warm") <= 38  # 20 expected, sd 4.4
    assert {decision.snapshot_version for decision in lane.decisions} == {"s1"}


def test_the_same_inputs_give_the_same_decisions() -> None:
    evidence = learnt(base_warm=(10, 5))
    first, again = (decide_for(50, evidence, tones=["warm", "brisk"], no_send=True) for _ in range(2))
    assert first.decisions == again.decisions


def test_another_seed_draws_otherwise() -> None:
    lanes = [LaneHarness(playbook(tones=["warm", "brisk"]), seed=seed) for seed in ("1", "2")]
    for lane in lanes:
        for number in range(40):
            user = f"user-{number}"
            lane.run([*lane.allow("push", user=user), lane.add(user=user)])
        lane.run([], NOON + 1800)
    assert [d.variation_id for d in lanes[0].decisions] != [d.variation_id for d in lanes[1].decisions]


def test_who_refuses_personalisation_gets_the_first_arm_without_a_draw() -> None:
    lane = Timeline(playbook(tones=["warm", "brisk"], no_send=True)).run(
        ROWS["arm: who refuses personalisation is no trial"][1]
    )
    (decision,) = lane.decisions
    assert (decision.variation_id, decision.propensities, decision.target_group) == (None, {}, "generic")


def test_the_holdout_is_drawn_per_customer_and_knows_what_it_would_have_heard() -> None:
    book = playbook({"holdout": 0.25}, tones=["warm", "brisk"])
    lane = LaneHarness(book)
    users = [f"user-{number}" for number in range(400)]
    for round_ in range(2):
        for user in users:
            at_s = NOON + round_ * 3600
            lane.run([*lane.allow("push", user=user), lane.add(f"cart-{round_}", at_s, user)], at_s)
        lane.run([], NOON + round_ * 3600 + 1800)
    held = {decision.user_id for decision in lane.decisions if decision.reason == "holdout"}
    assert 65 <= len(held) <= 135  # 100 expected, sd 8.7
    assert {decision.user_id for decision in lane.decisions if decision.reason == "requested"}.isdisjoint(held)
    assert all(
        decision.variation_id and decision.message_id is None for decision in lane.decisions if decision.user_id in held
    )
    assert not {request.user_id for request in lane.requests} & held


def test_a_ghosts_words_are_written_and_nobody_hears_them() -> None:
    lane = LaneHarness(playbook({"holdout": 1.0, "ghost_share": 1.0}))
    lane.run([*lane.allow("push"), lane.add()])
    lane.run([], NOON + 1800)
    (decision,), (request,) = lane.decisions, lane.requests
    assert (decision.reason, decision.message_id) == ("holdout", request.message_id)
    assert request.ghost
    lane.run([lane.candidate(request)], NOON + 1801)
    (outcome,) = lane.outcomes
    assert (outcome.reason, lane.messages, lane.reviews) == ("holdout", [], [])
    assert [send.kind for send in lane.profile().sends] == ["holdout"], "its virtual send counts on"


def test_a_ghost_whose_occurrence_is_gone_keeps_its_virtual_send_like_one_without_words() -> None:
    lane = LaneHarness(playbook({"holdout": 1.0, "ghost_share": 1.0}))
    lane.run([*lane.allow("push"), lane.add()])
    lane.run([], NOON + 1800)
    lane.run([lane.buy(at_s=NOON + 1801), lane.candidate(lane.requests[0])], NOON + 1802)
    assert [outcome.reason for outcome in lane.outcomes] == ["converted"]
    assert [send.kind for send in lane.profile().sends] == ["holdout"]


def test_only_a_sample_of_the_holdout_becomes_ghosts() -> None:
    lane = LaneHarness(playbook({"holdout": 1.0, "ghost_share": 0.25}))
    for number in range(400):
        lane.run([*lane.allow("push", user=f"user-{number}"), lane.add(user=f"user-{number}")])
    lane.run([], NOON + 1800)
    assert {decision.reason for decision in lane.decisions} == {"holdout"}
    assert 65 <= len(lane.requests) <= 135  # 100 expected, sd 8.7
    asked = {decision.message_id for decision in lane.decisions if decision.message_id}
    assert asked == {request.message_id for request in lane.requests}


# -- the channel's rate -----------------------------------------------------------------------------------------------


def test_after_an_outage_the_rest_leaves_at_the_rate_of_the_channel() -> None:
    # 50 carts due at 12:30 ── outage until 12:50 ── ##########.#.#.#.#.#.#.#  10 a second and no faster
    base = playbook()
    push = msgspec.structs.replace(base.channels["push"], rate_per_s=10.0)
    book = msgspec.structs.replace(base, channels=base.channels | {"push": push})
    lane = LaneHarness(book)
    for number in range(50):
        lane.run([*lane.allow("push", user=f"user-{number}"), lane.add(user=f"user-{number}")])
    begin_s = NOON + 3000
    for tenth in range(60):
        lane.run([], begin_s + tenth / 10)
        assert len(lane.requests) <= 10 + tenth + 1
        if tenth == 30:
            lane.restart()
    assert len(lane.requests) == len(lane.decisions) == 50
    assert {decision.reason for decision in lane.decisions} == {"requested"}


def test_what_was_bought_while_it_waited_for_room_is_not_sent() -> None:
    base = playbook()
    push = msgspec.structs.replace(base.channels["push"], rate_per_s=0.01)
    lane = LaneHarness(msgspec.structs.replace(base, channels=base.channels | {"push": push}))
    for user in ("ana", "bo", "cem"):
        lane.run([*lane.allow("push", user=user), lane.add(user=user)])
    lane.run([], NOON + 1800)
    assert len(lane.requests) == 1
    waiting = {"ana", "bo", "cem"} - {lane.requests[0].user_id}
    lane.run([lane.buy(at_s=NOON + 1810, user=user) for user in waiting], NOON + 1810)
    lane.run([], NOON + 3000)
    assert len(lane.decisions) == 1
