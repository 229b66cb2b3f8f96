from __future__ import annotations

from typing import Any

import pytest

from tests.support.intake import map_all, map_one, reasons, track

EXPORTED: dict[str, Any] = {
    "event_date": "20240501",
    "event_timestamp": "1714557600123456",
    "event_name": "purchase",
    "event_params": [
        {"key": "ga_session_id", "value": {"string_value": None, "int_value": "1714557000", "float_value": None}},
        {"key": "currency", "value": {"string_value": "EUR"}},
        {"key": "value", "value": {"double_value": 59.98}},
        {"key": "page_location", "value": {"string_value": "https://shop.example/thanks"}},
        {"key": "coupon", "value": {"string_value": "(not set)"}},
        {"key": "shop_floor", "value": {"int_value": "3"}},
    ],
    "event_bundle_sequence_id": "-712",
    "batch_page_id": "1714557599000",
    "batch_ordering_id": "4",
    "batch_event_index": "2",
    "user_id": "u-1",
    "user_pseudo_id": "1234567.7654321",
    "user_properties": [{"key": "plan", "value": {"string_value": "gold", "set_timestamp_micros": "1714557600000000"}}],
    "device": {"category": "mobile", "language": "de-de"},
    "collected_traffic_source": {"manual_campaign_name": "spring", "manual_source": "mail", "manual_medium": "email"},
    "ecommerce": {
        "transaction_id": "T-99",
        "purchase_revenue": 49.98,
        "shipping_value": 5.0,
        "tax_value": 5.0,
        "total_item_quantity": 2,
    },
    "items": [
        {
            "item_id": "p-1",
            "item_name": "Earbuds",
            "item_brand": "Aural",
            "item_category": "earphones",
            "item_category2": "wireless",
            "item_variant": "(not set)",
            "price": 24.99,
            "quantity": "2",
            "index": 1,
        }
    ],
}

BODY: dict[str, Any] = {
    "client_id": "1234567.7654321",
    "user_id": "u-1",
    "timestamp_micros": 1714557600000000,
    "user_properties": {"plan": {"value": "gold"}},
    "events": [
        {
            "name": "add_to_cart",
            "params": {"currency": "EUR", "value": 24.99, "items": [{"item_id": "p-1", "price": 24.99, "quantity": 1}]},
        },
        {"name": "tutorial_begin", "params": {"level": 3}},
    ],
}


def test_an_exported_purchase_is_an_order() -> None:
    event = track(EXPORTED)
    found = event.properties
    assert (event.event, event.user_id, event.anonymous_id) == ("Order Completed", "u-1", "1234567.7654321")
    assert event.timestamp.isoformat() == "2024-05-01T10:00:00.123456+00:00"
    assert (found.order_id, found.revenue, found.shipping, found.tax, found.currency) == (
        "T-99",
        49.98,
        5.0,
        5.0,
        "EUR",
    )
    assert (found.session_id, found.url, found.coupon) == ("1714557000", "https://shop.example/thanks", None)
    line = (found.products or [])[0]
    assert (line.product_id, line.name, line.brand, line.category) == ("p-1", "Earbuds", "Aural", "earphones")
    assert (line.price, line.quantity, line.position, line.variant) == (24.99, 2, 1, None)
    assert event.context.locale == "de-de"
    assert event.context.traits == {"plan": "gold"}
    assert event.context.campaign is not None
    assert (event.context.campaign.name, event.context.campaign.medium) == ("spring", "email")


def test_own_parameters_stay_on_the_wire() -> None:
    mapped = map_one(EXPORTED)
    assert mapped["properties"]["shop_floor"] == "3"
    assert mapped["properties"]["products"][0]["item_category2"] == "wireless"


def test_the_batch_fields_make_the_message_id_whatever_else_an_export_adds_later() -> None:
    later = {**EXPORTED, "is_active_user": True, "geo": {"city": "Ulm"}}
    assert map_one(EXPORTED)["messageId"] == map_one(later)["messageId"]
    assert map_one({**EXPORTED, "batch_event_index": "3"})["messageId"] != map_one(EXPORTED)["messageId"]


def test_without_batch_fields_the_bytes_make_the_message_id() -> None:
    bare = {name: value for name, value in EXPORTED.items() if not name.startswith(("batch_", "event_bundle"))}
    assert map_one(bare)["messageId"] == map_one(bare)["messageId"]
    assert map_one(bare)["messageId"] != map_one({**bare, "event_date": "20240502"})["messageId"]


def test_a_measurement_protocol_body_holds_several_events() -> None:
    mapped = map_all(BODY)
    assert mapped.rejects == []
    assert len(mapped.events) == 2
    added, custom = mapped.events
    assert b'"Product Added"' in added.value
    assert b'"product_id":"p-1"' in added.value
    assert b'"tutorial_begin"' in custom.value
    assert added.value.count(b"2024-05-01T10:00:00Z") == 1


def test_a_bad_event_of_a_body_loses_no_sibling() -> None:
    mapped = map_all({**BODY, "events": [{"params": {}}, *BODY["events"], {"name": "x", "timestamp_micros": "soon"}]})
    assert len(mapped.events) == 2
    assert reasons(mapped) == ["missing_field", "bad_timestamp"]


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("view_item", "Product Viewed"),
        ("add_to_cart", "Product Added"),
        ("remove_from_cart", "Product Removed"),
        ("view_cart", "Cart Viewed"),
        ("begin_checkout", "Checkout Started"),
        ("purchase", "Order Completed"),
        ("refund", "Order Refunded"),
        ("search", "Products Searched"),
        ("level_up", "level_up"),
    ],
)
def test_names_are_those_of_the_segment_spec(name: str, canonical: str) -> None:
    assert track({"client_id": "c", "events": [{"name": name}]}).event == canonical


def test_a_search_keeps_its_words_and_a_refund_its_amount() -> None:
    searched = track({"client_id": "c", "events": [{"name": "search", "params": {"search_term": "kettle"}}]})
    refunded = track({"client_id": "c", "events": [{"name": "refund", "params": {"value": 5, "transaction_id": "T"}}]})
    assert searched.properties.query == "kettle"
    assert (refunded.properties.total, refunded.properties.order_id) == (5.0, "T")


def test_page_views_are_pages() -> None:
    params = {"page_title": "Home", "page_location": "https://shop.example/"}
    page = map_one({"client_id": "c", "events": [{"name": "page_view", "params": params}]})
    assert (page["type"], page["name"], page["properties"]["url"]) == ("page", "Home", "https://shop.example/")


def test_milliseconds_in_the_field_for_microseconds_are_understood() -> None:
    event = track({"client_id": "c", "timestamp_micros": 1714557600000, "events": [{"name": "search"}]})
    assert event.timestamp.isoformat() == "2024-05-01T10:00:00+00:00"
