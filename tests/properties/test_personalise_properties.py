"""What holds for any history: cutting it into batches, restarting between them, repeating or shuffling it."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.core import DELAY_S, NOON, LaneHarness
from tests.support.generators import examples, hit_rate
from workers.core.profile import decay, eviction
from workers.core.profile import model as profiles
from workers.core.profile.model import Profile
from workers.core.stream.records import Record

USERS = ("ana", "bo", "cem")
#: (seconds after noon, user, what happens, which cart)
STEPS = st.lists(
    st.tuples(
        st.integers(0, int(DELAY_S * 3)),
        st.sampled_from(USERS),
        st.sampled_from(("view", "add", "add", "add", "remove", "buy", "allow", "allow", "refuse", "page")),
        st.sampled_from(("c1", "c2")),
    ),
    min_size=4,
    max_size=40,
)


def records(lane: LaneHarness, steps: list[tuple[int, str, str, str]]) -> list[Record]:
    """The steps as records in the order of time."""
    made = []
    for second, user, what, cart in sorted(steps):
        at_s = NOON + second
        match what:
            case "view":
                made.append(lane.event("Product Viewed", at_s, user, properties={"product_id": "smart-band"}))
            case "add":
                made.append(lane.add(cart, at_s, user))
            case "remove":
                fields = {"product_id": "smart-band", "cart_id": cart}
                made.append(lane.event("Product Removed", at_s, user, properties=fields))
            case "buy":
                made.append(lane.buy(cart, at_s, user, order_id=f"o-{second}"))
            case "allow":
                made.extend(lane.allow("push", user=user, at_s=at_s))
            case "refuse":
                made.extend(lane.allow("push", user=user, at_s=at_s, status="unsubscribed"))
            case _:
                made.append(lane.event("Page", at_s, user))
    return made


def play(lane: LaneHarness, history: list[Record], cuts: list[int], *, restart: bool = False) -> dict[str, Any]:
    """Runs a history by event time in batches cut at `cuts`, answering each request; returns all that was decided."""
    bounds = sorted({0, len(history), *(cut % (len(history) + 1) for cut in cuts)})
    batches = [history[first:last] for first, last in pairwise(bounds)]
    for batch in [*batches, [lane.punctuation(NOON + 30 * 86_400)]]:
        if restart:
            lane.restart()
        answered = len(lane.requests)
        lane.run(batch)
        while len(lane.requests) > answered:
            request = lane.requests[answered]
            answered += 1
            lane.run([lane.candidate(request)])
    return {
        "decisions": lane.decisions,
        "outcomes": lane.outcomes,
        "messages": lane.messages,
        "profiles": {user: comparable(lane, user) for user in USERS if profile_exists(lane, user)},
    }


def profile_exists(lane: LaneHarness, user: str) -> bool:
    return f"p{user}".encode() in lane.store.values


def comparable(lane: LaneHarness, user: str) -> Profile:
    """A profile without what depends on when it was last looked at: the public view, the group as of then, old ids."""
    profile = lane.profile(user)
    profile.target_group, profile.segments, profile.seen, profile.spilled = None, [], {}, []
    profile.viewed_at = 0.0
    profile.timers = {timer: due for timer, due in profile.timers.items() if timer != "view"}
    return profile


def event_lane() -> LaneHarness:
    return LaneHarness(clock="event")


@settings(max_examples=examples(60), deadline=None)
@given(STEPS, st.lists(st.integers(0, 1000), max_size=6))
def test_how_a_history_is_cut_into_batches_changes_no_decision(steps: list[Any], cuts: list[int]) -> None:
    whole, cut = event_lane(), event_lane()
    assert play(whole, records(whole, steps), []) == play(cut, records(cut, steps), cuts)


@settings(max_examples=examples(40), deadline=None)
@given(STEPS, st.lists(st.integers(0, 1000), min_size=2, max_size=6))
def test_restarts_between_batches_change_no_decision(steps: list[Any], cuts: list[int]) -> None:
    steady, restarted = event_lane(), event_lane()
    assert play(steady, records(steady, steps), cuts) == play(restarted, records(restarted, steps), cuts, restart=True)


@settings(max_examples=examples(40), deadline=None)
@given(STEPS, st.integers(0, 2**32))
def test_repeated_events_change_nothing(steps: list[Any], seed: int) -> None:
    once, often = event_lane(), event_lane()
    history = records(often, steps)
    rng = random.Random(seed)
    repeated = []
    for index, record in enumerate(history):
        repeated.append(record)
        repeated.extend(history[rng.randrange(index + 1)] for _ in range(rng.randrange(3)))
    assert play(once, records(once, steps), []) == play(often, repeated, [])


#: As STEPS, no two at one moment: what comes first then is a matter of arrival.
MOMENTS = st.lists(
    st.tuples(
        st.integers(0, int(DELAY_S * 3)),
        st.sampled_from(USERS),
        st.sampled_from(("view", "add", "add", "buy", "allow", "refuse", "page")),
        st.sampled_from(("c1", "c2")),
    ),
    min_size=4,
    max_size=40,
    unique_by=lambda step: step[0],
)


def after_shuffling(steps: list[tuple[int, str, str, str]], seed: int) -> list[tuple[Profile, Profile]]:
    """Each customer's profile after the steps in order, and after the same in disorder."""
    in_order, shuffled = LaneHarness(), LaneHarness()
    end_s = NOON + DELAY_S * 3  # nothing is from the future
    in_order.run(records(in_order, steps), end_s, caught_up=False)
    history = records(shuffled, steps)
    random.Random(seed).shuffle(history)
    shuffled.run(history, end_s, caught_up=False)
    known = [user for user in USERS if profile_exists(in_order, user)]
    return [(in_order.profile(user), shuffled.profile(user)) for user in known]


@settings(max_examples=examples(100), deadline=None)
@given(MOMENTS, st.integers(0, 2**32))
def test_the_order_of_arrival_changes_no_count(steps: list[Any], seed: int) -> None:
    for expected, found in after_shuffling(steps, seed):
        for name in ("events", "counts", "recent", "orders", "last_order_at", "first_seen", "last_seen", "hours"):
            assert getattr(found, name) == getattr(expected, name), name
        assert words(found) == words(expected)
        assert values(found, found.decayed) == pytest.approx(values(expected, expected.decayed))
        assert values(found, found.interests) == pytest.approx(values(expected, expected.interests))
        assert contents(found) == contents(expected)
        assert found.closed_carts == expected.closed_carts


def words(profile: Profile) -> dict[str, tuple[bool, float]]:
    return {key: (consent.granted, consent.captured_at) for key, consent in profile.consent.items()}


def values(profile: Profile, counters: dict[str, float]) -> dict[str, float]:
    """What counters are worth at the end."""
    return {name: decay.value(counter, profile.landmark, NOON + DELAY_S * 3) for name, counter in counters.items()}


def contents(profile: Profile) -> dict[str, set[str]]:
    """Which carts are open, and with which products. How many pieces is a matter of arrival."""
    return {cart_id: set(cart.lines) for cart_id, cart in profile.carts.items()}


@pytest.mark.parametrize(
    ("what", "hits", "least"),
    [
        ("a yes holds", lambda one: any(granted for granted, _ in words(one).values()), 0.35),
        ("a no holds", lambda one: not all(granted for granted, _ in words(one).values()), 0.35),
        ("a cart is open", lambda one: one.carts, 0.6),
        ("a cart was bought and is open again", lambda one: one.carts.keys() & one.closed_carts.keys(), 0.1),
        ("interests have grown", lambda one: one.interests, 0.7),
    ],
)
def test_histories_have_what_is_compared(what: str, hits: Callable[[Profile], object], least: float) -> None:
    rate = hit_rate(MOMENTS, lambda steps: any(hits(expected) for expected, _ in after_shuffling(steps, 1)), 100)
    assert rate >= least, what


@pytest.mark.parametrize(("what", "least"), [("requested", 0.25), ("consent", 0.35), ("published", 0.25)])
def test_many_histories_ask_publish_and_refuse(what: str, least: float) -> None:
    def ends(steps: list[Any]) -> set[str]:
        lane = event_lane()
        played = play(lane, records(lane, steps), [])
        return {ended.reason for ended in [*played["decisions"], *played["outcomes"]]}

    assert hit_rate(STEPS, lambda steps: what in ends(steps), 100) >= least


@settings(max_examples=examples(60), deadline=None)
@given(STEPS, st.lists(st.integers(0, 1000), max_size=4))
def test_every_occurrence_has_one_ledger_record_and_every_request_one_outcome(
    steps: list[Any], cuts: list[int]
) -> None:
    lane = event_lane()
    played = play(lane, records(lane, steps), cuts)
    decided = [decision.decision_id for decision in played["decisions"]]
    assert len(decided) == len(set(decided))
    ended = [outcome.message_id for outcome in played["outcomes"]]
    assert sorted(ended) == sorted(request.message_id for request in lane.requests)
    assert len({message.message_id for message in played["messages"]}) == len(played["messages"])


@settings(max_examples=examples(60), deadline=None)
@given(st.dictionaries(st.text(max_size=300), st.text(max_size=4000), max_size=200), st.integers(1, 400))
def test_no_customer_outgrows_the_limit(traits: dict[str, str], carts: int) -> None:
    lane = LaneHarness()
    lane.run([lane.raw({"type": "identify", "traits": traits})])
    lane.run([lane.add(f"cart-{'x' * 200}-{number}", name="n" * 500, url="u" * 500) for number in range(carts)])
    assert len(profiles.encode(lane.profile())) <= eviction.MAX_BYTES
