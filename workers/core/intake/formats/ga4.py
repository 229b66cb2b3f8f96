"""Maps Google Analytics 4 events: rows of the BigQuery export, and bodies of the Measurement Protocol.

Source: Google, "GA4 BigQuery Export schema" and "Measurement Protocol reference". Times are in microseconds. The export has no
event ID: it is built from the batch fields, or otherwise from the record's bytes.
"""

from __future__ import annotations

from schemas.events import (
    CART_VIEWED,
    CHECKOUT_STARTED,
    ORDER_COMPLETED,
    ORDER_REFUNDED,
    PRODUCT_ADDED,
    PRODUCT_REMOVED,
    PRODUCT_VIEWED,
    PRODUCTS_SEARCHED,
)
from schemas.values import Json, absent, drop_none, first, first_person, obj, rows, setting, text
from workers.core.intake.canonical.batches import Batch
from workers.core.intake.canonical.event_names import canonical_name
from workers.core.intake.canonical.finish import digest

NAMES = {
    "view_item": PRODUCT_VIEWED,
    "add_to_cart": PRODUCT_ADDED,
    "remove_from_cart": PRODUCT_REMOVED,
    "view_cart": CART_VIEWED,
    "begin_checkout": CHECKOUT_STARTED,
    "add_shipping_info": "Checkout Step Completed",
    "add_payment_info": "Payment Info Entered",
    "purchase": ORDER_COMPLETED,
    "ecommerce_purchase": ORDER_COMPLETED,
    "refund": ORDER_REFUNDED,
    "search": PRODUCTS_SEARCHED,
    "view_search_results": PRODUCTS_SEARCHED,
    "view_item_list": "Product List Viewed",
    "select_item": "Product Clicked",
    "add_to_wishlist": "Product Added to Wishlist",
    "view_promotion": "Promotion Viewed",
    "select_promotion": "Promotion Clicked",
    "login": "Signed In",
    "sign_up": "Signed Up",
}
_PAGES = {"page_view": "page", "screen_view": "screen"}
_PARAMS = {
    "transaction_id": "order_id",
    "search_term": "query",
    "ga_session_id": "session_id",
    "page_location": "url",
    "page_title": "title",
    "page_referrer": "referrer",
}
_ITEM = {
    "item_id": "product_id",
    "item_name": "name",
    "item_brand": "brand",
    "item_category": "category",
    "item_variant": "variant",
    "index": "position",
}
#: Values that the export writes for unset fields.
_UNSET = frozenset({"(not set)", "(none)", "(not provided)"})
_ORDER_FIELDS = {
    "purchase_revenue": "revenue",
    "shipping_value": "shipping",
    "tax_value": "tax",
    "transaction_id": "order_id",
}
_CAMPAIGN = {
    "manual_campaign_name": "name",
    "manual_source": "source",
    "manual_medium": "medium",
    "manual_term": "term",
    "manual_content": "content",
}
_MP_CAMPAIGN = {"campaign": "name", "source": "source", "medium": "medium", "term": "term", "content": "content"}


def split(raw: Json) -> Batch | None:
    """Returns the events of a Measurement Protocol body, each with its sender; None if `raw` is a single event."""
    events = raw.get("events")
    if not isinstance(events, list):
        return None
    shared: Json = {name: value for name, value in raw.items() if name != "events"}
    return Batch(events, shared, lambda event: {**shared, **_present(event)})


def _present(event: Json) -> Json:
    """Drops null and blank fields, so that the values that the body sets for all of its events apply."""
    return {name: value for name, value in event.items() if not absent(value)}


def draft(raw: Json) -> Json:
    """Maps one event of either kind."""
    exported = "event_name" in raw
    name = text(raw.get("event_name") if exported else raw.get("name"))
    params = _keyed(raw.get("event_params")) if exported else obj(raw.get("params"))
    device = obj(raw.get("device"))
    return drop_none(
        {
            "type": _PAGES.get(name or "", "track"),
            "event": NAMES.get(name or "") or (canonical_name(name) if name else None),
            "name": _page_name(name, params),
            "messageId": _message_id(raw),
            "userId": raw.get("user_id"),
            "anonymousId": first_person(raw, "user_pseudo_id", "client_id", "app_instance_id"),
            "timestamp": raw.get("event_timestamp") if exported else raw.get("timestamp_micros"),
            "properties": _properties(name, params, raw),
            "context": drop_none(
                {
                    "locale": setting(device.get("language")) or setting(params.get("language")),
                    "campaign": _campaign(raw, params),
                    "traits": _user_properties(raw.get("user_properties")) or None,
                }
            ),
        }
    )


def _page_name(name: str | None, params: Json) -> object | None:
    return params.get("page_title" if name == "page_view" else "screen_name") if name in _PAGES else None


def _message_id(raw: Json) -> str | None:
    """Returns an ID built from the batch fields of a web stream, which identify one event; app streams have none."""
    fields = ("event_bundle_sequence_id", "batch_page_id", "batch_ordering_id", "batch_event_index")
    if any(raw.get(field) is None for field in fields):
        return None
    identifying = ("user_pseudo_id", "stream_id", "event_timestamp", "event_name", *fields)
    return digest(b"ga4", *(str(raw.get(field)).encode("utf-8", "surrogatepass") for field in identifying))


def _properties(name: str | None, params: Json, raw: Json) -> Json:
    found: Json = {_PARAMS.get(key, key): value for key, value in params.items() if key != "items" and _is_set(value)}
    ecommerce = obj(raw.get("ecommerce"))
    for source, target in _ORDER_FIELDS.items():
        value = ecommerce.get(source)
        if _is_set(value) and (target == "order_id" or name in ("purchase", "refund")):
            found[target] = value
    if NAMES.get(name or "") == ORDER_COMPLETED:
        found.setdefault("revenue", params.get("value"))
    elif name == "refund":
        amount = first(ecommerce, "refund_value")
        found.setdefault("total", params.get("value") if amount is None else amount)
    items = params.get("items") if raw.get("items") is None else raw["items"]
    lines = rows(items)
    if lines or (items == [] and _is_item_event(name, raw)):
        found["products"] = [_product(line) for line in lines]
    return found


def _is_item_event(name: str | None, raw: Json) -> bool:
    """Returns whether an empty list means "no items": the export writes `items: []` in every row, even for other events."""
    return "event_name" not in raw or NAMES.get(name or "") in (CART_VIEWED, CHECKOUT_STARTED)


def _is_set(value: object) -> bool:
    return not absent(value) and not (isinstance(value, str) and value.strip() in _UNSET)


def _product(line: Json) -> Json:
    return {_ITEM.get(key, key): value for key, value in line.items() if _is_set(value)}


def _keyed(value: object) -> Json:
    """Returns `[{key, value: {string_value | int_value | float_value | double_value}}]` as an object."""
    found: Json = {}
    for row in rows(value):
        key = row.get("key")
        if isinstance(key, str):
            typed = obj(row.get("value")).values()
            found[key] = next((option for option in typed if not absent(option)), None)
    return found


def _user_properties(value: object) -> Json:
    if isinstance(value, list):  # the export keys them like the parameters
        return {
            key: option
            for row in rows(value)
            if isinstance(key := row.get("key"), str)
            for name, option in obj(row.get("value")).items()
            if option is not None and name != "set_timestamp_micros"
        }
    return {key: obj(option).get("value") for key, option in obj(value).items() if isinstance(option, dict)}


def _campaign(raw: Json, params: Json) -> Json | None:
    collected = obj(raw.get("collected_traffic_source"))
    names, source = (_CAMPAIGN, collected) if collected else (_MP_CAMPAIGN, params)
    return {target: source[name] for name, target in names.items() if source.get(name) is not None} or None
