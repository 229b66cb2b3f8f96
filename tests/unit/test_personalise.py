"""The only writer of a customer: what each input leaves behind, and what it never does."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from schemas.control import DeadLetter
from schemas.profiles import ProfileView
from tests.support.core import CAP, DELAY_S, NOON, LaneHarness
from workers.core.partition import keys
from workers.core.profile import dedupe, eviction
from workers.core.profile import model as profiles

LATER = NOON + DELAY_S + 1


def lane_with_cart(**config: Any) -> LaneHarness:
    """Ana allows push and e-mail and has left a cart."""
    lane = LaneHarness(**config)
    lane.run([*lane.allow("push", "email"), lane.add()])
    return lane


# -- the profile -----------------------------------------------------------------------------------------------------


def test_counts_are_exact_and_custom_names_are_kept() -> None:
    lane = LaneHarness()
    lane.run([lane.event("Product Viewed", properties={"product_id": "smart-band"}) for _ in range(3)])
    lane.run([lane.event("Garden Visited")])
    assert lane.profile().counts == {"Product Viewed": 3, "Garden Visited": 1}
    assert lane.profile().events == 4


def test_an_event_sent_twice_counts_once_in_one_batch_and_across_batches_and_restarts() -> None:
    lane = LaneHarness()
    once = lane.event("Product Viewed")
    again = lane.record(once.value, once.key)
    lane.run([once, again])
    lane.run([again])
    lane.restart()
    lane.run([again])
    assert lane.profile().counts == {"Product Viewed": 1}
    assert lane.profile().version == 1


def test_a_customer_with_thousands_of_events_a_day_is_still_deduplicated() -> None:
    lane = LaneHarness()
    events = [lane.event("Product Viewed", NOON - 86_400 + index * 8) for index in range(10_000)]
    for start in range(0, len(events), 500):
        lane.run(events[start : start + 500])
    lane.restart()
    lane.run([lane.record(event.value, event.key) for event in events])
    assert lane.profile().events == 10_000
    assert sum(map(len, lane.profile().seen.values())) <= dedupe.HOT_IDS


def test_ids_are_forgotten_after_their_time_with_their_pages() -> None:
    lane = LaneHarness()
    lane.run([lane.event("Product Viewed", NOON + index) for index in range(200)])
    assert any(key.startswith(b"i") for key in lane.store.values)
    lane.run([lane.event("Product Viewed", NOON + 8 * 86_400)], wall_s=NOON + 8 * 86_400)
    assert not any(key.startswith(b"i") for key in lane.store.values)
    assert lane.profile().spilled == []


def test_the_target_group_follows_behaviour_at_once() -> None:
    lane = LaneHarness()
    lane.run([lane.event("Product Viewed", properties={"product_id": "smart-band"})])
    assert lane.profile().target_group == "young"
    lane.run([lane.add()])
    assert lane.profile().target_group == "sports"
    assert [view.target_group for view in lane.of("customer.profiles", ProfileView)] == ["young", "sports"]


def test_the_public_view_is_written_at_most_once_a_minute_unless_it_matters() -> None:
    lane = LaneHarness()
    for second in range(30):
        lane.run([lane.event("Page", NOON + second)], wall_s=NOON + second)
    assert len(lane.of("customer.profiles", ProfileView)) == 1
    lane.run([], wall_s=NOON + 61)
    views = lane.of("customer.profiles", ProfileView)
    assert [view.features.events for view in views] == [1, 30]
    lane.run(lane.allow("push", at_s=NOON + 62), wall_s=NOON + 62)
    assert lane.of("customer.profiles", ProfileView)[-1].consent["push:marketing"].granted


# -- cart abandonment ------------------------------------------------------------------------------------------------


def test_a_cart_left_alone_becomes_one_decision_and_one_request() -> None:
    lane = lane_with_cart()
    lane.run([], wall_s=LATER)
    lane.run([], wall_s=LATER + 1)
    (decision,) = lane.decisions
    (request,) = lane.requests
    assert (decision.reason, decision.channel, decision.product_id) == ("requested", "push", "smart-band")
    assert decision.message_id == request.message_id
    assert request.product.facts == ["sleep tracking"]
    assert "ana" not in request.customer_ref


def test_nothing_happens_before_the_delay() -> None:
    lane = lane_with_cart()
    lane.run([], wall_s=NOON + DELAY_S - 1)
    assert lane.decisions == []


def test_more_activity_on_the_cart_restarts_the_delay() -> None:
    lane = lane_with_cart()
    lane.run([lane.add(at_s=NOON + 1000)], wall_s=NOON + 1000)
    lane.run([], wall_s=LATER)
    assert lane.decisions == []
    lane.run([], wall_s=LATER + 1000)
    assert len(lane.decisions) == 1


@pytest.mark.parametrize("named", [True, False])
def test_buying_the_cart_cancels_the_reminder(named: bool) -> None:
    lane = lane_with_cart()
    lane.run([lane.buy("cart-1" if named else None)])
    lane.run([], wall_s=LATER)
    assert lane.decisions == []
    assert lane.profile().timers.keys() <= {"view"}


def test_buying_another_cart_cancels_nothing() -> None:
    lane = lane_with_cart()
    lane.run([lane.add("cart-2", product_id="other"), lane.buy("cart-2")])
    lane.run([], wall_s=LATER)
    assert [decision.occurrence_id.split("@")[0] for decision in lane.decisions] == ["cart-1"]


def test_emptying_the_cart_cancels_the_reminder() -> None:
    lane = lane_with_cart()
    lane.run([lane.event("Product Removed", properties={"product_id": "smart-band", "cart_id": "cart-1"})])
    lane.run([], wall_s=LATER)
    assert lane.decisions == []


def test_a_bought_cart_that_is_filled_again_is_another_occurrence() -> None:
    lane = lane_with_cart()
    lane.run([], wall_s=LATER)
    lane.run([lane.candidate(lane.requests[0])], wall_s=LATER)
    lane.run([lane.buy(at_s=LATER + 10), lane.add(at_s=LATER + 20)], wall_s=LATER + 20)
    lane.run([], wall_s=LATER + 20 + DELAY_S)
    assert len({decision.decision_id for decision in lane.decisions}) == 2


def test_timers_wait_while_a_backlog_may_hold_the_purchase() -> None:
    lane = lane_with_cart()
    lane.run([lane.event("Page", LATER)], wall_s=LATER, caught_up=False)
    assert lane.decisions == []
    lane.run([lane.buy(at_s=NOON + 60)], wall_s=LATER)
    assert lane.decisions == []


def test_timers_survive_a_restart() -> None:
    lane = lane_with_cart()
    lane.restart()
    lane.run([], wall_s=LATER)
    assert len(lane.decisions) == 1


# -- the policy ------------------------------------------------------------------------------------------------------


def test_without_consent_the_ledger_says_so_and_nothing_is_asked_for() -> None:
    lane = LaneHarness()
    lane.run([lane.add()])
    lane.run([], wall_s=LATER)
    assert [decision.reason for decision in lane.decisions] == ["consent"]
    assert lane.requests == []


def test_the_first_allowed_channel_is_taken() -> None:
    lane = LaneHarness()
    lane.run([*lane.allow("email"), lane.add()])
    lane.run([], wall_s=LATER)
    assert [request.channel for request in lane.requests] == ["email"]


def test_an_anonymous_customer_gets_nothing() -> None:
    lane = LaneHarness()
    fields = {"type": "track", "event": "Product Added", "userId": None, "anonymousId": "anon-1"}
    lane.run([lane.raw({**fields, "properties": {"product_id": "smart-band", "cart_id": "c"}})])
    lane.run([], wall_s=LATER)
    assert [decision.reason for decision in lane.decisions] == ["missing_identifier"]


def test_the_cap_holds_for_reserved_and_sent_messages_alike() -> None:
    lane = LaneHarness()
    lane.run(lane.allow("push"))
    lane.run([lane.add(f"cart-{number}") for number in range(CAP + 3)])
    lane.run([], wall_s=LATER)
    reasons = [decision.reason for decision in lane.decisions]
    assert reasons.count("requested") == CAP
    assert reasons.count("frequency_capped") == 3


def test_a_discarded_message_keeps_its_place_as_a_virtual_send_does() -> None:
    lane = LaneHarness()
    lane.run([*lane.allow("push"), *(lane.add(f"cart-{number}") for number in range(CAP))])
    lane.run([], wall_s=LATER)
    lane.run([lane.buy("cart-0", at_s=LATER)], wall_s=LATER)
    lane.run([lane.candidate(request) for request in lane.requests], wall_s=LATER)
    assert sorted(outcome.reason for outcome in lane.outcomes) == ["converted", "published"]
    lane.run([lane.add("cart-9", at_s=LATER)], wall_s=LATER)
    lane.run([], wall_s=LATER + DELAY_S)
    assert lane.decisions[-1].reason == "frequency_capped"


def test_who_refused_personalisation_gets_only_the_generic_group() -> None:
    lane = LaneHarness()
    refused = {"purpose": "personalisation", "status": "refused"}
    lane.run([*lane.allow("push"), lane.event("Consent Updated", properties=refused), lane.add()])
    lane.run([], wall_s=LATER)
    assert [request.target_group for request in lane.requests] == ["generic"]


def test_a_known_minor_gets_only_the_generic_group() -> None:
    lane = LaneHarness()
    lane.run([*lane.allow("push"), lane.raw({"type": "identify", "traits": {"age": 15}}), lane.add()])
    lane.run([], wall_s=LATER)
    assert [request.target_group for request in lane.requests] == ["generic"]


# -- publishing ------------------------------------------------------------------------------------------------------


def test_the_words_leave_with_everything_a_sender_needs() -> None:
    lane = lane_with_cart()
    lane.run([], wall_s=LATER)
    lane.run([lane.candidate(lane.requests[0])], wall_s=LATER + 2)
    (message,) = lane.messages
    (outcome,) = lane.outcomes
    assert message.message_id == message.idempotency_key == outcome.message_id
    assert outcome.reason == "published"
    assert message.cta.link_url.startswith("https://shop.example/smart-band?utm_source=attune")
    assert message.ai_generated
    assert message.provenance.source_event is not None
    assert lane.profile().sent == 1
    assert lane.profile().open == {}


def test_a_repeated_candidate_changes_nothing() -> None:
    lane = lane_with_cart()
    lane.run([], wall_s=LATER)
    lane.run([lane.candidate(lane.requests[0])], wall_s=LATER)
    lane.run([lane.candidate(lane.requests[0], body="Other words.")], wall_s=LATER)
    assert len(lane.messages) == len(lane.outcomes) == 1


def test_words_that_come_after_the_purchase_are_discarded() -> None:
    lane = lane_with_cart()
    lane.run([], wall_s=LATER)
    lane.run([lane.buy(at_s=LATER), lane.candidate(lane.requests[0])], wall_s=LATER)
    assert lane.messages == []
    assert [outcome.reason for outcome in lane.outcomes] == ["converted"]


def test_nothing_leaves_after_an_opt_out_was_processed() -> None:
    lane = lane_with_cart()
    lane.run([], wall_s=LATER)
    lane.run(lane.allow("push", at_s=LATER, status="unsubscribed"), wall_s=LATER)
    lane.run([lane.candidate(lane.requests[0])], wall_s=LATER)
    assert lane.messages == []
    assert [outcome.reason for outcome in lane.outcomes] == ["consent"]


def test_at_the_deadline_the_template_leaves_and_later_words_are_ignored() -> None:
    lane = lane_with_cart()
    lane.run([], wall_s=LATER)
    lane.run([], wall_s=LATER + 60)
    (message,) = lane.messages
    assert message.provenance.generated_by == "template"
    assert not message.ai_generated
    lane.run([lane.candidate(lane.requests[0])], wall_s=LATER + 61)
    assert len(lane.messages) == len(lane.outcomes) == 1


def test_the_deadline_survives_a_restart() -> None:
    lane = lane_with_cart()
    lane.run([], wall_s=LATER)
    lane.restart()
    lane.run([], wall_s=LATER + 60)
    assert [outcome.reason for outcome in lane.outcomes] == ["published"]


# -- bad input -------------------------------------------------------------------------------------------------------

GOOD = {"type": "track", "event": "X", "messageId": "m", "timestamp": "2024-03-04T12:00:00Z", "userId": "ana"}


@pytest.mark.parametrize(
    ("value", "key", "reason"),
    [
        (b"{", b"ana", "broken_json"),
        (b"\xff\xfe", b"ana", "broken_json"),
        (b"[" * 100_000, b"ana", "wrong_type"),
        (None, b"ana", "null_value"),
        (json.dumps({**GOOD, "event": 7}).encode(), b"ana", "wrong_type"),
        (json.dumps({**GOOD, "timestamp": "yesterday"}).encode(), b"ana", "wrong_type"),
        (json.dumps({**GOOD, "userId": None}).encode(), b"ana", "no_identity"),
        (json.dumps({**GOOD, "schemaVersion": 99}).encode(), b"ana", "unknown_schema_version"),
        (json.dumps(GOOD).encode(), b"bob", "key_mismatch"),
        (json.dumps(GOOD).encode(), None, "key_mismatch"),
    ],
)
def test_a_bad_record_becomes_a_dead_letter_and_its_neighbours_are_applied(
    value: bytes | None, key: bytes | None, reason: str
) -> None:
    lane = LaneHarness()
    bad = lane.record(value, key)
    lane.run([lane.event("Before"), bad, lane.event("After")])
    (letter,) = lane.of("dead.letters", DeadLetter)
    assert (letter.reason, letter.topic, letter.partition, letter.offset) == (reason, "customer.events", 0, bad.offset)
    assert lane.profile().counts == {"Before": 1, "After": 1}


def test_a_record_on_the_wrong_partition_is_a_dead_letter() -> None:
    lane = LaneHarness(partition_of=lambda _key: 3)
    lane.run([lane.event("X")])
    assert [letter.reason for letter in lane.of("dead.letters", DeadLetter)] == ["wrong_partition"]


def test_a_zero_price_is_unknown_and_no_error() -> None:
    lane = LaneHarness()
    lane.run([lane.add(price=0.0)])
    assert lane.profile().carts["cart-1"].lines["smart-band"].price is None
    assert lane.of("dead.letters", DeadLetter) == []


# -- event time ------------------------------------------------------------------------------------------------------


def replay_lane() -> LaneHarness:
    return LaneHarness(clock="event", presumed=frozenset({"push"}))


def test_in_a_replay_a_timer_fires_between_the_events_around_it() -> None:
    lane = replay_lane()
    lane.run([lane.add(at_s=NOON), lane.buy(at_s=NOON + DELAY_S + 10)])
    assert [decision.decided_at.timestamp() for decision in lane.decisions] == [NOON + DELAY_S]


def test_in_a_replay_a_purchase_before_the_delay_leaves_no_decision() -> None:
    lane = replay_lane()
    lane.run([lane.add(at_s=NOON), lane.buy(at_s=NOON + DELAY_S - 10), lane.punctuation(NOON + 86_400)])
    assert lane.decisions == []


def test_in_a_replay_time_stands_still_while_words_are_awaited() -> None:
    lane = replay_lane()
    lane.run([lane.add(at_s=NOON), lane.buy(at_s=NOON + DELAY_S + 10), lane.punctuation(NOON + 86_400)])
    assert len(lane.deferred) == 2
    lane.run([], wall_s=NOON + 10_000_000)
    assert lane.outcomes == []
    lane.run([lane.candidate(lane.requests[0])])
    assert [outcome.reason for outcome in lane.outcomes] == ["published"]
    assert lane.deferred == []
    assert lane.profile().orders == 1


def test_in_a_replay_the_wait_survives_a_restart() -> None:
    lane = replay_lane()
    lane.run([lane.add(at_s=NOON), lane.buy(at_s=NOON + DELAY_S + 10)])
    lane.restart()
    lane.run([])
    assert len(lane.deferred) == 1


def test_a_second_replay_of_the_same_events_changes_nothing() -> None:
    lane = replay_lane()
    events = [lane.add(at_s=NOON), lane.event("Product Viewed", NOON + 5), lane.punctuation(NOON + 86_400)]
    lane.run(events)
    lane.run([lane.candidate(lane.requests[0])])
    before, sent = dict(lane.store.values), len(lane.outputs)
    lane.run([lane.record(event.value, event.key, headers=event.headers) for event in events])
    assert lane.store.values == before
    assert len(lane.outputs) == sent


# -- what a customer sends can neither stop a worker nor outlast a later word ----------------------------------------------


@pytest.mark.parametrize("number", [2**64, -(2**64), 2**63, 10**400])
def test_a_trait_beyond_64_bits_is_kept_as_far_as_it_can_be(number: int) -> None:
    lane = LaneHarness()
    fields = {"type": "identify", "messageId": "m", "timestamp": "2024-03-04T12:00:00Z", "userId": "ana"}
    value = json.dumps({**fields, "traits": {"x": 0}}).replace('"x": 0', f'"x": {number}')
    lane.run([lane.record(value.encode(), b"ana"), lane.event("After")])
    assert lane.profile().counts["After"] == 1


def test_an_absurd_quantity_or_price_is_bounded() -> None:
    lane = LaneHarness()
    lane.run([lane.add(quantity=2**62, price=1e300), lane.add(quantity=2**62, price=-5.0)])
    line = lane.profile().carts["cart-1"].lines["smart-band"]
    assert (line.quantity, line.price) == (1_000_000, None)


@pytest.mark.parametrize("url", ["http://[x", "http://ex\u2100mple.com", "javascript:alert(1)", "\x00"])
def test_a_link_that_is_none_does_not_stop_the_message(url: str) -> None:
    lane = LaneHarness()
    lane.run([*lane.allow("push"), lane.add(product_id="unknown", url=url)])
    lane.run([], wall_s=LATER)
    lane.run([], wall_s=LATER + 60)
    assert [outcome.reason for outcome in lane.outcomes] == ["published"]


def test_huge_product_ids_stay_within_the_limit() -> None:
    lane = LaneHarness()
    for number in range(8):
        lane.run([lane.add(product_id=f"{number}" + "x" * 250_000)])
    assert len(profiles.encode(lane.profile())) <= eviction.MAX_BYTES


def test_interests_in_chinese_stay_within_the_limit() -> None:
    lane = LaneHarness()
    viewed = [
        lane.event(
            "Product Viewed", properties={"product_id": f"p{n}", "category": f"{n}" + "类" * 250, "brand": "牌" * 250}
        )
        for n in range(200)
    ]
    lane.run(viewed)
    assert len(lane.store.values[keys.profile_key("ana")]) <= eviction.MAX_BYTES


def test_a_yes_from_the_future_does_not_outlast_a_later_no() -> None:
    lane = LaneHarness()
    granted = {"channel": "push", "status": "subscribed", "captured_at": "2099-01-01T00:00:00Z"}
    lane.run([lane.event("Consent Updated", properties=granted), lane.add()])
    lane.run(lane.allow("push", at_s=NOON + 60, status="unsubscribed"))
    lane.run([], wall_s=LATER)
    assert [decision.reason for decision in lane.decisions] == ["consent"]


@pytest.mark.parametrize("fraction", [0.1234, 0.1236, 0.0004, 0.9999996])
def test_no_occurrence_is_lost_between_two_milliseconds(fraction: float) -> None:
    lane = replay_lane()
    lane.run([lane.add(at_s=NOON + fraction), lane.punctuation(NOON + 86_400)])
    assert len(lane.decisions) == 1


def test_a_longer_delay_of_a_new_playbook_moves_waiting_timers() -> None:
    lane = lane_with_cart()
    campaign = lane.playbook.campaigns["cart-abandonment"]
    slower = msgspec.structs.replace(campaign, trigger=msgspec.structs.replace(campaign.trigger, delay_s=2 * DELAY_S))
    lane.playbook = msgspec.structs.replace(lane.playbook, campaigns={campaign.id: slower})
    lane.restart()
    lane.run([], wall_s=LATER)
    assert lane.decisions == []
    lane.run([], wall_s=LATER + DELAY_S)
    assert len(lane.decisions) == 1


def test_after_an_outage_timers_fire_in_portions() -> None:
    lane = LaneHarness(timers_per_batch=10)
    lane.run([lane.add(user=f"user-{number}") for number in range(25)])
    portions = []
    while lane.run([], wall_s=LATER).more_due:
        portions.append(len(lane.decisions))
    assert portions[:2] == [10, 20]
    assert len(lane.decisions) == 25


def test_a_replay_of_a_long_history_twice_changes_nothing() -> None:
    lane = replay_lane()
    events = [lane.event("Product Viewed", NOON + day * 86_400) for day in range(20)]
    lane.run(events)
    before = lane.profile().events
    lane.run([lane.record(event.value, event.key) for event in events])
    assert lane.profile().events == before == 20


def test_an_interrupted_replay_asks_again_for_the_words_it_awaits() -> None:
    lane = replay_lane()
    lane.run([lane.add(at_s=NOON), lane.punctuation(NOON + 86_400)])
    lane.restart()
    lane.run([])
    assert [request.message_id for request in lane.requests] == [lane.requests[0].message_id] * 2
    lane.run([lane.candidate(lane.requests[1])])
    assert len(lane.outcomes) == 1


def test_a_time_beyond_all_reason_is_a_dead_letter() -> None:
    lane = LaneHarness()
    lane.run([lane.event("X", NOON + 200 * 365 * 86_400)])
    assert [letter.reason for letter in lane.of("dead.letters", DeadLetter)] == ["bad_timestamp"]
