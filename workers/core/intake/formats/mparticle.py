"""Maps batches of mParticle: bodies of its Events API, and the JSON of its outputs (webhooks, Kinesis, Pub/Sub, Event Hubs).

Source: mParticle, "JSON Reference". A batch has one user. Outputs write `user_identities` as an array of objects, the Events API
as one object. The user's refusals and attributes, which every batch repeats, become events of their own.
"""

from __future__ import annotations

from schemas.events import (
    CART_VIEWED,
    CHECKOUT_STARTED,
    CONSENT_UPDATED,
    ORDER_COMPLETED,
    ORDER_REFUNDED,
    PRODUCT_ADDED,
    PRODUCT_REMOVED,
    PRODUCT_VIEWED,
)
from schemas.names import normal
from schemas.values import (
    Json,
    absent,
    boolean,
    drop_none,
    first,
    first_person,
    identifier,
    integer,
    is_affirmative,
    obj,
    person,
    rows,
    setting,
    text,
)
from workers.core.intake.canonical.batches import Batch
from workers.core.intake.canonical.event_names import canonical_name

NAMES = {
    "view_detail": PRODUCT_VIEWED,
    "add_to_cart": PRODUCT_ADDED,
    "remove_from_cart": PRODUCT_REMOVED,
    "checkout_option": "Checkout Step Completed",
    "purchase": ORDER_COMPLETED,
    "refund": ORDER_REFUNDED,
    "add_to_wishlist": "Product Added to Wishlist",
    "remove_from_wishlist": "Product Removed from Wishlist",
    "remove_from_wish_list": "Product Removed from Wishlist",
}
#: Includes names that are too general to be translated as the type of a CloudEvents envelope.
_ACTIONS = NAMES | {"checkout": CHECKOUT_STARTED, "click": "Product Clicked"}
_PROMOTIONS = {"view": "Promotion Viewed", "click": "Promotion Clicked"}
_ACTION_FIELDS = {
    "transaction_id": "order_id",
    "affiliation": "affiliation",
    "total_amount": "total",
    "tax_amount": "tax",
    "shipping_amount": "shipping",
    "coupon_code": "coupon",
    "checkout_step": "step",
    "checkout_options": "payment_method",
    "product_action_list": "list_name",
}
_PRODUCT = {"id": "product_id", "coupon_code": "coupon"}
_SALE = "data_sale_opt_out"
#: The consent category that stands for CCPA's sale of data.
CCPA_CATEGORY = "ccpa_data_sale"
_TIME = "timestamp_unixtime_ms"


def split(raw: Json) -> Batch:
    """Returns the events of a batch. The user's refusals are the first one: they must not exceed the limits of a record."""
    given = raw.get("events")
    events = given if isinstance(given, list) else list(rows(given))
    last = next((data for event in reversed(events) if _TIME in (data := obj(obj(event).get("data")))), {})
    shared = drop_none(
        {
            "userId": _customer_id(raw.get("user_identities")),
            "anonymousId": first_person(raw, "mpid", "mp_deviceid"),
            "timestamp": first(raw, _TIME) or first(last, _TIME),
            "context": _context(raw),
        }
    )
    calls: list[object] = []
    if refused := _refused(obj(raw.get("consent_state"))):
        calls.append({"consent": {"categoryPreferences": dict.fromkeys(refused, False)}})
    if traits := _traits(obj(raw.get("user_attributes")), raw.get("deleted_user_attributes")):
        calls.append({"traits": traits})
    calls.extend({"event": event} if isinstance(event, dict) else event for event in events)
    return Batch(calls, shared, lambda call: {"batch": shared, **call})


def draft(raw: Json) -> Json:
    """Maps one event, the refusals or the attributes of a batch, as `split` returns them."""
    shared = obj(raw.get("batch"))
    if "consent" in raw:
        return {**shared, "type": "identify", "context": {"consent": raw["consent"]}}
    if "traits" in raw:
        return {**shared, "type": "identify", "traits": raw["traits"]}
    event = obj(raw.get("event"))
    data = obj(event.get("data"))
    own = drop_none({"messageId": _message_id(data) or _message_id(event), "timestamp": first(data, _TIME)})
    return {**shared, **own, **drop_none(_content((text(event.get("event_type")) or "").lower(), data))}


def _content(kind: str, data: Json) -> dict[str, object | None]:
    """Returns the fields that depend on the type of an event."""
    properties = dict(obj(data.get("custom_attributes")))
    if absent(properties.get("session_id")) and (session := first(data, "session_uuid", "session_id")) is not None:
        properties["session_id"] = session
    name: str | None = kind
    match kind:
        case "opt_out" if boolean(data.get("is_opted_out")) is not False:
            return {"type": "track", "event": CONSENT_UPDATED, "properties": {"status": "withdrawn", "source": kind}}
        case "user_attribute_change":
            attribute = text(data.get("user_attribute_name"))
            value = None if boolean(data.get("deleted")) else data.get("new")
            return {"type": "identify", "traits": {attribute.removeprefix("$"): value} if attribute else {}}
        case "screen_view":
            return {"type": "screen", "name": data.get("screen_name"), "properties": properties}
        case "commerce_event":
            name, fields = _commerce(data)
            properties.update(fields)
        case "custom_event":
            name = text(data.get("event_name"))
    return {"type": "track", "event": canonical_name(name) if name else None, "properties": properties}


def _commerce(data: Json) -> tuple[str, Json]:
    """Returns (event name, properties) of an event about products or promotions."""
    action, promotion = obj(data.get("product_action")), obj(data.get("promotion_action"))
    impressions, cart = rows(data.get("product_impressions")), obj(data.get("shopping_cart"))
    found = {_ACTION_FIELDS[name]: value for name, value in action.items() if name in _ACTION_FIELDS}
    found["currency"] = data.get("currency_code")
    listed: object = None
    if action:
        name = (text(action.get("action")) or "").lower()
        event, listed = _ACTIONS.get(name) or name or "product_action", action.get("products")
        if event == CHECKOUT_STARTED and (integer(action.get("checkout_step")) or 0) > 1:
            event = NAMES["checkout_option"]
    elif promotion:
        event = _PROMOTIONS.get((text(promotion.get("action")) or "").lower(), "promotion_action")
        found["promotions"] = promotion.get("promotions")
    elif impressions:
        event, listed = "Product List Viewed", [line for one in impressions for line in rows(one.get("products"))]
    else:
        event, listed = CART_VIEWED if cart else "commerce_event", cart.get("products")
    if (lines := rows(listed)) or listed == []:
        found["products"] = [_product(line) for line in lines]
    return event, {name: value for name, value in found.items() if not absent(value)}


def _product(line: Json) -> Json:
    own = {_PRODUCT.get(name, name): value for name, value in line.items() if not absent(value)}
    return {**obj(own.pop("custom_attributes", None)), **own}


def _message_id(source: Json) -> object | None:
    """Returns an event's ID; 0 is a number that was never set."""
    ids = (source.get(name) for name in ("event_id", "source_message_id", "message_id"))
    return next((value for value in ids if identifier(value) not in (None, "0")), None)


def _customer_id(identities: object) -> object | None:
    for name, found in _pairs(identities, "identity_type"):
        value = _value(found, "identity")
        if normal(name) == "customerid" and person(value) is not None:
            return value
    return None


def _refused(state: Json) -> list[str]:
    """Returns the purposes that are refused: anything but a clear yes is a no. CCPA's `consented` agrees to an opt-out."""
    gdpr, ccpa = _pairs(state.get("gdpr"), "purpose"), obj(state.get("ccpa"))
    refused = [name for name, choice in gdpr if not is_affirmative(_value(choice, "consented"))]
    if _SALE in ccpa and boolean(_value(ccpa[_SALE], "consented")) is not False:
        refused.append(CCPA_CATEGORY)
    return refused


def _pairs(given: object, name: str) -> list[tuple[str, object]]:
    """Returns the entries of an object, or the objects of an array by their field `name`."""
    if isinstance(given, list):
        return [(found, row) for row in rows(given) if (found := text(row.get(name)))]
    return list(obj(given).items())


def _value(entry: object, name: str) -> object:
    return obj(entry).get(name) if isinstance(entry, dict) else entry


def _traits(attributes: Json, deleted: object) -> Json:
    """Returns the user's attributes; `$age` is the reserved spelling of `age`. A tag (null) has no value."""
    traits: Json = {}
    for name, value in attributes.items():
        plain = name.removeprefix("$")
        if value is not None:
            traits[name if plain in attributes else plain] = value
    for name in deleted if isinstance(deleted, list) else ():
        if isinstance(name, str) and name:
            traits.setdefault(name.removeprefix("$"), None)
    return traits


def _context(raw: Json) -> Json | None:
    device, attribution = obj(raw.get("device_info")), obj(raw.get("attribution_info"))
    language, country = setting(device.get("locale_language")), setting(device.get("locale_country"))
    campaign = drop_none({"name": attribution.get("campaign"), "source": attribution.get("publisher")})
    locale = f"{language}-{country}" if language and country and language.isalpha() else language
    return drop_none({"locale": locale, "campaign": campaign or None}) or None
