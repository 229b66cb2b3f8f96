"""Maps Braze's recommended `ecommerce.*` events, custom events, purchases and attributes (`/users/track`, Currents).

Source: Braze, "eCommerce recommended events", "Event object" and "Currents event glossary". The meaning of
`ecommerce.cart_updated` depends on `action`: `add`, `remove`, or (without it) the current cart: a Cart Viewed with its lines.
"""

from __future__ import annotations

import msgspec

from schemas.events import (
    CART_VIEWED,
    CHECKOUT_STARTED,
    ORDER_CANCELLED,
    ORDER_COMPLETED,
    ORDER_REFUNDED,
    PRODUCT_ADDED,
    PRODUCT_REMOVED,
    PRODUCT_VIEWED,
)
from schemas.values import Json, absent, drop_none, first_person, number, obj, rows, text
from workers.core.intake.canonical.batches import Batch
from workers.core.intake.canonical.event_names import canonical_name

NAMES = {
    "ecommerce.product_viewed": PRODUCT_VIEWED,
    "ecommerce.cart_updated": CART_VIEWED,
    "ecommerce.checkout_started": CHECKOUT_STARTED,
    "ecommerce.order_placed": ORDER_COMPLETED,
    "ecommerce.order_refunded": ORDER_REFUNDED,
    "ecommerce.order_cancelled": ORDER_CANCELLED,
}
_CART_ACTIONS = {"add": PRODUCT_ADDED, "remove": PRODUCT_REMOVED}
_PRODUCT = {"product_name": "name", "variant_id": "variant", "product_url": "url"}
_TOTALS = {"total_value": "total", "total_discounts": "discount", "subtotal_value": "subtotal"}
_ENVELOPE = frozenset(
    {
        "external_id",
        "external_user_id",
        "braze_id",
        "user_alias",
        "device_id",
        "app_id",
        "id",
        "user_id",
        "_update_existing_only",
    }
)
_KIND = "_kind"  # the array of the body that an object came from


def split(raw: Json) -> Batch | None:
    """Returns the objects of a `/users/track` body; None if `raw` is a single event."""
    items: list[object] | None = None
    for name in ("attributes", "events", "purchases"):
        if isinstance(array := raw.get(name), list):
            items = items or []
            items.extend({**obj(item), _KIND: name} if isinstance(item, dict) else item for item in array)
    return None if items is None else Batch(items, {}, lambda item: item)  # the objects share no fields


def draft(raw: Json) -> Json:
    """Maps one event, purchase or set of attributes."""
    common: Json = {
        "messageId": raw.get("id"),
        "userId": first_person(raw, "external_id", "external_user_id"),
        "anonymousId": _anonymous(raw),
        "timestamp": raw.get("time"),
    }
    if raw.get(_KIND) == "attributes":
        traits = {name: value for name, value in raw.items() if name not in _ENVELOPE and name != _KIND}
        return drop_none({**common, "timestamp": None, "type": "identify", "traits": traits})
    if raw.get(_KIND) == "purchases":
        return drop_none({**common, "type": "track", "event": ORDER_COMPLETED, "properties": _purchase(raw)})
    name = text(raw.get("name"))
    properties = _properties(raw.get("properties"))
    event = NAMES.get(name or "") or (canonical_name(name) if name else None)
    if event == CART_VIEWED:
        event = _CART_ACTIONS.get(str(properties.pop("action", "")).lower(), CART_VIEWED)
    if name in NAMES:
        properties = _ecommerce(event, properties)
    return drop_none({**common, "type": "track", "event": event, "properties": properties})


def _anonymous(raw: Json) -> object | None:
    alias = obj(raw.get("user_alias"))
    label, name = text(alias.get("alias_label")), text(alias.get("alias_name"))
    return (
        first_person(raw, "braze_id", "user_id")
        or (f"{label}:{name}" if label and name else None)
        or first_person(raw, "device_id")
    )


def _properties(value: object) -> Json:
    """Returns the properties, which Currents writes as JSON text."""
    if isinstance(value, str):
        try:
            return obj(msgspec.json.decode(value))
        except (msgspec.DecodeError, RecursionError):
            return {}
    return dict(obj(value))


def _ecommerce(event: str | None, properties: Json) -> Json:
    given = properties.pop("products", None)
    lines = [_product(line) for line in rows(given)]
    mapped = _product(properties) if event == PRODUCT_VIEWED else {_TOTALS.get(k, k): v for k, v in properties.items()}
    if lines or given == []:
        mapped["products"] = lines
    if event == ORDER_COMPLETED and absent(mapped.get("revenue")):  # Segment's revenue excludes tax and shipping
        has_subtotal = number(mapped.get("subtotal")) is not None
        mapped["revenue"] = mapped.get("subtotal" if has_subtotal else "total")
    return mapped


def _product(line: Json) -> Json:
    mapped: Json = {_PRODUCT.get(name, name): value for name, value in line.items()}
    extra = obj(line.get("metadata"))
    for name in ("sku", "brand", "category"):
        if name in extra and absent(mapped.get(name)):
            mapped[name] = extra[name]
    return mapped


def _purchase(raw: Json) -> Json:
    """Maps the older purchase object: one product, without an order ID."""
    properties = _properties(raw.get("properties"))
    line = {name: raw[name] for name in ("product_id", "price", "quantity") if name in raw}
    pieces, unit_price = number(raw.get("quantity")), number(raw.get("price"))
    revenue = None if unit_price is None else unit_price * (1 if pieces is None else pieces)
    return {**properties, **drop_none({"currency": raw.get("currency"), "revenue": revenue}), "products": [line]}
