from __future__ import annotations

import json
from typing import Any

import pytest

from schemas import codec
from tests.support.intake import NOW, map_all, map_one, reasons, track
from workers.core.profile.consent import Rules, from_event

PRODUCT = {
    "id": "smart-band",
    "name": "Smart Band",
    "brand": "acme",
    "category": "bands",
    "variant": "black",
    "position": 1,
    "price": 29.9,
    "quantity": 2,
    "coupon_code": "SPRING",
    "total_product_amount": 59.8,
    "custom_attributes": {"sku": "SB-1", "image_url": "https://shop.example/b.png"},
}
#: A batch as mParticle's outputs write it; the Events API differs in `user_identities` and in the ids that mParticle adds.
BATCH: dict[str, Any] = {
    "schema_version": 2,
    "environment": "production",
    "batch_id": -3318201982311470000,
    "source_request_id": "7fa67be4-f83a-429f-9d73-38b660c50825",
    "timestamp_unixtime_ms": 1714557610000,
    "mpid": 7346244611012968789,
    "user_identities": [
        {"identity_type": "email", "identity": "ana@example.com", "timestamp_unixtime_ms": 1540483995196},
        {"identity_type": "customer_id", "identity": "ana", "timestamp_unixtime_ms": 1540483995196},
    ],
    "device_info": {"platform": "iOS", "locale_language": "en", "locale_country": "GB", "timezone_offset": 1},
    "attribution_info": {"service_provider": "adwords", "publisher": "google", "campaign": "spring"},
    "events": [],
}


def event(kind: str, **data: Any) -> dict[str, Any]:
    known = {"event_id": 6004677780660780000, "timestamp_unixtime_ms": 1714557600000, "session_uuid": "s-1"}
    return {"event_type": kind, "data": known | data}


def batch(*events: object, **fields: Any) -> dict[str, Any]:
    return {**BATCH, "events": list(events), **fields}


def commerce(action: str, **fields: Any) -> dict[str, Any]:
    found = event("commerce_event", currency_code="EUR", product_action={"action": action} | fields)
    return batch(found)


def refused(content: object) -> list[dict[str, Any]]:
    """The parts of a record that carry its consent state: what was refused."""
    parts = [json.loads(one.value) for one in map_all(content).events]
    return [part["context"]["consent"]["categoryPreferences"] for part in parts if "consent" in part.get("context", {})]


def test_a_custom_event_has_its_name_attributes_person_time_and_id() -> None:
    found = track(batch(event("custom_event", event_name="Level Up", custom_attributes={"level": "3"})))
    assert (found.event, found.user_id, found.anonymous_id) == ("Level Up", "ana", "7346244611012968789")
    assert (found.timestamp.isoformat(), found.message_id) == ("2024-05-01T10:00:00+00:00", "6004677780660780000")
    assert found.properties.session_id == "s-1"
    assert (found.context.locale, found.context.timezone) == ("en-GB", None)
    assert found.context.campaign is not None
    assert (found.context.campaign.name, found.context.campaign.source) == ("spring", "google")
    assert map_one(batch(event("custom_event", event_name="x", custom_attributes={"level": "3"})))["properties"] == {
        "level": "3",
        "session_id": "s-1",
    }


@pytest.mark.parametrize(
    ("identities", "user_id"),
    [
        ({"customer_id": "ana", "email": "ana@example.com"}, "ana"),
        ([{"identity_type": "customer_id", "identity": 17}], "17"),
        ([{"identity_type": "email", "identity": "ana@example.com"}], None),
        ({"customer_id": "undefined", "other": "x"}, None),
        ({"customer_id": None}, None),
        (None, None),
        ("ana", None),
    ],
)
def test_the_customer_id_is_the_user_and_no_address_is(identities: object, user_id: str | None) -> None:
    found = map_one(batch(event("session_start"), user_identities=identities))
    assert (found.get("userId"), found["anonymousId"]) == (user_id, "7346244611012968789")


def test_a_guest_is_known_by_the_device_when_mparticle_has_no_id_for_them() -> None:
    guest = batch(event("session_start"), user_identities={}, mpid=0, mp_deviceid="d-1")
    assert map_all(guest).events[0].key == b"d-1"
    assert reasons(map_all({**guest, "mp_deviceid": None})) == ["no_identity"]


@pytest.mark.parametrize(
    ("data", "message_id"),
    [
        ({}, "6004677780660780000"),
        ({"event_id": None, "source_message_id": "e8335d31"}, "e8335d31"),
        ({"event_id": 0, "source_message_id": "e8335d31"}, "e8335d31"),
        ({"event_id": None, "message_id": "m-1"}, "m-1"),
    ],
)
def test_an_event_keeps_the_id_that_mparticle_or_its_source_gave_it(data: dict[str, Any], message_id: str) -> None:
    assert map_one(batch(event("session_start", **data)))["messageId"] == message_id


def test_an_id_beside_the_data_counts_too() -> None:
    assert map_one(batch({"event_type": "session_start", "event_id": "e-1", "data": {}}))["messageId"] == "e-1"


def test_events_without_an_id_have_ids_of_their_own() -> None:
    nameless = event("session_start", event_id=None)
    ids = {json.loads(one.value)["messageId"] for one in map_all(batch(nameless, nameless)).events}
    assert len(ids) == 2


def test_an_event_without_a_time_has_that_of_its_batch() -> None:
    found = map_one(batch({"event_type": "session_start", "data": {"event_id": 1}}))
    assert found["timestamp"] == "2024-05-01T10:00:10Z"


@pytest.mark.parametrize(
    ("action", "canonical"),
    [
        ("view_detail", "Product Viewed"),
        ("add_to_cart", "Product Added"),
        ("remove_from_cart", "Product Removed"),
        ("checkout", "Checkout Started"),
        ("checkout_option", "Checkout Step Completed"),
        ("purchase", "Order Completed"),
        ("refund", "Order Refunded"),
        ("click", "Product Clicked"),
        ("add_to_wishlist", "Product Added to Wishlist"),
        ("remove_from_wish_list", "Product Removed from Wishlist"),
        ("Add_To_Cart", "Product Added"),
        ("unknown", "unknown"),
    ],
)
def test_actions_become_names_of_the_segment_spec(action: str, canonical: str) -> None:
    assert track(commerce(action, products=[PRODUCT])).event == canonical


@pytest.mark.parametrize(
    ("step", "canonical"),
    [
        (1, "Checkout Started"),
        (0, "Checkout Started"),
        (2, "Checkout Step Completed"),
        ("3", "Checkout Step Completed"),
    ],
)
def test_only_the_first_step_starts_a_checkout(step: object, canonical: str) -> None:
    assert track(commerce("checkout", checkout_step=step)).event == canonical


def test_the_only_product_of_an_event_carries_its_fields_directly() -> None:
    found = track(commerce("add_to_cart", products=[PRODUCT])).properties
    assert (found.product_id, found.name, found.brand, found.category) == ("smart-band", "Smart Band", "acme", "bands")
    assert (found.variant, found.price, found.quantity, found.currency) == ("black", 29.9, 2, "EUR")
    assert (found.sku, found.coupon, found.image_url) == ("SB-1", "SPRING", "https://shop.example/b.png")


def test_custom_attributes_of_a_product_replace_none_of_its_own_fields() -> None:
    line = {**PRODUCT, "custom_attributes": {"product_id": "other", "price": "1"}}
    found = track(commerce("view_detail", products=[line])).properties
    assert (found.product_id, found.price) == ("smart-band", 29.9)


def test_an_order_has_id_amounts_and_lines() -> None:
    amounts = {"total_amount": "59.80", "tax_amount": 9.55, "shipping_amount": 4.9, "coupon_code": "SPRING"}
    found = track(commerce("purchase", transaction_id="o-1", products=[PRODUCT], affiliation="web", **amounts))
    order = found.properties
    assert (order.order_id, order.total, order.tax, order.shipping) == ("o-1", 59.8, 9.55, 4.9)
    assert (order.coupon, order.currency) == ("SPRING", "EUR")
    assert [(line.product_id, line.quantity) for line in order.products or ()] == [("smart-band", 2)]


@pytest.mark.parametrize(("products", "read"), [([], []), (None, None), ([{"name": "?"}], None)])
def test_an_emptied_cart_is_empty_and_a_missing_list_says_nothing(products: object, read: object) -> None:
    assert track(commerce("checkout", products=products)).properties.products == read


@pytest.mark.parametrize(
    ("data", "canonical"),
    [
        ({"promotion_action": {"action": "view", "promotions": [{"id": "p"}]}}, "Promotion Viewed"),
        ({"promotion_action": {"action": "click"}}, "Promotion Clicked"),
        ({"product_impressions": [{"product_impression_list": "home", "products": [PRODUCT]}]}, "Product List Viewed"),
        ({"shopping_cart": {"products": [PRODUCT]}}, "Cart Viewed"),
        ({}, "commerce_event"),
    ],
)
def test_other_commerce_events_are_named_by_what_they_hold(data: dict[str, Any], canonical: str) -> None:
    assert track(batch(event("commerce_event", **data))).event == canonical


def test_the_products_of_all_impressions_are_listed() -> None:
    lists = [{"products": [PRODUCT]}, {"products": [{"id": "case"}]}]
    found = track(batch(event("commerce_event", product_impressions=lists))).properties
    assert [line.product_id for line in found.products or ()] == ["smart-band", "case"]


def test_a_screen_is_counted_by_its_name() -> None:
    found = map_one(batch(event("screen_view", screen_name="Home", custom_attributes={"tab": "1"})))
    assert (found["type"], found["name"], found["properties"]["tab"]) == ("screen", "Home", "1")


@pytest.mark.parametrize("kind", ["session_start", "session_end", "push_registration", "crash_report", "uninstall"])
def test_other_types_are_counted_without_what_only_the_app_needs(kind: str) -> None:
    data = {"registration_token": "secret", "stack_trace": "at ...", "custom_attributes": {"a": "b"}}
    found = map_one(batch(event(kind, **data)))
    assert (found["event"], found["properties"]) == (kind, {"a": "b", "session_id": "s-1"})


def test_attributes_of_the_user_are_traits_and_deleted_ones_are_removed() -> None:
    attributes = {"$age": "17", "plan": "gold", "sizes": ["m", "l"], "tag": None}
    found = map_one(batch(user_attributes=attributes, deleted_user_attributes=["$city", "old", "plan", 1]))
    assert (found["type"], found["userId"], found["timestamp"]) == ("identify", "ana", "2024-05-01T10:00:10Z")
    assert found["traits"] == {"age": "17", "plan": "gold", "sizes": ["m", "l"], "city": None, "old": None}


def test_of_two_ages_none_is_lost() -> None:
    assert map_one(batch(user_attributes={"$age": "15", "age": 30}))["traits"] == {"$age": "15", "age": 30}


@pytest.mark.parametrize(
    ("change", "traits"),
    [
        ({"user_attribute_name": "plan", "new": "gold", "old": None, "deleted": False}, {"plan": "gold"}),
        ({"user_attribute_name": "$age", "new": None, "old": "17", "deleted": True}, {"age": None}),
        ({"user_attribute_name": "plan", "new": "x", "deleted": True}, {"plan": None}),
        ({}, {}),
    ],
)
def test_a_changed_attribute_is_a_trait(change: dict[str, Any], traits: dict[str, Any]) -> None:
    found = map_one(batch(event("user_attribute_change", **change)))
    assert (found["type"], found["traits"], found["timestamp"]) == ("identify", traits, "2024-05-01T10:00:00Z")


def test_a_batch_of_the_events_api_without_events_gives_its_attributes() -> None:
    body = {"environment": "production", "user_identities": {"customer_id": "ana"}, "user_attributes": {"plan": "x"}}
    assert map_one(body)["traits"] == {"plan": "x"}


def test_bulk_bodies_are_arrays_of_batches() -> None:
    other = batch(event("session_start"), user_identities={"customer_id": "bo"})
    assert [one.key for one in map_all([batch(event("session_start")), other]).events] == [b"ana", b"bo"]


def test_a_bad_event_costs_none_of_the_others() -> None:
    mapped = map_all(batch(event("session_start"), 17, {"data": {}}, event("custom_event")))
    assert len(mapped.events) == 1
    assert reasons(mapped) == ["wrong_type", "missing_field", "missing_field"]


def test_bodies_of_other_vendors_with_event_types_are_not_taken_for_mparticle() -> None:
    amplitude = {"api_key": "k", "events": [{"user_id": "u", "event_type": "x", "event_properties": {}}]}
    assert reasons(map_all(amplitude)) == ["unknown_format"]


def test_data_of_an_envelope_that_only_mentions_an_mpid_stays_an_event_of_the_shop() -> None:
    envelope = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "com.shop.wished", "partitionkey": "ana"}
    assert map_one({**envelope, "data": {"mpid": 7, "colour": "red"}})["event"] == "com.shop.wished"


@pytest.mark.parametrize("name", ["checkout", "click"])
def test_general_words_are_not_translated_as_types_of_an_envelope(name: str) -> None:
    envelope = {"specversion": "1.0", "id": "1", "source": "/shop", "type": name, "partitionkey": "ana", "data": {}}
    assert map_one(envelope)["event"] == name


@pytest.mark.parametrize("flag", [True, "true", 1, None, "", "perhaps", [], {}])
def test_an_opt_out_without_a_clear_no_refuses_all_channels(flag: object) -> None:
    found = map_one(batch(event("opt_out", is_opted_out=flag, custom_attributes={"channel": "sms", "status": "yes"})))
    assert found["event"] == "Consent Updated"
    assert found["properties"] == {"status": "withdrawn", "source": "opt_out"}


@pytest.mark.parametrize(
    "given", [{"event_type": "opt_out"}, {"event_type": "opt_out", "data": None}, event("Opt_Out")]
)
def test_an_opt_out_needs_no_data(given: dict[str, Any]) -> None:
    assert map_one(batch(given))["event"] == "Consent Updated"


@pytest.mark.parametrize("flag", [False, "false", 0])
def test_the_end_of_an_opt_out_allows_nothing(flag: object) -> None:
    assert map_one(batch(event("opt_out", is_opted_out=flag)))["event"] == "opt_out"


@pytest.mark.parametrize("timestamp", ["soon", -1, 4102444800000])
def test_no_clock_costs_an_opt_out(timestamp: object) -> None:
    given = batch(event("opt_out", is_opted_out=True, timestamp_unixtime_ms=timestamp))
    assert map_one(given)["timestamp"] == NOW.isoformat().replace("+00:00", "Z")
    state = batch(consent_state={"gdpr": {"ads": {"consented": False}}}, timestamp_unixtime_ms=timestamp)
    assert map_one(state)["timestamp"] == NOW.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("consented", [False, "false", None, 0, "perhaps", []])
def test_a_purpose_without_a_clear_yes_is_refused(consented: object) -> None:
    state = {"gdpr": {"marketing": {"consented": consented, "timestamp_unixtime_ms": 1}, "ads": {"consented": True}}}
    assert refused(batch(event("session_start"), consent_state=state)) == [{"marketing": False}]


@pytest.mark.parametrize(
    ("gdpr", "names"),
    [
        ({"ads": False}, ["ads"]),
        ({"ads": None}, ["ads"]),
        ([{"purpose": "ads", "consented": False}, {"purpose": "b", "consented": True}], ["ads"]),
        ({"ads": {"consented": True}}, []),
        (None, []),
        ("no", []),
    ],
)
def test_a_state_is_read_in_any_shape(gdpr: object, names: list[str]) -> None:
    state = refused(batch(event("session_start"), consent_state={"gdpr": gdpr}))
    assert state == ([dict.fromkeys(names, False)] if names else [])


@pytest.mark.parametrize(
    ("sale", "names"),
    [({"consented": True}, ["ccpa_data_sale"]), ({"consented": "?"}, ["ccpa_data_sale"]), ({"consented": False}, [])],
)
def test_consenting_to_the_opt_out_of_ccpa_is_a_refusal(sale: object, names: list[str]) -> None:
    state = refused(batch(event("session_start"), consent_state={"ccpa": {"data_sale_opt_out": sale}}))
    assert state == ([dict.fromkeys(names, False)] if names else [])


def test_a_state_of_consent_needs_no_event_and_comes_before_all_that_may_not_fit() -> None:
    state = {"gdpr": {"marketing": {"consented": False}}}
    assert refused(batch(consent_state=state)) == [{"marketing": False}]
    first = map_all(batch(*[event("session_start")] * 4_000, consent_state=state, user_attributes={"a": 1})).events[0]
    assert json.loads(first.value)["context"]["consent"] == {"categoryPreferences": {"marketing": False}}


def test_a_refused_purpose_is_mapped_by_the_playbook_and_a_granted_one_allows_nothing() -> None:
    state = {"gdpr": {"marketing": {"consented": False}, "ads": {"consented": True}}}
    rules = Rules(categories={"marketing": ("email:marketing",), "ads": ("push:marketing",)})
    (carrier,) = map_all(batch(consent_state=state)).events
    changes = from_event(codec.decode_event(carrier.value), 1.0, (), rules)
    assert [(change.key, change.granted) for change in changes] == [("email:marketing", False)]


def test_a_custom_event_may_say_what_a_customer_allows() -> None:
    said = {"channel": "email", "status": "granted", "source": "checkout"}
    found = track(batch(event("custom_event", event_name="consent_updated", custom_attributes=said)))
    assert (found.event, found.properties.channel, found.properties.status) == ("Consent Updated", "email", "granted")


def test_a_batch_may_arrive_in_an_envelope() -> None:
    envelope = {"specversion": "1.0", "id": "1", "source": "/mparticle", "type": "x", "data": batch(event("opt_out"))}
    assert map_one(envelope)["event"] == "Consent Updated"
