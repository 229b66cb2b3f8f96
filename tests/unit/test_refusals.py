"""The matrix of refusals: whatever a no is called, whoever sends it in whatever format, nothing leaves after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from tests.support.core import DELAY_S, NOON, LaneHarness, make_playbook
from tests.support.intake import map_all
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Policy
from workers.core.stream.records import Record

SAID_S = NOON + 60

#: How the channel of a no is spelt; the customer has allowed push and e-mail, and a no to push alone leaves e-mail.
PUSH: list[Any] = ["push", "Push", " push", "PUSH", "ｐｕｓｈ", "push-notification", "Web Push", ["push"], "推送"]
EMAIL: list[Any] = ["email", "e-mail", "Email ", "E-Mail", "mail", ["email"], "电子邮件"]
EVERYWHERE: list[Any] = [
    *(["push", "email"], "email, push", "Push;Email"),
    *("all", "*", "ALL", "any", "fax", "whatsapp", "", None, [], {}, ["all"], 0, "全部"),
]
PURPOSES: list[Any] = [
    *(None, "", "marketing", "Marketing", " MARKETING ", ["marketing"], "advertising", "Newsletter", "promotional"),
    *("all", "*", "everything", "analytics", {}, "营销"),
]
STATUSES: list[Any] = [
    *(
        "unsubscribed",
        "opted_out",
        "Opted-Out",
        "denied",
        "revoked",
        "withdrawn",
        "no",
        "false",
        "0",
        "pending",
        "maybe",
    ),
    *(False, None, [], {}, 0, "", "拒绝"),
]


def segment(properties: dict[str, Any]) -> dict[str, Any]:
    when = datetime.fromtimestamp(SAID_S, UTC).isoformat()
    return {"type": "track", "event": "Consent Updated", "userId": "ana", "timestamp": when, "properties": properties}


def ga4(properties: dict[str, Any]) -> dict[str, Any]:
    event = {"name": "consent_updated", "params": properties}
    return {"client_id": "1.2", "user_id": "ana", "timestamp_micros": int(SAID_S * 1e6), "events": [event]}


def braze(properties: dict[str, Any]) -> dict[str, Any]:
    when = datetime.fromtimestamp(SAID_S, UTC).isoformat()
    return {"events": [{"external_id": "ana", "name": "Consent Updated", "time": when, "properties": properties}]}


def mparticle(properties: dict[str, Any]) -> dict[str, Any]:
    event = {
        "event_name": "consent_updated",
        "timestamp_unixtime_ms": int(SAID_S * 1e3),
        "custom_attributes": properties,
    }
    said = {"event_type": "custom_event", "data": event}
    return {"user_identities": {"customer_id": "ana"}, "mpid": 7, "events": [said]}


def snowplow(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "event_id": "e1",
        "event_name": "consent_updated",
        "event": "unstruct",
        "user_id": "ana",
        "collector_tstamp": datetime.fromtimestamp(SAID_S, UTC).isoformat(),
        "unstruct_event_com_shop_consent_updated_1": properties,
    }


def cloudevents(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "1",
        "source": "/shop",
        "type": "Consent Updated",
        "time": datetime.fromtimestamp(SAID_S, UTC).isoformat(),
        "data": {"userId": "ana"} | properties,
    }


FORMATS = {
    "segment": segment,
    "ga4": ga4,
    "braze": braze,
    "mparticle": mparticle,
    "snowplow": snowplow,
    "cloudevents": cloudevents,
}


def refusals() -> Iterator[tuple[str, dict[str, Any], str]]:
    """(format, properties, which channels it ends): every value of each dimension with several of the others."""
    spelt = [(name, "push") for name in PUSH] + [(name, "email") for name in EMAIL]
    spelt += [(name, "both") for name in EVERYWHERE]
    for number, ((channel, ends), status) in enumerate(product(spelt, STATUSES)):
        form = list(FORMATS)[number % len(FORMATS)]
        yield form, {"channel": channel, "purpose": PURPOSES[number % len(PURPOSES)], "status": status}, ends
    for form, purpose, status in product(FORMATS, PURPOSES, STATUSES[:6]):
        yield form, {"purpose": purpose, "status": status}, "both"


MATRIX = list(refusals())


def lane_of(playbook: Playbook | None = None) -> LaneHarness:
    """ana allows both channels, and leaves a cart."""
    lane = LaneHarness(playbook)
    lane.run([*lane.allow("push", "email"), lane.add()], NOON)
    return lane


def events(lane: LaneHarness, told: dict[str, Any]) -> list[Record]:
    mapped = map_all(json.dumps(told).encode())
    assert mapped.rejects == []
    return [lane.record(event.value, event.key) for event in mapped.events]


def channels_after(lane: LaneHarness) -> set[str]:
    """The channels on which something leaves when the cart is due, with each of them tried."""
    found = set()
    lane.run([], NOON + DELAY_S)
    for request in lane.requests:
        found.add(request.channel)
        lane.run([lane.candidate(request)], NOON + DELAY_S)
    return found | {message.channel for message in lane.messages}


def test_the_matrix_is_large_enough() -> None:
    assert len(MATRIX) >= 400
    assert {form for form, _, _ in MATRIX} == set(FORMATS)


def test_without_a_refusal_something_leaves() -> None:
    assert channels_after(lane_of()) == {"push"}


def test_nothing_leaves_after_a_no_however_it_is_spelt() -> None:
    wrong = []
    for form, properties, ends in MATRIX:
        lane = lane_of()
        lane.run(events(lane, FORMATS[form](properties)), SAID_S)
        left = channels_after(lane)
        refused = {"push", "email"} if ends == "both" else {ends}
        if left & refused:
            wrong.append((form, properties, left))
    assert wrong == []


def test_a_no_to_one_channel_leaves_the_other() -> None:
    lane = lane_of()
    lane.run(events(lane, segment({"channel": "Push", "purpose": "Marketing", "status": "denied"})), SAID_S)
    assert channels_after(lane) == {"email"}


@pytest.mark.parametrize("purpose", ["personalisation", "personalization", "Profiling", ["Personalization"]])
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("channel", [None, "push", ["push"]])
def test_a_no_to_personalisation_is_heard_however_it_is_spelt(purpose: Any, status: Any, channel: Any) -> None:
    lane = lane_of()
    lane.run(events(lane, segment({"channel": channel, "purpose": purpose, "status": status})), SAID_S)
    lane.run([], NOON + DELAY_S)
    assert [request.target_group for request in lane.requests] == ["generic"]


@pytest.mark.parametrize("status", ["granted", "Opted-In", True, "true", "YES", 1, "subscribed", "accepted"])
@pytest.mark.parametrize("channel", ["push", " Push ", ["push"]])
def test_a_clear_yes_is_heard(status: Any, channel: Any) -> None:
    lane = LaneHarness()
    lane.run([lane.add()], NOON)
    lane.run(events(lane, segment({"channel": channel, "purpose": "Marketing", "status": status})), SAID_S)
    assert channels_after(lane) == {"push"}


@pytest.mark.parametrize("channel", ["all", "*", None, "", "fax"])
@pytest.mark.parametrize("purpose", ["marketing", "all", "advertising"])
def test_a_yes_that_names_no_channel_or_purpose_allows_nothing(channel: Any, purpose: str) -> None:
    lane = LaneHarness()
    lane.run([lane.add()], NOON)
    lane.run(events(lane, segment({"channel": channel, "purpose": purpose, "status": "granted"})), SAID_S)
    assert channels_after(lane) == set()


def test_a_no_to_all_outlasts_an_older_yes_that_comes_late_and_not_a_newer_one() -> None:
    lane = LaneHarness()
    lane.run([lane.add(), lane.event("Consent Updated", NOON, properties={"status": "denied", "channel": "all"})], NOON)
    lane.run(lane.allow("push", at_s=NOON - 10), NOON)
    assert channels_after(lane) == set()
    lane = LaneHarness()
    lane.run([lane.add(), lane.event("Consent Updated", NOON, properties={"status": "denied", "channel": "all"})], NOON)
    lane.run(lane.allow("push", at_s=NOON + 10), NOON + 10)
    assert channels_after(lane) == {"push"}


def test_a_no_finds_room_when_a_customer_has_said_very_much() -> None:
    lane = lane_of()
    lane.run([event for number in range(100) for event in lane.allow(f"channel{number}")])
    assert len(lane.profile().consent) <= 40
    lane.run(events(lane, segment({"status": "denied"})), SAID_S)
    assert channels_after(lane) == set()


def dialogue(event: str, **preferences: Any) -> dict[str, Any]:
    return segment({}) | {"event": event, "context": {"consent": {"categoryPreferences": preferences}}}


CATEGORIES = {"Advertising": ["push:marketing", "email:marketing"], "Personal offers": ["personalisation"]}


@pytest.mark.parametrize("event", ["Segment Consent Preference Updated", "Product Viewed"])
@pytest.mark.parametrize("name", ["Advertising", "advertising", " ADVERTISING "])
@pytest.mark.parametrize("answer", [False, "false", None, "no"])
def test_a_no_in_the_shops_consent_dialogue_is_heard(event: str, name: str, answer: Any) -> None:
    lane = lane_of(make_playbook(policy=Policy(consent_categories=CATEGORIES)))
    lane.run(events(lane, dialogue(event, **{name: answer, "Analytics": True})), SAID_S)
    assert channels_after(lane) == set()


def state(at_s: float, *, consented: object, **events: Any) -> dict[str, Any]:
    """A batch of mParticle with its consent state, sent at `at_s`."""
    consent = {"gdpr": {"Advertising": {"consented": consented, "timestamp_unixtime_ms": 1}}}
    identity = {"user_identities": {"customer_id": "ana"}, "mpid": 7}
    return {**identity, "timestamp_unixtime_ms": int(at_s * 1e3), "consent_state": consent, **events}


@pytest.mark.parametrize("answer", [False, "false", None, "no"])
def test_a_no_in_the_consent_state_of_mparticle_is_heard(answer: Any) -> None:
    lane = lane_of(make_playbook(policy=Policy(consent_categories=CATEGORIES)))
    lane.run(events(lane, state(SAID_S, consented=answer)), SAID_S)
    assert channels_after(lane) == set()


def test_a_yes_in_the_consent_state_of_mparticle_allows_nothing_and_undoes_no_no() -> None:
    lane = LaneHarness(make_playbook(policy=Policy(consent_categories=CATEGORIES)))
    lane.run([lane.add(), *events(lane, state(NOON, consented=True, user_attributes={"a": "b"}))], NOON)
    assert lane.profile().consent == {}
    lane = lane_of(make_playbook(policy=Policy(consent_categories=CATEGORIES)))
    lane.run(events(lane, segment({"status": "denied"})), SAID_S)
    lane.run(events(lane, state(SAID_S + 1, consented=True, user_attributes={"a": "b"})), SAID_S + 1)
    assert channels_after(lane) == set()


def test_a_state_of_mparticle_that_comes_late_undoes_no_newer_yes() -> None:
    lane = LaneHarness(make_playbook(policy=Policy(consent_categories=CATEGORIES)))
    lane.run([lane.add(), *lane.allow("push", at_s=SAID_S)], SAID_S)
    lane.run(events(lane, state(SAID_S - 30, consented=False)), SAID_S + 1)
    assert channels_after(lane) == {"push"}


def test_an_opt_out_of_mparticle_ends_all_channels() -> None:
    lane = lane_of()
    opt_out = {"event_type": "opt_out", "data": {"is_opted_out": True}}
    lane.run(events(lane, state(SAID_S, consented=True, events=[opt_out])), SAID_S)
    assert channels_after(lane) == set()


def test_a_yes_in_the_consent_dialogue_counts_where_it_is_said_and_not_where_it_is_repeated() -> None:
    lane = LaneHarness(make_playbook(policy=Policy(consent_categories=CATEGORIES)))
    lane.run([lane.add(), *events(lane, dialogue("Product Viewed", Advertising=True))], NOON)
    assert lane.profile().consent == {}
    lane.run(events(lane, dialogue("Segment Consent Preference Updated", Advertising=True)), SAID_S)
    assert channels_after(lane) == {"push"}
    again = lane_of(make_playbook(policy=Policy(consent_categories=CATEGORIES)))
    again.run(events(again, segment({"status": "denied"})), SAID_S)
    again.run(events(again, dialogue("Product Viewed", Advertising=True)), SAID_S + 1)
    assert channels_after(again) == set(), "what a device remembers is older than the no"


def test_a_category_that_the_playbook_does_not_map_says_nothing() -> None:
    lane = lane_of(make_playbook(policy=Policy(consent_categories=CATEGORIES)))
    lane.run(events(lane, dialogue("Segment Consent Preference Updated", Analytics=False)), SAID_S)
    assert channels_after(lane) == {"push"}


def test_a_no_that_a_device_repeats_is_one_line_of_the_history() -> None:
    lane = lane_of(make_playbook(policy=Policy(consent_categories=CATEGORIES)))
    changed = [lane.run([lane.record(e.value, e.key)], SAID_S).puts for e in [*_views(lane, 5)]]
    assert [any(key.startswith(b"c") for key, _ in puts) for puts in changed] == [True, False, False, False, False]


def _views(lane: LaneHarness, times: int) -> Iterator[Any]:
    for number in range(times):
        told = dialogue("Product Viewed", Advertising=False) | {"messageId": f"d{number}"}
        yield from map_all(json.dumps(told).encode()).events


@pytest.mark.parametrize("channel", ["Push", " push", "PUSH", "web push"])
def test_an_unsubscribe_in_feedback_is_heard_however_its_channel_is_spelt(channel: str) -> None:
    lane = lane_of()
    lane.run([lane.feedback("unknown", "unsubscribed", SAID_S, channel=channel)], SAID_S)
    assert channels_after(lane) == {"email"}


def test_a_complaint_holds_for_channels_of_later_playbooks_too() -> None:
    lane = LaneHarness(make_playbook())
    lane.run([*lane.allow("push", "email", "carrier_pigeon"), lane.add()], NOON)
    lane.run([lane.feedback("unknown", "complained", SAID_S, channel="push")], SAID_S)
    assert {key: word.granted for key, word in lane.profile().consent.items() if word.granted} == {}
    assert channels_after(lane) == set()


def told(lane: LaneHarness, at_s: float, **properties: Any) -> Record:
    return lane.event("Consent Updated", at_s, properties=properties)


@pytest.mark.parametrize("channel", ["all", "mail", "whatsapp", "*"])
@pytest.mark.parametrize("backward", [False, True])
def test_a_yes_for_a_word_that_means_nothing_keeps_no_no_from_being_heard(channel: str, backward: bool) -> None:
    lane = lane_of()
    words = [
        told(lane, NOON + 10, channel=channel, status="subscribed"),
        told(lane, NOON + 20, channel=channel, status="no"),
    ]
    lane.run(words[::-1] if backward else words, SAID_S)
    left = channels_after(lane)
    assert left <= ({"push"} if channel == "mail" else set())


@pytest.mark.parametrize("captured_at", ["1970-01-01T00:00:00Z", "2019-01-01T00:00:00Z"])
def test_a_no_counts_from_when_it_was_told_whatever_date_its_form_has(captured_at: str) -> None:
    lane = lane_of()
    lane.run([told(lane, SAID_S, channel="push", status="unsubscribed", captured_at=captured_at)], SAID_S)
    assert channels_after(lane) == {"email"}


@pytest.mark.parametrize("said_in", ["identify", "context"])
def test_a_yes_that_a_device_repeats_in_its_traits_undoes_no_no(said_in: str) -> None:
    lane = LaneHarness()
    yes = {"push_subscribe": "opted_in"}
    lane.run([lane.add(), lane.raw({"type": "identify", "traits": yes}, NOON)], NOON)
    lane.run([told(lane, NOON + 10, channel="push", status="denied")], NOON + 10)
    again = (
        {"type": "identify", "traits": yes} if said_in == "identify" else {"type": "page", "context": {"traits": yes}}
    )
    effects = [lane.run([lane.raw(again, NOON + 20 + n)], NOON + 20 + n) for n in range(5)]
    assert channels_after(lane) == set()
    assert not any(key.startswith(b"c") for one in effects for key, _ in one.puts), "nothing is added to the history"


def test_a_yes_in_traits_holds_until_it_is_taken_back_there() -> None:
    lane = LaneHarness()
    words = ["opted_in", "unsubscribed", "opted_in"]
    for number, word in enumerate(words):
        identify = {"type": "identify", "traits": {"push_subscribe": word}}
        lane.run([lane.raw(identify, NOON + number)], NOON + number)
    lane.run([lane.add()])
    assert channels_after(lane) == {"push"}


@pytest.mark.parametrize("status", [-1, "-1", "!subscribed", "❌ granted", "☐ yes", "≠ yes", "yes?", 2, 1e9])
def test_what_looks_like_a_yes_and_is_none_is_a_no(status: Any) -> None:
    lane = lane_of()
    lane.run(events(lane, segment({"status": status})), SAID_S)
    assert channels_after(lane) == set()


def test_a_no_to_a_usual_channel_that_the_playbook_lacks_is_a_no_to_that_one() -> None:
    lane = lane_of()
    lane.run([told(lane, SAID_S, channel="sms", status="denied")], SAID_S)
    lane.run([lane.raw({"type": "identify", "traits": {"sms_subscribe": "unsubscribed"}}, SAID_S)], SAID_S)
    assert channels_after(lane) == {"push"}


@pytest.mark.parametrize("backward", [False, True])
def test_of_two_words_of_one_instant_the_no_holds(backward: bool) -> None:
    lane = LaneHarness()
    words = [told(lane, NOON, channel="push", status=status) for status in ("granted", "denied")]
    lane.run([*(words[::-1] if backward else words), lane.add()], NOON)
    assert channels_after(lane) == set()


@pytest.mark.parametrize("timestamp", ["01/05/2024", "soon", "1970-01-01T00:00:00Z", "2199-01-01T00:00:00Z"])
def test_no_clock_costs_a_no(timestamp: str) -> None:
    lane = lane_of()
    lane.run(events(lane, segment({"status": "no"}) | {"timestamp": timestamp}), SAID_S)
    assert [word.granted for word in lane.profile().consent.values()].count(True) == 0
    assert map_all(json.dumps(segment({"channel": "push", "status": "yes"}) | {"timestamp": timestamp})).events == []


@pytest.mark.parametrize("timestamp", ["01/05/2024", "soon", "1970-01-01T00:00:00Z", "2199-01-01T00:00:00Z"])
def test_no_clock_costs_a_no_in_the_consent_dialogue_and_none_gives_a_yes(timestamp: str) -> None:
    said = {"type": "identify", "userId": "ana", "timestamp": timestamp}

    def context(**preferences: Any) -> dict[str, Any]:
        return {"context": {"consent": {"categoryPreferences": preferences}}}

    lane = lane_of(make_playbook(policy=Policy(consent_categories=CATEGORIES)))
    lane.run(events(lane, said | context(Advertising=False)), SAID_S)
    assert channels_after(lane) == set()
    for mixed in (context(Advertising=False, Analytics=True), context(Advertising=True), context()):
        assert map_all(json.dumps(said | mixed).encode()).events == []
    subscribed = {"traits": {"push_subscribe": "opted_in"}}
    assert map_all(json.dumps(said | context(Advertising=False) | subscribed).encode()).events == []
    in_context = {"context": {**context(Advertising=False)["context"], **subscribed}}
    assert map_all(json.dumps(said | in_context).encode()).events == []


@pytest.mark.parametrize(
    ("event", "left"),
    [
        ("Unsubscribed", {"push"}),
        ("Email Marked as Spam", set()),
        ("consent_withdrawn", set()),
        ("Signed In", {"push"}),
    ],
)
def test_other_names_of_a_no_are_known(event: str, left: set[str]) -> None:
    lane = lane_of()
    lane.run(events(lane, segment({}) | {"event": event}), SAID_S)
    assert channels_after(lane) == left
    assert lane.profile().consent["email:marketing"].granted is (event == "Signed In")


def test_names_of_fields_are_read_in_any_case() -> None:
    lane = LaneHarness()
    lane.run([lane.add(), *events(lane, segment({"Channel": "push", "Granted": True}))], SAID_S)
    assert channels_after(lane) == {"push"}
