from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.support.intake import map_all, map_one, reasons, track

HEADERS = {
    "ce_specversion": b"1.0",
    "ce_id": b"42",
    "ce_source": b"/shop/web",
    "ce_type": b"com.shop.wishlist.shared",
    "ce_time": b"2024-05-01T10:00:00Z",
    "content-type": b"application/json; charset=utf-8",
}
ENVELOPE = {"specversion": "1.0", "id": "42", "source": "/shop/web", "type": "com.shop.wishlist.shared"}
CALL = {
    "type": "track",
    "event": "Product Viewed",
    "messageId": "own",
    "userId": "u-1",
    "properties": {"product_id": "p"},
}


def headers(**changes: bytes | None) -> tuple[tuple[str, bytes], ...]:
    found = {**HEADERS, **changes}
    return tuple((name, value) for name, value in found.items() if value is not None)


def test_the_envelope_gives_id_and_time_and_the_data_the_rest() -> None:
    mapped = map_one(CALL, headers=headers())
    assert (mapped["messageId"], mapped["timestamp"]) == ("/shop/web|42", "2024-05-01T10:00:00Z")
    assert (mapped["event"], mapped["userId"]) == ("Product Viewed", "u-1")


def test_the_datas_own_time_is_nearer_to_what_happened() -> None:
    assert (
        map_one({**CALL, "timestamp": "2024-05-01T09:00:00Z"}, headers=headers())["timestamp"] == "2024-05-01T09:00:00Z"
    )


def test_data_of_another_format_is_mapped_by_that_format() -> None:
    body = {
        "client_id": "c-1",
        "events": [{"name": "view_item", "params": {"items": [{"item_id": "p-9"}]}}, {"name": "x"}],
    }
    first, second = map_all(body, headers=headers()).events
    assert json.loads(first.value)["event"] == "Product Viewed"
    assert [json.loads(one.value)["messageId"] for one in (first, second)] == ["/shop/web|42-0", "/shop/web|42-1"]


def test_plain_data_is_a_custom_event_of_the_customer_in_the_key() -> None:
    found = track({"list": 7, "product_id": "p-1"}, headers=headers(), key=b"u-5")
    assert (found.event, found.user_id, found.properties.product_id) == ("com.shop.wishlist.shared", "u-5", "p-1")


def test_plain_data_may_name_its_customer_and_a_known_type_is_translated() -> None:
    found = track({"userId": "u-6", "product_id": "p-1"}, headers=headers(ce_type=b"view_item"), key=b"u-5")
    assert (found.event, found.user_id) == ("Product Viewed", "u-6")


@pytest.mark.parametrize("content", [{"data": {"list": 7}}, {"data_base64": base64.b64encode(b'{"list": 7}').decode()}])
def test_structured_mode_says_the_same(content: dict[str, Any]) -> None:
    mapped = map_one({**ENVELOPE, **content, "time": "2024-05-01T10:00:00Z", "partitionkey": "u-7"})
    assert (mapped["userId"], mapped["messageId"], mapped["properties"]) == ("u-7", "/shop/web|42", {"list": 7})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ce_id": None}, "missing_field"),
        ({"ce_source": b""}, "missing_field"),
        ({"ce_specversion": b"2.0"}, "unknown_schema_version"),
        ({"ce_time": b"noon"}, "bad_timestamp"),
        ({"content-type": b"application/avro"}, "unknown_format"),
    ],
)
def test_a_broken_envelope_is_rejected_with_its_reason(changes: dict[str, bytes | None], reason: str) -> None:
    assert reasons(map_all(CALL, headers=headers(**changes))) == [reason]


def test_an_envelope_around_nothing_or_nobody_is_rejected() -> None:
    assert reasons(map_all(None, headers=headers())) == ["null_value"]
    assert reasons(map_all({"list": 7}, headers=headers())) == ["no_identity"]
    assert reasons(map_all({"list": 7}, headers=headers(), key=b"\xff")) == ["no_identity"]
    assert reasons(map_all([1, 2], headers=headers(), key=b"u")) == ["wrong_type", "wrong_type"]
    assert reasons(map_all(ENVELOPE)) == ["missing_field"]
    assert reasons(map_all(CALL, "cloudevents")) == ["unknown_format"]
