from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.intake import map_all, map_one, reasons, track

LINE = {
    "product_id": "8266836345064",
    "product_name": "Classic T-Shirt",
    "variant_id": "44610569208040",
    "product_url": "https://shop.example/p/tshirt",
    "quantity": 2,
    "price": 99.99,
    "metadata": {"sku": "TSH-BLU-M", "brand": "Example", "size": "M"},
}


def event(name: str, **properties: Any) -> dict[str, Any]:
    return {
        "external_id": "u-1",
        "app_id": "app",
        "name": name,
        "time": "2024-05-01T09:15:30Z",
        "properties": properties,
    }


def test_a_viewed_product_carries_its_fields_directly() -> None:
    found = track({"events": [event("ecommerce.product_viewed", **LINE, currency="GBP", source="web")]})
    assert (found.event, found.user_id) == ("Product Viewed", "u-1")
    properties = found.properties
    assert (properties.product_id, properties.name, properties.variant) == (
        "8266836345064",
        "Classic T-Shirt",
        "44610569208040",
    )
    assert (properties.sku, properties.brand, properties.price, properties.currency) == (
        "TSH-BLU-M",
        "Example",
        99.99,
        "GBP",
    )


@pytest.mark.parametrize(
    ("action", "canonical"),
    [
        ({"action": "add"}, "Product Added"),
        ({"action": "remove"}, "Product Removed"),
        ({"action": "replace"}, "Cart Viewed"),
        ({}, "Cart Viewed"),
    ],
)
def test_a_cart_update_says_what_it_means(action: dict[str, str], canonical: str) -> None:
    found = track(
        event("ecommerce.cart_updated", cart_id="c-1", currency="USD", total_value=199.98, products=[LINE], **action)
    )
    assert (found.event, found.properties.cart_id, found.properties.total) == (canonical, "c-1", 199.98)


def test_an_order_has_revenue_lines_and_cart() -> None:
    order = event(
        "ecommerce.order_placed",
        order_id="o-1",
        cart_id="c-1",
        total_value=189.98,
        currency="USD",
        total_discounts=10,
        products=[LINE],
        metadata={"order_number": "7"},
    )
    found = track(order).properties
    assert (found.order_id, found.cart_id, found.revenue, found.total, found.discount) == (
        "o-1",
        "c-1",
        189.98,
        189.98,
        10.0,
    )
    assert [(line.product_id, line.quantity, line.sku) for line in found.products or ()] == [
        ("8266836345064", 2, "TSH-BLU-M")
    ]
    assert map_one(order)["properties"]["metadata"] == {"order_number": "7"}


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("ecommerce.checkout_started", "Checkout Started"),
        ("ecommerce.order_refunded", "Order Refunded"),
        ("ecommerce.order_cancelled", "Order Cancelled"),
        ("watched_trailer", "watched_trailer"),
    ],
)
def test_names_are_those_of_the_segment_spec_and_custom_names_stay(name: str, canonical: str) -> None:
    assert track(event(name, order_id="o")).event == canonical


def test_one_body_holds_events_attributes_and_purchases() -> None:
    body = {
        "attributes": [
            {"external_id": "u-1", "first_name": "Lin", "email_subscribe": "unsubscribed", "address": {"city": "Ulm"}}
        ],
        "events": [event("watched_trailer"), {"name": "nobody"}],
        "purchases": [
            {
                "external_id": "u-1",
                "product_id": "p-1",
                "currency": "USD",
                "price": 5.5,
                "quantity": 2,
                "time": "2024-05-01T09:00:00Z",
            }
        ],
    }
    mapped = map_all(body)
    assert reasons(mapped) == ["no_identity"]
    identify, watched, bought = [json.loads(one.value) for one in mapped.events]
    assert identify["traits"] == {"first_name": "Lin", "email_subscribe": "unsubscribed", "address.city": "Ulm"}
    assert watched["event"] == "watched_trailer"
    assert (bought["event"], bought["properties"]["revenue"]) == ("Order Completed", 11.0)
    assert bought["properties"]["products"] == [{"product_id": "p-1", "price": 5.5, "quantity": 2}]
    assert len({one["messageId"] for one in (identify, watched, bought)}) == 3


def test_currents_writes_seconds_and_properties_as_text() -> None:
    current = {
        "id": "ev-1",
        "user_id": "5f0c",
        "external_user_id": "u-1",
        "time": 1714555530,
        "name": "ecommerce.product_viewed",
        "properties": json.dumps(LINE),
    }
    found = track(current)
    assert (found.message_id, found.user_id, found.anonymous_id) == ("ev-1", "u-1", "5f0c")
    assert (found.timestamp.isoformat(), found.properties.product_id) == ("2024-05-01T09:25:30+00:00", "8266836345064")


def test_an_alias_identifies_who_has_no_external_id() -> None:
    sent = {**event("watched_trailer"), "external_id": None, "user_alias": {"alias_name": "7", "alias_label": "till"}}
    assert map_all(sent).events[0].key == b"till:7"
