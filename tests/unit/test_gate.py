"""Whatever leaves, leaves by one gate: when everything the log held before is applied, awake, let out, unexpired."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from math import sqrt
from typing import Any

import msgspec
import pytest

from schemas import codec
from schemas.control import DeadLetter
from schemas.learning import ArmStatistics
from schemas.messages import Cancellation
from schemas.topics import BY_NAME
from schemas.values import instant
from tests.support.core import DELAY_S, NOON, LaneHarness, make_playbook
from tests.support.intake import NOW, map_one
from workers.core.decisioning import quiet_hours
from workers.core.decisioning.control_state import ControlState
from workers.core.errors import InvalidEvent
from workers.core.personalisation.requests import OpenRequests
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Cap, QuietHours, ReviewRules
from workers.core.publishing import messages
from workers.core.triggers import registry

DUE_S = NOON + DELAY_S
HOUR_S = 3600.0


def asked(playbook: Playbook | None = None, *, channel: str = "push") -> LaneHarness:
    """ana's cart was due at 12:30: words are asked for."""
    lane = LaneHarness(playbook)
    lane.run([*lane.allow(channel), lane.add()])
    lane.run([], DUE_S)
    assert len(lane.requests) == 1
    return lane


def with_policy(playbook: Playbook | None = None, **changes: object) -> Playbook:
    base = playbook or make_playbook()
    return msgspec.structs.replace(base, policy=msgspec.structs.replace(base.policy, **changes))


def with_campaign(playbook: Playbook | None = None, **changes: object) -> Playbook:
    base = playbook or make_playbook()
    changed = {name: msgspec.structs.replace(campaign, **changes) for name, campaign in base.campaigns.items()}
    return msgspec.structs.replace(base, campaigns=changed)


# -- nothing leaves ahead of what the log holds ------------------------------------------------------------------------


def said_no(lane: LaneHarness) -> list:  # type: ignore[type-arg]
    return [lane.feedback("another", "unsubscribed", DUE_S + 60, channel="push")]


def bought(lane: LaneHarness) -> list:  # type: ignore[type-arg]
    return [lane.buy(at_s=DUE_S + 60)]


@pytest.mark.parametrize(("what", "reason"), [(said_no, "consent"), (bought, "converted")])
@pytest.mark.parametrize("way", ["words", "verdict"])
def test_what_comes_before_the_backlog_is_applied_waits_for_it(what, reason: str, way: str) -> None:  # type: ignore[no-untyped-def]
    # words ── the log: [... 300,000 events ... no] ── the no is applied ── at the end of the log
    rules = ReviewRules(new_prompts=True) if way == "verdict" else ReviewRules(new_prompts=False)
    lane = asked(with_policy(review=rules))
    lane.run([lane.candidate(lane.requests[0])], DUE_S + 1)
    if way == "words":
        lane = asked(with_policy(review=rules))
        lane.run([lane.candidate(lane.requests[0])], DUE_S + 120, caught_up=False)
    else:
        assert len(lane.reviews) == 1
        lane.run([lane.verdict(lane.reviews[0], "approve")], DUE_S + 120, caught_up=False)
    assert lane.messages == []
    assert lane.outcomes == []
    lane.run(what(lane), DUE_S + 130, caught_up=False)
    lane.run([], DUE_S + 140)
    assert (lane.messages, [outcome.reason for outcome in lane.outcomes]) == ([], [reason])


def test_words_that_come_with_a_no_behind_them_in_one_batch_do_not_leave() -> None:
    lane = asked()
    lane.run([lane.candidate(lane.requests[0]), *said_no(lane)], DUE_S + 120)
    assert [outcome.reason for outcome in lane.outcomes] == ["consent"]


def test_held_words_survive_a_restart_and_leave_once_the_end_is_reached() -> None:
    lane = asked()
    lane.run([lane.candidate(lane.requests[0])], DUE_S + 2, caught_up=False)
    lane.restart()
    lane.run([lane.candidate(lane.requests[0], body="another")], DUE_S + 3)
    assert [message.body for message in lane.messages] == ["Your band is still here."]
    assert [outcome.reason for outcome in lane.outcomes] == ["published"]


@pytest.mark.parametrize("reviewed", [False, True])
def test_words_that_come_while_it_is_paused_are_never_sent_though_the_gate_opens_later(reviewed: bool) -> None:
    # paused ── words ── resumed ── the gate opens: nothing of the pause is sent later, and nothing unreviewed
    lane = asked(with_policy(review=ReviewRules(new_prompts=reviewed)))
    lane.control = ControlState(paused=frozenset({"all"}))
    lane.run([lane.candidate(lane.requests[0])], DUE_S + 1, caught_up=False)
    lane.control = ControlState()
    lane.run([], DUE_S + 2)
    assert (lane.messages, lane.reviews) == ([], [])
    assert [outcome.reason for outcome in lane.outcomes] == ["paused"]


# -- nothing of marketing leaves at night, by whatever way ------------------------------------------------------------------


@pytest.mark.parametrize("way", ["words", "template", "approved", "unreviewed"])
def test_what_is_ready_at_night_waits_for_the_morning(way: str) -> None:
    # decided at 12:30 ── quiet from 12:31 ── ready at 12:40, or at the deadline ── 14:00
    night = QuietHours(start="12:31", end="14:00", timezone="UTC")
    reviewed = way in ("approved", "unreviewed")
    rules = ReviewRules(new_prompts=reviewed, timeout_s=900.0, on_timeout="publish")
    lane = asked(with_campaign(with_policy(quiet_hours=night, review=rules), deadline_s=600.0))
    if way != "template":
        lane.run([lane.candidate(lane.requests[0])], DUE_S + (30 if reviewed else 600))
    if way == "approved":
        lane.run([lane.verdict(lane.reviews[0], "approve")], DUE_S + 600)
    for minute in range(11, 90):
        lane.run([], DUE_S + 60 * minute)
        assert (minute == 90) or lane.messages == []
    lane.run([], NOON + 2 * HOUR_S)
    (message,) = lane.messages
    assert message.send_at.timestamp() == NOON + 2 * HOUR_S


def test_what_expires_before_the_morning_ends_as_night() -> None:
    night = QuietHours(start="12:31", end="14:00", timezone="UTC")
    lane = asked(with_campaign(with_policy(quiet_hours=night), ttl_s=HOUR_S))
    lane.run([lane.candidate(lane.requests[0])], DUE_S + 120)
    assert [outcome.reason for outcome in lane.outcomes] == ["quiet_hours"]


def test_a_zone_that_the_data_no_longer_know_is_no_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    night = QuietHours(start="22:00", end="08:00")
    lane = LaneHarness(with_policy(quiet_hours=night))
    told = lane.event("Page", context={"timezone": "Europe/Berlin"})
    lane.run([*lane.allow("push"), told, lane.add(), lane.add("cart-2", NOON + 600)])
    lane.run([], DUE_S)
    monkeypatch.setattr(quiet_hours, "is_known", lambda zone: zone != "Europe/Berlin")
    lane.run([lane.candidate(lane.requests[0])], DUE_S + 1)
    lane.run([], DUE_S + 600)
    assert [outcome.reason for outcome in lane.outcomes] == ["missing_timezone"]
    assert [decision.reason for decision in lane.decisions] == ["requested", "missing_timezone"]


# -- the rollout holds at the gate, too -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "changes", "reason"),
    [
        ("shadow", {}, "shadow"),
        ("allowlist", {}, "not_in_rollout"),
        ("ramp", {"ramp_percent": 0.0}, "not_in_rollout"),
        ("ramp", {"ramp_percent": 100.0}, "published"),
    ],
)
def test_a_campaign_that_is_taken_back_while_texts_wait_publishes_nothing(
    mode: str, changes: dict[str, float], reason: str
) -> None:
    lane = asked()
    lane.playbook = with_campaign(lane.playbook, mode=mode, **changes)
    lane.restart()
    lane.run([lane.candidate(lane.requests[0])], DUE_S + 1)
    assert [outcome.reason for outcome in lane.outcomes] == [reason]
    assert len(lane.messages) == (reason == "published")


# -- worth counts from the occurrence -----------------------------------------------------------------------------------------


def test_a_message_is_worthless_a_ttl_after_its_occurrence_however_long_it_waited_for_room() -> None:
    # 40 carts at 12:30 ── room for one in 10 minutes ── worth 2 hours
    base = with_campaign(make_playbook(), ttl_s=2 * HOUR_S, max_age_s=30 * HOUR_S)
    push = msgspec.structs.replace(base.channels["push"], rate_per_s=1 / 600)
    lane = LaneHarness(msgspec.structs.replace(base, channels=base.channels | {"push": push}))
    for number in range(40):
        lane.run([*lane.allow("push", user=f"u{number}"), lane.add(user=f"u{number}")])
    answered = 0
    for step in range(500):
        now_s = DUE_S + 60 * step
        lane.run([], now_s)
        lane.run([lane.candidate(request) for request in lane.requests[answered:]], now_s)
        answered = len(lane.requests)
    assert len(lane.decisions) == 40
    assert {message.send_at.timestamp() < DUE_S + 2 * HOUR_S for message in lane.messages} == {True}
    reasons = Counter(decision.reason for decision in lane.decisions)
    assert reasons["expired"] > 20
    assert reasons.total() == reasons["expired"] + reasons["requested"]


def evidence(learnt: dict[str, tuple[float, float]]) -> ControlState:
    """What was learnt in every group: arm -> (trials, rewards)."""
    arms = {
        arm: ArmStatistics(arm=arm, trials=trials, rewards=rewards, reward_squares=rewards)
        for arm, (trials, rewards) in learnt.items()
    }
    groups = [*(group.id for group in make_playbook().audiences.target_groups), "generic"]
    return ControlState(evidence={"cart-abandonment": dict.fromkeys(groups, arms)})


# -- the control group ------------------------------------------------------------------------------------------------------


def test_a_shadow_campaign_holds_nobody_out_and_fills_no_real_cap() -> None:
    book = with_policy(with_campaign(mode="shadow"), holdout=1.0, caps=[Cap(messages=1, per_s=86_400.0)])
    lane = asked(book)
    (decision,) = lane.decisions
    assert (decision.reason, decision.mode) == ("shadow", "shadow")
    assert [send.kind for send in lane.profile().sends] == ["shadow"]
    lane.run([lane.candidate(lane.requests[0])], DUE_S + 1)
    assert [outcome.reason for outcome in lane.outcomes] == ["shadow"]


def test_the_chances_are_those_of_the_draw_however_long_it_waits_for_room() -> None:
    # Two arms and no-send; the evidence turns round while most occasions wait for room.
    early = evidence({"base.warm": (500, 50), "base.brisk": (500, 50), "no-send": (500, 400)})
    late = evidence({"base.warm": (500, 400), "base.brisk": (500, 400), "no-send": (500, 50)})
    base = with_campaign(tones=["warm", "brisk"], no_send=True, max_age_s=30 * HOUR_S)
    push = msgspec.structs.replace(base.channels["push"], rate_per_s=0.2)
    lane = LaneHarness(msgspec.structs.replace(base, channels=base.channels | {"push": push}))
    lane.control = early
    people = 300
    for number in range(people):
        lane.run([*lane.allow("push", user=f"u{number}"), lane.add(user=f"u{number}")])
    for step in range(people + 20):
        lane.control = early if step < 3 else late
        lane.run([], DUE_S + 5 * step)
    drawn = [decision for decision in lane.decisions if decision.propensities]
    assert len(drawn) == people
    for arm in drawn[0].propensities:
        terms = [(decision.variation_id == arm) / decision.propensities[arm] for decision in drawn]
        mean = sum(terms) / len(terms)
        error = sqrt(sum((term - mean) ** 2 for term in terms)) / len(terms)
        assert abs(mean - 1) < 4 * error + 0.02, (arm, mean, error)


# -- caps count what the customer hears -------------------------------------------------------------------------------------


def test_a_message_that_waited_for_a_verdict_counts_from_when_it_left() -> None:
    # decided 12:30 ── approved 23:30 ── the next cart due at 12:31 the day after: 13 hours later
    caps = [Cap(messages=1, per_s=24 * HOUR_S)]
    rules = ReviewRules(new_prompts=True, timeout_s=20 * HOUR_S)
    lane = asked(with_policy(caps=caps, review=rules))
    lane.run([lane.candidate(lane.requests[0])], DUE_S + 1)
    lane.run([lane.verdict(lane.reviews[0], "approve")], DUE_S + 11 * HOUR_S)
    assert len(lane.messages) == 1
    lane.run([lane.add("cart-2", NOON + 24 * HOUR_S + 60)], NOON + 24 * HOUR_S + 60)
    lane.run([], DUE_S + 24 * HOUR_S + 60)
    assert [decision.reason for decision in lane.decisions] == ["requested", "frequency_capped"]


def test_a_message_that_still_waits_counts_as_one_that_leaves_now() -> None:
    caps = [Cap(messages=1, per_s=HOUR_S)]
    rules = ReviewRules(new_prompts=True, timeout_s=20 * HOUR_S)
    lane = asked(with_policy(caps=caps, review=rules))
    lane.run([lane.candidate(lane.requests[0]), lane.add("cart-2", DUE_S + HOUR_S)], DUE_S + HOUR_S)
    lane.run([], DUE_S + HOUR_S + DELAY_S)
    assert [decision.reason for decision in lane.decisions] == ["requested", "frequency_capped"]


# -- what was published and became wrong ------------------------------------------------------------------------------------


def cancelled(lane: LaneHarness) -> list[Cancellation]:
    return [codec.decode(Cancellation, out.value) for out in lane.outputs if out.topic == "message.cancellations"]


def published() -> LaneHarness:
    lane = asked()
    lane.run([lane.candidate(lane.requests[0])], DUE_S + 1)
    assert len(lane.messages) == 1
    return lane


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (bought, "converted"),
        (said_no, "consent"),
        (lambda lane: lane.allow("push", at_s=DUE_S + 60, status="unsubscribed"), "consent"),
        (
            lambda lane: [lane.feedback("another", "bounced", DUE_S + 60, channel="push", bounce_type="hard")],
            "missing_identifier",
        ),
    ],
)
def test_a_published_message_that_became_wrong_is_called_back_once(what, reason: str) -> None:  # type: ignore[no-untyped-def]
    lane = published()
    for again in range(2):
        lane.run(what(lane), DUE_S + 60 + again)
        lane.restart()
    (cancellation,) = cancelled(lane)
    assert (cancellation.message_id, cancellation.user_id, cancellation.channel) == (
        lane.messages[0].message_id,
        "ana",
        "push",
    )
    assert (cancellation.reason, cancellation.cancelled_at.timestamp()) == (reason, DUE_S + 60)


def test_what_was_bought_is_called_back_though_its_campaign_has_left_the_playbook() -> None:
    lane = published()
    lane.playbook = msgspec.structs.replace(lane.playbook, campaigns={})
    lane.restart()
    lane.run([lane.buy("cart-9", DUE_S + 60, order_id="other", products=[{"product_id": "another"}])], DUE_S + 60)
    assert cancelled(lane) == []
    lane.run(
        [
            lane.buy(
                "cart-9", DUE_S + 61, order_id="one", products=[{"product_id": lane.requests[0].product.product_id}]
            )
        ],
        DUE_S + 61,
    )
    assert [one.reason for one in cancelled(lane)] == ["converted"]


def test_what_was_delivered_or_is_still_right_or_has_expired_is_not_called_back() -> None:
    lane = published()
    lane.run(
        [lane.view("another", DUE_S + 30), lane.buy("cart-9", DUE_S + 31, order_id="other", products=[])], DUE_S + 31
    )
    assert cancelled(lane) == []
    lane.run([lane.feedback(lane.messages[0], "delivered", DUE_S + 40)], DUE_S + 40)
    lane.run(bought(lane), DUE_S + 60)
    assert cancelled(lane) == []
    late = published()
    late.run([late.buy(at_s=DUE_S + 25 * HOUR_S)], DUE_S + 25 * HOUR_S)
    assert cancelled(late) == []


# -- words about consent are ordered by when they can have been said ---------------------------------------------------------


@pytest.mark.parametrize("heard", ["event", "feedback"])
def test_a_device_ahead_does_not_outlast_a_no_that_came_after_it(heard: str) -> None:
    # the log: a yes appended 12:00, said "12:10" by a fast device ── a no appended and said 12:05 ── read at 13:00
    lane = LaneHarness()
    yes = msgspec.structs.replace(lane.allow("push", at_s=NOON + 600)[0], appended_at_s=NOON)
    if heard == "event":
        (no,) = lane.allow("push", at_s=NOON + 300, status="unsubscribed")
    else:
        no = lane.feedback("m", "unsubscribed", NOON + 300, channel="push")
    lane.run([yes, no], NOON + HOUR_S)
    assert lane.profile().consent["push:marketing"].granted is False


def test_a_worker_behind_the_broker_keeps_the_order_of_words() -> None:
    # appended and said: a yes at 12:00, a no at 12:05, an older yes (11:58) that comes last ── the worker's clock says 11:00
    lane = LaneHarness()
    yes, no = lane.allow("push")[0], lane.allow("push", at_s=NOON + 300, status="unsubscribed")[0]
    late = lane.allow("push", at_s=NOON - 120)[0]
    words = [(yes, NOON), (no, NOON + 300), (late, NOON + 600)]
    lane.run([msgspec.structs.replace(word, appended_at_s=at_s) for word, at_s in words], NOON - HOUR_S)
    assert lane.profile().consent["push:marketing"].granted is False


def test_a_yes_after_a_no_of_a_device_ahead_holds() -> None:
    lane = LaneHarness()
    no = msgspec.structs.replace(lane.allow("push", at_s=NOON + 600, status="unsubscribed")[0], appended_at_s=NOON)
    lane.run([no, *lane.allow("push", at_s=NOON + 300)], NOON + HOUR_S)
    assert lane.profile().consent["push:marketing"].granted is True


@pytest.mark.parametrize(("device_s", "told"), [(600, True), (0, False), (-600, False)])
def test_a_device_ahead_is_told_when_its_word_reached_the_log(device_s: int, told: bool) -> None:
    # Claims of the device itself (Segment's receivedAt) must not make a no older than it is.
    for claimed in (None, "1999-01-01T00:00:00Z", "2030-01-01T00:00:00Z"):
        said = (NOW + timedelta(seconds=device_s)).isoformat()
        word = {"channel": "push", "status": "subscribed"}
        event = {"type": "track", "event": "Consent Updated", "userId": "ana", "timestamp": said, "properties": word}
        received = instant(map_one(event | ({"receivedAt": claimed} if claimed else {})).get("receivedAt"))
        early = received is not None and received < NOW + timedelta(seconds=device_s)
        assert early is told
        assert not told or received == NOW


def test_words_that_intake_mapped_late_keep_their_order() -> None:
    lane = LaneHarness()
    properties = {"channel": "push", "status": "subscribed"}
    reached = datetime.fromtimestamp(NOON, UTC).isoformat()
    yes = lane.event("Consent Updated", NOON + 600, properties=properties, receivedAt=reached)
    (no,) = lane.allow("push", at_s=NOON + 300, status="unsubscribed")
    mapped_s = NOON + HOUR_S
    lane.run([msgspec.structs.replace(one, appended_at_s=mapped_s) for one in (yes, no)], mapped_s)
    assert lane.profile().consent["push:marketing"].granted is False


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("Consent Updated", {"properties": {"channel": "push", "status": "unsubscribed"}}),
        ("Consent Withdrawn", {"properties": {}}),
        ("Looked", {"context": {"traits": {"push_subscribe": "unsubscribed"}}}),
    ],
)
@pytest.mark.parametrize(
    ("said_s", "received"),
    [(0.0, None), (946_684_799.0, None), (NOON, "0001-01-01T00:00:00Z"), (NOON, "1970-01-01T00:00:00Z")],
)
def test_a_no_of_a_clock_that_was_never_set_holds(
    event: str, fields: dict[str, Any], said_s: float, received: str | None
) -> None:
    lane = LaneHarness()
    (yes,) = lane.allow("push", at_s=NOON - HOUR_S)
    no = lane.event(event, said_s, **fields, **({"receivedAt": received} if received else {}))
    (late,) = lane.allow("push", at_s=NOON - 60)
    lane.run([msgspec.structs.replace(one, appended_at_s=NOON) for one in (yes, no, late)], NOON)
    assert lane.profile().consent["push:marketing"].granted is False
    (again,) = lane.allow("push", at_s=NOON + 60)
    lane.run([msgspec.structs.replace(again, appended_at_s=NOON + 60)], NOON + 60)
    assert lane.profile().consent["push:marketing"].granted is True, "a later yes follows it"


@pytest.mark.parametrize("heard", ["event", "feedback"])
def test_a_no_after_a_yes_is_not_older_because_the_brokers_clock_went_back(heard: str) -> None:
    # the log: a yes appended 12:00 ── the broker's clock goes back an hour ── a no of a device ahead, appended "11:00", said
    # 13:00
    lane = LaneHarness()
    (yes,) = lane.allow("push")
    if heard == "event":
        (no,) = lane.allow("push", at_s=NOON + HOUR_S, status="unsubscribed")
    else:
        no = lane.feedback("m", "unsubscribed", NOON + HOUR_S, channel="push")
    words = ((yes, NOON), (no, NOON - HOUR_S))
    lane.run([msgspec.structs.replace(word, appended_at_s=at_s) for word, at_s in words], NOON)
    assert lane.profile().consent["push:marketing"].granted is False
    (again,) = lane.allow("push", at_s=NOON + 60)
    lane.run([msgspec.structs.replace(again, appended_at_s=NOON + 60)], NOON + 60)
    assert lane.profile().consent["push:marketing"].granted is True


def test_a_yes_of_a_clock_that_was_never_set_undoes_no_no() -> None:
    lane = LaneHarness()
    no, yes = lane.allow("push", at_s=NOON - HOUR_S, status="unsubscribed")[0], lane.allow("push", at_s=0.0)[0]
    lane.run([msgspec.structs.replace(one, appended_at_s=NOON) for one in (no, yes)], NOON)
    assert lane.profile().consent["push:marketing"].granted is False


# -- a timer that raises ----------------------------------------------------------------------------------------------------


def test_a_timer_that_raises_stops_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry.Triggers.due

    def due(self, profile, campaign, key):  # type: ignore[no-untyped-def]
        if profile.customer_id == "ana":
            raise InvalidEvent("broken", "a fault of ours")
        return real(self, profile, campaign, key)

    monkeypatch.setattr(registry.Triggers, "due", due)
    lane = LaneHarness()
    lane.run([record for user in ("ana", "bo") for record in (*lane.allow("push", user=user), lane.add(user=user))])
    lane.run([], DUE_S)
    lane.run([], DUE_S + 1)
    assert [request.user_id for request in lane.requests] == ["bo"]
    assert [(one.reason, one.complete) for one in lane.of("dead.letters", DeadLetter)] == [("timer_failed", False)]


@pytest.mark.parametrize(("owner", "name"), [(OpenRequests, "_template"), (messages, "message")])
def test_a_deadline_that_raises_ends_its_request(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> None:
    lane = asked()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(owner, name, broken)
    for step in range(3):
        lane.run([], DUE_S + 60 + step)
    assert [outcome.reason for outcome in lane.outcomes] == ["stale"]
    assert lane.profile().open == {}


# -- the table of topics ----------------------------------------------------------------------------------------------------


def test_personalise_writes_every_topic_that_the_table_says_it_writes() -> None:
    lane = published()
    lane.run([*bought(lane), lane.record(b"{", b"k")], DUE_S + 60)
    strayed = lane.feedback("m", "opened", DUE_S, user="bo")
    other = LaneHarness(partition_of=lambda _key: 1)
    other.run([strayed], DUE_S)
    looked_at = asked(with_policy(review=ReviewRules(new_prompts=True)))
    looked_at.run([looked_at.candidate(looked_at.requests[0])], DUE_S + 1)
    written = {output.topic for one in (lane, other, looked_at) for output in one.outputs}
    promised = {
        topic.name
        for topic in BY_NAME.values()
        if "personalise" in topic.writers and topic.struct is not None and not topic.summary.startswith("Reserved")
    }
    channels = {name for name in promised if name.startswith("messages.")}
    assert written & channels
    assert promised - channels == written - channels


def test_a_late_event_does_not_move_the_zone_of_a_customer_whose_language_is_not_known() -> None:
    lane = LaneHarness()
    here, there = {"timezone": "Europe/Berlin"}, {"timezone": "Asia/Tokyo"}
    lane.run([lane.event("Page", NOON, context=here), lane.event("Page", NOON - HOUR_S, context=there)], NOON + 1)
    assert lane.profile().timezone == "Europe/Berlin"
