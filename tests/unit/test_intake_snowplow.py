from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.intake import map_all, map_one, reasons, track
from workers.core.intake.formats.snowplow_columns import COLUMNS

E = "com.snowplowanalytics.snowplow.ecommerce"
SDK = "com_snowplowanalytics_snowplow_ecommerce"
ATOMIC: dict[str, Any] = {
    "app_id": "shop",
    "platform": "web",
    "collector_tstamp": "2024-05-01T10:00:02.000Z",
    "dvce_created_tstamp": "2024-05-01T03:00:00.000Z",
    "derived_tstamp": "2024-05-01T10:00:00.500Z",
    "event": "unstruct",
    "event_name": "snowplow_ecommerce_action",
    "event_vendor": E,
    "event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbcb",
    "user_id": "u-1",
    "domain_userid": "bc2e92ec6c204a14",
    "domain_sessionid": "f9b4a1ee",
    "network_userid": "00000000-0000-0000-0000-000000000000",
    "br_lang": "en-GB",
    "os_timezone": "Europe/London",
    "mkt_campaign": "spring",
    "mkt_source": "mail",
}
PRODUCT = {"id": "p-1", "name": "Earbuds", "category": "earphones", "price": 24.99, "currency": "GBP", "brand": "Aural"}
ORDER = {"transaction_id": "T-1", "revenue": 49.98, "currency": "GBP", "payment_method": "card", "total_quantity": 2}


def as_json(action: str, **entities: list[dict[str, Any]]) -> dict[str, Any]:
    contexts = {f"contexts_{SDK}_{name}_1": rows for name, rows in entities.items()}
    return {**ATOMIC, **contexts, f"unstruct_event_{SDK}_snowplow_ecommerce_action_1": {"type": action}}


def as_tsv(action: str, **entities: list[dict[str, Any]]) -> bytes:
    data = [
        {"schema": f"iglu:{E}/{name}/jsonschema/1-0-0", "data": row} for name, rows in entities.items() for row in rows
    ]
    inner = {"schema": f"iglu:{E}/snowplow_ecommerce_action/jsonschema/1-0-2", "data": {"type": action}}
    cells = {
        **{
            name: str(value).replace("T", " ").removesuffix("Z") if name.endswith("_tstamp") else value
            for name, value in ATOMIC.items()
        },
        "contexts": json.dumps(
            {"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0", "data": data}
        ),
        "unstruct_event": json.dumps(
            {"schema": "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0", "data": inner}
        ),
    }
    return "\t".join(str(cells.get(name, "")) for name in COLUMNS).encode()


def test_the_columns_are_those_of_the_canonical_event_model() -> None:
    assert len(COLUMNS) == len(set(COLUMNS)) == 131
    assert [
        COLUMNS.index(name) for name in ("app_id", "event_id", "user_id", "contexts", "unstruct_event", "true_tstamp")
    ] == [
        0,
        6,
        12,
        52,
        58,
        130,
    ]


@pytest.mark.parametrize("form", [as_json, as_tsv])
def test_both_forms_of_an_order_mean_the_same(form: Any) -> None:
    event = track(
        form("transaction", product=[{**PRODUCT, "quantity": 2}], transaction=[ORDER], cart=[{"cart_id": "c-1"}])
    )
    found = event.properties
    assert (event.event, event.message_id) == ("Order Completed", "c6ef3124-b53a-4b13-a233-0088f79dcbcb")
    assert (event.user_id, event.anonymous_id) == ("u-1", "bc2e92ec6c204a14")
    assert event.timestamp.isoformat() == "2024-05-01T10:00:00.500000+00:00"
    assert (found.order_id, found.revenue, found.currency, found.cart_id) == ("T-1", 49.98, "GBP", "c-1")
    assert [(line.product_id, line.price, line.quantity) for line in found.products or ()] == [("p-1", 24.99, 2)]
    assert (found.session_id, event.context.locale, event.context.timezone) == ("f9b4a1ee", "en-GB", "Europe/London")
    assert event.context.campaign is not None
    assert (event.context.campaign.name, event.context.campaign.source) == ("spring", "mail")


@pytest.mark.parametrize(
    ("action", "entities", "canonical"),
    [
        ("product_view", {"product": [PRODUCT]}, "Product Viewed"),
        ("add_to_cart", {"product": [PRODUCT], "cart": [{"cart_id": "c-1"}]}, "Product Added"),
        ("remove_from_cart", {"product": [PRODUCT]}, "Product Removed"),
        ("checkout_step", {"checkout_step": [{"step": 1}]}, "Checkout Started"),
        ("checkout_step", {"checkout_step": [{"step": 2}]}, "Checkout Step Completed"),
        ("refund", {"refund": [{"transaction_id": "T-1", "refund_amount": 5, "currency": "GBP"}]}, "Order Refunded"),
        ("list_view", {"product": [PRODUCT, PRODUCT]}, "Product List Viewed"),
        ("trns_error", {}, "trns_error"),
    ],
)
def test_actions_are_named_as_in_the_segment_spec(action: str, entities: Any, canonical: str) -> None:
    assert track(as_json(action, **entities)).event == canonical


def test_a_single_product_is_lifted() -> None:
    found = track(as_tsv("add_to_cart", product=[PRODUCT], cart=[{"cart_id": "c-1"}])).properties
    assert (found.product_id, found.price, found.currency, found.cart_id) == ("p-1", 24.99, "GBP", "c-1")


def test_a_shops_own_event_keeps_name_and_data() -> None:
    own = {**ATOMIC, "event_name": "quiz_taken", "unstruct_event_com_acme_quiz_taken_1": {"score": 7}}
    mapped = map_one(own)
    assert (mapped["event"], mapped["properties"]["score"]) == ("quiz_taken", 7)


def test_page_views_searches_and_structured_events() -> None:
    page = map_one(
        {**ATOMIC, "event": "page_view", "event_name": "page_view", "page_title": "Home", "page_url": "https://s/"}
    )
    assert (page["type"], page["name"], page["properties"]["url"]) == ("page", "Home", "https://s/")
    key = "unstruct_event_com_snowplowanalytics_snowplow_site_search_1"
    assert (
        track({**ATOMIC, "event_name": "site_search", key: {"terms": ["red", "kettle"]}}).properties.query
        == "red kettle"
    )
    struct = track({**ATOMIC, "event": "struct", "event_name": "event", "se_action": "play", "se_category": "video"})
    assert (struct.event, struct.properties.category) == ("play", "video")


def test_the_older_transaction_columns_are_an_order() -> None:
    older = {
        **ATOMIC,
        "event": "transaction",
        "event_name": "transaction",
        "tr_orderid": "T-7",
        "tr_total": "12.5",
        "tr_currency": "GBP",
    }
    found = track(older)
    assert (found.event, found.properties.order_id, found.properties.revenue) == ("Order Completed", "T-7", 12.5)


def test_an_empty_network_id_is_nobody() -> None:
    nobody = {**as_json("list_view"), "user_id": None, "domain_userid": None}
    assert reasons(map_all(nobody)) == ["no_identity"]
    session = {"contexts_com_snowplowanalytics_snowplow_client_session_1": [{"userId": "app-1", "sessionId": "s-1"}]}
    assert map_all({**nobody, **session}).events[0].key == b"app-1"


def test_the_user_entity_names_the_customer_but_not_a_guest() -> None:
    unnamed = {**as_json("product_view", product=[PRODUCT], user=[{"id": "u-9"}]), "user_id": None}
    assert map_all(unnamed).events[0].key == b"u-9"
    guest = {**as_json("product_view", product=[PRODUCT], user=[{"id": "g-9", "is_guest": True}]), "user_id": None}
    assert map_all(guest).events[0].key == b"bc2e92ec6c204a14"


@pytest.mark.parametrize(
    "derived", ["-5965-09-20 15:44:22.721", "9999-05-28 13:13:23.260", "1970-01-01 00:00:00", "noon", " "]
)
def test_a_broken_clock_of_a_device_leaves_the_word_to_the_collector(derived: str) -> None:
    raw = {**as_json("product_view", product=[PRODUCT]), "derived_tstamp": derived, "dvce_created_tstamp": None}
    assert track(raw).timestamp.isoformat() == "2024-05-01T10:00:02+00:00"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\t" * 120, "wrong_type"),
        (as_tsv("product_view").replace(b'{"schema"', b'{"sch', 1), "broken_json"),
        (as_tsv("product_view").replace(b"shop", b"sh\xffp", 1), "broken_encoding"),
        (as_tsv("product_view").replace(b"2024-05-01", b"noon on Wednesday"), "bad_timestamp"),
    ],
)
def test_broken_text_is_rejected_with_its_reason(value: bytes, reason: str) -> None:
    assert reasons(map_all(value)) == [reason]
    assert reasons(map_all(value, "snowplow_tsv")) == [reason]
