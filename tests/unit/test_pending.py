"""What waits is told exactly: of one customer by `why`, of a lane by its counts, whatever has happened to it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from schemas.messages import ReviewVerdict
from tests.support.core import DELAY_S, NOON, LaneHarness, make_playbook
from workers.core.partition import keys
from workers.core.personalisation.pending import REASONS, Pending, decode_counts, pending
from workers.core.playbook.campaigns import CartAbandonment
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Policy, QuietHours, ReviewRules
from workers.core.profile import model as profiles
from workers.core.reporting.decision_trace import build_traces, describe

#: From 11:00 to 14:00 UTC in a zone without summer time, so that NOON lies in it.
SIESTA = QuietHours(start="11:00", end="14:00", timezone="Africa/Accra")
TWO_PM = NOON + 2 * 3600
CAMPAIGN = "cart-abandonment"


def playbook(rate_per_s: float | None = None, min_value: float | None = None, **policy: Any) -> Playbook:
    plain = make_playbook(policy=Policy(**policy))
    trigger = CartAbandonment(delay_s=DELAY_S, min_value=min_value)
    campaign = msgspec.structs.replace(plain.campaigns[CAMPAIGN], trigger=trigger, ttl_s=2 * 86_400.0)
    push = msgspec.structs.replace(plain.channels["push"], rate_per_s=rate_per_s)
    return msgspec.structs.replace(plain, campaigns={CAMPAIGN: campaign}, channels={**plain.channels, "push": push})


def waits(lane: LaneHarness, user: str = "ana") -> list[tuple[str, float]]:
    """(reason, until) of everything that waits for a customer."""
    return [(one.reason, one.until.timestamp()) for one in pending(lane.profile(user), lane.playbook)]


def counted(lane: LaneHarness) -> dict[str, int]:
    """What the lane counts, without what there is none of."""
    return {reason: number for reason, number in lane.effects[-1].pending.items() if number}


def told(lane: LaneHarness, user: str = "ana", now_s: float = NOON) -> str:
    records = [*lane.decisions, *lane.requests, *lane.reviews, *lane.outcomes, *lane.messages]
    waiting = pending(lane.profile(user), lane.playbook)
    now = datetime.fromtimestamp(now_s, UTC)
    return "\n".join(line for story in build_traces(records, waiting) for line in describe(story, now))


def begun(made: Playbook) -> LaneHarness:
    """Somebody who allows push has filled a cart at noon."""
    lane = LaneHarness(made)
    lane.run([*lane.allow("push"), lane.add()])
    return lane


def test_a_cart_waits_for_the_delay_of_its_campaign() -> None:
    lane = begun(playbook())
    assert waits(lane) == [("delay", NOON + DELAY_S)]
    assert counted(lane) == {"delay": 1}
    assert told(lane).splitlines() == [
        "not decided yet, cart-abandonment: abandoned a cart (cart-1)",
        "  waits until 2024-03-04 12:30:00 UTC for the delay of its campaign; then all checks are run (delay)",
    ]


def test_who_goes_on_shopping_waits_longer_than_the_timer_says() -> None:
    lane = begun(playbook())
    lane.run([lane.add(at_s=NOON + 600)], NOON + 600)
    (due_s,) = [due_s for timer, due_s in lane.profile().timers.items() if timer.startswith("trigger")]
    assert due_s == NOON + DELAY_S
    assert waits(lane) == [("delay", NOON + 600 + DELAY_S)]


def test_at_night_it_waits_for_the_morning_of_the_customer() -> None:
    lane = begun(playbook(quiet_hours=SIESTA))
    lane.run([], NOON + DELAY_S)
    assert waits(lane) == [("quiet_hours", TWO_PM)]
    assert counted(lane) == {"quiet_hours": 1}
    assert (
        "  waits until 2024-03-04 14:00 Africa/Accra (2024-03-04 14:00:00 UTC) for the end of the customer's quiet hours"
        in told(lane)
    )
    assert lane.decisions == []


def test_what_was_bought_at_night_waits_for_nothing() -> None:
    lane = begun(playbook(quiet_hours=SIESTA))
    lane.run([], NOON + DELAY_S)
    lane.run(
        [lane.event("Order Completed", NOON + 1900, properties={"cart_id": "cart-1", "order_id": "o1"})], NOON + 1900
    )
    assert waits(lane) == []
    assert counted(lane) == {}


def test_on_a_busy_channel_it_waits_for_its_turn() -> None:
    lane = LaneHarness(playbook(rate_per_s=0.01))
    for user in ("ana", "bo", "cem"):
        lane.run([*lane.allow("push", user=user), lane.add(user=user)])
    lane.run([], NOON + DELAY_S)
    assert sorted(reason for user in ("ana", "bo", "cem") for reason, _ in waits(lane, user)) == [
        "rate",
        "rate",
        "words",
    ]
    assert counted(lane) == {"rate": 2, "words": 1}


def test_a_request_waits_for_its_words_and_then_for_nothing() -> None:
    lane = begun(playbook())
    lane.run([], NOON + DELAY_S)
    (request,) = lane.requests
    assert waits(lane) == [("words", request.deadline_at.timestamp())]
    assert counted(lane) == {"words": 1}
    assert "still open: waits until 2024-03-04 12:3" in told(lane, now_s=NOON + DELAY_S)
    assert "for its text; after that, the template is used (words)" in told(lane, now_s=NOON + DELAY_S)
    lane.run([lane.candidate(request)], NOON + DELAY_S + 1)
    assert (waits(lane), counted(lane)) == ([], {})
    assert "still open" not in told(lane)


def test_a_text_waits_for_a_person_and_then_for_the_end_of_the_night() -> None:
    lane = begun(playbook(review=ReviewRules(sample=1.0, timeout_s=86_000.0), quiet_hours=SIESTA))
    lane.run([], NOON + DELAY_S)
    lane.run([], TWO_PM)
    lane.run([lane.candidate(lane.requests[0])], TWO_PM + 1)
    assert [reason for reason, _ in waits(lane)] == ["review"]
    assert counted(lane) == {"review": 1}
    assert "for a reviewer's verdict" in told(lane, now_s=TWO_PM)
    night = TWO_PM + 22 * 3600
    lane.run([lane.verdict(lane.reviews[0], "approve")], night)
    assert waits(lane) == [("release", TWO_PM + 86_400)]
    assert counted(lane) == {"release": 1}
    assert "to be published: its text is ready (release)" in told(lane, now_s=night)


def test_what_is_overdue_says_that_nobody_came_to_it() -> None:
    lane = begun(playbook())
    assert "due since 2024-03-04 12:30:00 UTC: `personalise` is not running, or is still reading older events" in told(
        lane, now_s=NOON + 3600
    )


def test_what_comes_to_nothing_as_things_stand_says_so() -> None:
    lane = begun(playbook(min_value=500.0))
    assert told(lane).endswith("at present no message would follow: not all conditions of the campaign are met")


def test_without_a_playbook_the_timers_are_told() -> None:
    lane = begun(playbook())
    (one,) = pending(lane.profile(), None)
    assert one == Pending(reason="delay", campaign_id=CAMPAIGN, key="cart-1", until=one.until)
    assert "not decided yet, cart-abandonment: (cart-1)" in describe(build_traces([], [one])[0])


def test_a_campaign_that_left_the_playbook_waits_for_nothing() -> None:
    lane = begun(playbook())
    assert pending(lane.profile(), msgspec.structs.replace(lane.playbook, campaigns={})) == []


def recounted(lane: LaneHarness) -> dict[str, int]:
    """The same counts, from every profile of the lane."""
    found: Counter[str] = Counter()
    for key, value in lane.store.values.items():
        if key.startswith(keys.PROFILE):
            found.update(one.reason for one in pending(profiles.decode(value), None))
    return {reason: found[reason] for reason in REASONS}


@pytest.mark.parametrize("seed", range(12))
def test_the_counts_of_a_lane_are_those_of_its_profiles_whatever_happens(seed: int) -> None:
    """Purchases, nights, a busy channel, reviews, verdicts, late words, and a new worker now and then."""
    rng = Random(seed)
    rules = ReviewRules(sample=0.5, timeout_s=5_000.0)
    lane = LaneHarness(playbook(rate_per_s=0.02, quiet_hours=SIESTA, review=rules))
    now_s, seen = NOON - 7200.0, set[str]()
    for _ in range(150):
        now_s += rng.choice([1.0, 60.0, 900.0])
        user = rng.choice(["ana", "bo", "cem", "dua", "eli"])
        cart = rng.choice(["c1", "c2"])
        records = [
            *(lane.allow("push", user=user, at_s=now_s) if rng.random() < 0.5 else []),
            *([lane.add(cart, now_s, user)] if rng.random() < 0.6 else []),
        ]
        if rng.random() < 0.15:
            bought = {"cart_id": cart, "order_id": f"o{now_s}"}
            records.append(lane.event("Order Completed", now_s, user, properties=bought))
        records += [lane.candidate(request) for request in lane.requests[-3:] if rng.random() < 0.4]
        records += [
            lane.verdict(review, rng.choice(["approve", "reject"]))
            for review in lane.reviews[-2:]
            if rng.random() < 0.4
        ]
        lane.run(records, now_s, caught_up=rng.random() < 0.9)
        seen |= counted(lane).keys()
        assert lane.effects[-1].pending == recounted(lane)
        if lane.effects[-1].puts:
            assert decode_counts(lane.store.values[keys.PENDING]) == recounted(lane)
        if rng.random() < 0.1:
            lane.restart()
    assert seen >= {"delay", "quiet_hours", "words"}


def test_a_new_owner_of_a_lane_counts_what_it_takes_over() -> None:
    lane = begun(playbook(review=ReviewRules(sample=1.0)))
    lane.run([], NOON + DELAY_S)
    lane.run([lane.candidate(lane.requests[0])], NOON + DELAY_S + 1)
    lane.run([lane.add("cart-2", NOON + DELAY_S + 2)], NOON + DELAY_S + 2)
    before = counted(lane)
    lane.restart()
    lane.run([], NOON + DELAY_S + 3)
    assert counted(lane) == before == {"delay": 1, "review": 1}


def test_a_verdict_is_no_pending_record() -> None:
    said = ReviewVerdict(
        verdict_id="v", message_id="m", user_id="ana", verdict="approve", decided_at=datetime.fromtimestamp(NOON, UTC)
    )
    soon = datetime.fromtimestamp(NOON, UTC) + timedelta(minutes=1)
    stray = Pending(reason="words", campaign_id="c", until=soon, message_id="m")
    assert build_traces([said], [stray]) == []
