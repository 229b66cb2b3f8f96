from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.intake import NOW, map_all, map_one, reasons, record, track
from workers.core.intake.mapping import Intake

CALL: dict[str, Any] = {
    "type": "track",
    "event": "Product Viewed",
    "messageId": "ajs-next-7a1f",
    "userId": "u-1",
    "anonymousId": "a-1",
    "timestamp": "2024-05-01T10:00:00.123Z",
    "sentAt": "2024-05-01T10:00:01Z",
    "context": {"locale": "zh-CN", "library": {"name": "analytics.js", "version": "4.1"}},
    "properties": {"product_id": "p-1", "price": 19.9, "currency": "USD", "colour": "black"},
}


def call(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**CALL, **changes}.items() if value is not ...}


def properties(**changes: Any) -> dict[str, Any]:
    return call(properties={**CALL["properties"], **changes})


def test_a_call_as_the_spec_has_it_passes_byte_for_byte() -> None:
    sent = record(CALL)
    assert Intake().map_record(sent, NOW).events[0].value == sent.value


def test_a_shops_own_fields_stay_on_the_wire() -> None:
    mapped = map_one(properties(price="19.90"))
    assert mapped["properties"]["colour"] == "black"
    assert mapped["context"]["library"]["name"] == "analytics.js"


@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("price", "19.90", 19.9),
        ("price", 0, None),
        ("price", "0.00", None),
        ("price", -3, None),
        ("price", "on request", None),
        ("price", None, None),
        ("quantity", "2", 2),
        ("quantity", 2.0, 2),
        ("quantity", 0, 0),
        ("quantity", -1, 0),
        ("currency", "usd", "USD"),
        ("currency", "US Dollar", None),
        ("product_id", 4711, "4711"),
        ("sku", 12, "12"),
        ("revenue", "1,299.00", 1299.0),
        ("position", "3", 3),
        ("rating", True, None),
        ("category", ["a", "b"], None),
    ],
)
def test_loose_values_are_converted_or_unknown(field: str, given: object, expected: object) -> None:
    event = call(event="Product Liked", properties={field: given})
    assert getattr(track(event).properties, field) == expected


def test_product_lines_are_converted_and_lines_without_a_product_left_out() -> None:
    lines = [
        {"product_id": 1, "price": "5"},
        {"sku": "s-2", "quantity": "3"},
        {"id": "i-3", "price": 0},
        {"name": "?"},
        7,
    ]
    found = track(call(event="Order Completed", properties={"order_id": 99, "products": lines})).properties
    assert found.order_id == "99"
    assert [(line.product_id, line.price, line.quantity) for line in found.products or ()] == [
        ("1", 5.0, None),
        ("s-2", None, 3),
        ("i-3", None, None),
    ]


@pytest.mark.parametrize("lines", [[{"product_id": "p-9", "price": 5}], [{"sku": "p-9", "price": 5}]])
def test_an_event_about_one_product_carries_its_fields_directly(lines: list[object]) -> None:
    found = track(call(event="Product Added", properties={"products": lines, "cart_id": "c"})).properties
    assert (found.product_id, found.price, found.products) == ("p-9", 5.0, None)


@pytest.mark.parametrize("given", [{"sku": "p-9"}, {"id": "p-9"}])
def test_a_product_named_by_another_field_gets_its_product_id(given: dict[str, str]) -> None:
    assert track(call(properties=given)).properties.product_id == "p-9"


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ("Viewed Product", "Product Viewed"),
        ("Added to Cart", "Product Added"),
        ("Started Checkout", "Checkout Started"),
        ("Placed Order", "Order Completed"),
        ("Completed Order", "Order Completed"),
        ("Warranty Registered", "Warranty Registered"),
        ("  Padded  ", "Padded"),
    ],
)
def test_names_of_the_first_spec_and_of_klaviyo_are_translated_and_others_kept(sent: str, canonical: str) -> None:
    assert track(call(event=sent)).event == canonical


@pytest.mark.parametrize(
    ("changes", "customer"),
    [
        ({"userId": 42}, "42"),
        ({"userId": 42.0}, "42"),
        ({"userId": " u-1 "}, "u-1"),
        ({"userId": ""}, "a-1"),
        ({"userId": None}, "a-1"),
        ({"userId": "undefined"}, "a-1"),
        ({"userId": "NULL", "anonymousId": 7}, "7"),
        ({"userId": ..., "user_id": "u-2"}, "u-2"),
        ({"userId": ..., "anonymousId": ..., "anonymous_id": "a-2"}, "a-2"),
        ({"userId": "林"}, "林"),
    ],
)
def test_the_key_is_the_customer(changes: dict[str, Any], customer: str) -> None:
    assert map_all(call(**changes)).events[0].key == customer.encode()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"userId": ..., "anonymousId": ...}, "no_identity"),
        ({"userId": "null", "anonymousId": "[object Object]"}, "no_identity"),
        ({"userId": True, "anonymousId": ["a"]}, "no_identity"),
        ({"userId": "u" * 257}, "bad_identity"),
        ({"timestamp": "yesterday"}, "bad_timestamp"),
        ({"timestamp": "1970-01-01T00:00:00Z"}, "bad_timestamp"),
        ({"timestamp": "2024-05-02T12:00:01Z"}, "bad_timestamp"),
        ({"event": ...}, "missing_field"),
        ({"event": "  "}, "missing_field"),
        ({"event": "e" * 257}, "wrong_type"),
        ({"type": "delete"}, "wrong_type"),
        ({"type": ..., "event": ...}, "unknown_format"),
        ({"type": "alias", "event": ...}, "missing_field"),
        ({"schemaVersion": 2}, "unknown_schema_version"),
        ({"properties": {"note": "x" * 300_000}}, "too_large"),
    ],
)
def test_what_cannot_be_used_is_rejected_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    mapped = map_all(call(**changes))
    assert (mapped.events, reasons(mapped)) == ([], [reason])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"timestamp": 1714557600}, "2024-05-01T10:00:00Z"),
        ({"timestamp": 1714557600123}, "2024-05-01T10:00:00.123000Z"),
        ({"timestamp": "1714557600"}, "2024-05-01T10:00:00Z"),
        ({"timestamp": "2024-05-01T18:00:00+08:00"}, "2024-05-01T18:00:00+08:00"),
        ({"timestamp": "2024-05-01T10:00:00"}, "2024-05-01T10:00:00Z"),
        ({"timestamp": ..., "originalTimestamp": "2024-05-01T09:00:00Z"}, "2024-05-01T09:00:00Z"),
        ({"timestamp": ...}, "2024-05-01T10:00:01Z"),
        ({"timestamp": "", "sentAt": ...}, "2024-05-01T12:00:00Z"),
        ({"timestamp": "2024-05-02T11:59:59Z"}, "2024-05-02T11:59:59Z"),
    ],
)
def test_the_time_of_an_event_is_the_best_that_is_known(changes: dict[str, Any], expected: str) -> None:
    assert map_one(call(**changes))["timestamp"] == expected


def test_segments_corrected_time_is_not_corrected_again() -> None:
    skewed = call(originalTimestamp="2024-05-01T03:00:00Z", timestamp="2024-05-01T10:00:00Z", price="1")
    assert map_one(skewed)["timestamp"] == "2024-05-01T10:00:00Z"


def test_a_batch_loses_only_its_bad_calls() -> None:
    batch = {
        "batch": [CALL, call(userId=..., anonymousId=...), "no call", call(messageId=...)],
        "sentAt": "2024-05-01T10:00:05Z",
    }
    mapped = map_all(batch)
    assert len(mapped.events) == 2
    assert [str(error) for error in mapped.rejects] == [
        "no_identity: event 1: neither userId nor anonymousId",
        "wrong_type: event 2: an event must be a JSON object",
    ]


def test_what_a_batch_says_for_all_holds_for_calls_that_do_not_say_otherwise() -> None:
    batch = {"batch": [call(context=..., sentAt=...), CALL], "context": {"locale": "de-DE"}}
    first, second = map_all(batch).events
    assert b"de-DE" in first.value
    assert b"zh-CN" in second.value


def test_traits_become_flat_and_the_write_key_stops_here() -> None:
    identify = {
        "type": "identify",
        "userId": "u-1",
        "writeKey": "secret",
        "traits": {
            "age": 30,
            "address": {"city": "Ulm", "geo": {"lat": 1}},
            "tags": ["a", 1],
            "empty": None,
            "odd": [{}],
        },
    }
    mapped = map_one(identify)
    assert mapped["traits"] == {
        "age": 30,
        "address.city": "Ulm",
        "address.geo.lat": 1,
        "tags": ["a", "1"],
        "empty": None,
    }
    assert "writeKey" not in mapped
    assert "writeKey" not in map_one({**CALL, "writeKey": "secret"})
    for hidden in (rb"write\u004bey", rb"\u0077riteKey", rb"write\u005fkey", rb"\u0077\u0072\u0069\u0074\u0065Key"):
        value = json.dumps(CALL | {"writeKey": "secret"}).encode().replace(b"writeKey", hidden)
        assert b"secret" not in map_all(value).events[0].value


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ({"type": "Page", "userId": "u", "name": "Home", "properties": {"title": 5}}, "page"),
        ({"type": "screen", "userId": "u", "name": 7, "category": ["x"]}, "screen"),
        ({"type": "alias", "userId": "u", "previous_id": "a-1"}, "alias"),
        ({"type": "group", "userId": "u", "groupId": 3, "traits": {"n": 1}}, "group"),
        ({"event": "Untyped", "userId": "u"}, "track"),
    ],
)
def test_every_call_of_the_spec_is_mapped(sent: dict[str, Any], kind: str) -> None:
    assert map_one(sent)["type"] == kind


def test_an_ignored_field_with_broken_text_does_not_reach_the_topic() -> None:
    assert reasons(map_all(record(CALL).value.replace(b"black", b"bl\xffck"))) == ["broken_encoding"]  # type: ignore[union-attr]


def test_the_answers_of_a_consent_dialogue_are_typed_for_their_readers() -> None:
    found = track({**CALL, "context": {"consent": {"categoryPreferences": {"Marketing": "false", "Analytics": True}}}})
    assert found.context.consent is not None
    assert found.context.consent.category_preferences == {"Marketing": False, "Analytics": True}
    untouched = {**CALL, "context": {"consent": {"categoryPreferences": {"Marketing": False}}}}
    assert map_one(untouched) == untouched


@pytest.mark.parametrize(
    "spelt", ["order_completed", "Order completed", "ORDER COMPLETED", "OrderCompleted", "Completed Order"]
)
def test_a_name_of_the_spec_is_known_however_it_is_spelt(spelt: str) -> None:
    assert track({**CALL, "event": spelt}).event == "Order Completed"


@pytest.mark.parametrize("field", ["order_id", "cart_id", "checkout_id", "product_id"])
@pytest.mark.parametrize("nothing", ["undefined", "null", "NaN", "(not set)", "", " "])
def test_what_scripts_write_for_no_id_is_no_id(field: str, nothing: str) -> None:
    properties = {"product_id": "p", "currency": "EUR"} | {field: nothing}
    assert getattr(track({**CALL, "event": "Wished", "properties": properties}).properties, field) is None
