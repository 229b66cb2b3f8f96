"""Maps Snowplow enriched events, as JSON of the Analytics SDK or as tab-separated text, with the e-commerce schemas.

Sources: the canonical event model; Iglu Central `com.snowplowanalytics.snowplow.ecommerce` (snowplow_ecommerce_action,
product, cart, transaction, refund, checkout_step, user); the older tr_* and ti_* columns.
"""

from __future__ import annotations

import re
from datetime import timedelta

import msgspec

from schemas.events import (
    CHECKOUT_STARTED,
    CONSENT_UPDATED,
    ORDER_COMPLETED,
    ORDER_REFUNDED,
    PRODUCT_ADDED,
    PRODUCT_REMOVED,
    PRODUCT_VIEWED,
    PRODUCTS_SEARCHED,
)
from schemas.values import (
    Json,
    absent,
    boolean,
    drop_none,
    first,
    first_person,
    instant,
    integer,
    obj,
    person,
    rows,
    setting,
    text,
)
from workers.core.intake.canonical.batches import Batch
from workers.core.intake.canonical.event_names import canonical_name
from workers.core.intake.canonical.finish import EARLIEST
from workers.core.intake.canonical.rejections import reject
from workers.core.intake.formats.snowplow_columns import COLUMNS, JSON_COLUMNS

NAMES = {
    "product_view": PRODUCT_VIEWED,
    "add_to_cart": PRODUCT_ADDED,
    "remove_from_cart": PRODUCT_REMOVED,
    "transaction": ORDER_COMPLETED,
    "refund": ORDER_REFUNDED,
    "list_view": "Product List Viewed",
    "list_click": "Product Clicked",
    "promo_view": "Promotion Viewed",
    "promo_click": "Promotion Clicked",
    "site_search": PRODUCTS_SEARCHED,
}
_PAGES = {"page_view": "page", "screen_view": "screen"}
_ACTION = "snowplow_ecommerce_action"
_WITHDRAWN = "consent_withdrawn"
_ECOMMERCE = "com_snowplowanalytics_snowplow_ecommerce_"
_SESSION = "com_snowplowanalytics_snowplow_client_session"
_VERSION = re.compile(r"_\d+$")
_IGLU = re.compile(r"iglu:([^/]+)/([^/]+)/")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def split(raw: Json) -> Batch | None:
    """Returns None: Snowplow sends one event per record."""
    del raw
    return None


def from_tsv(value: bytes) -> Json:
    """Returns the columns that are not empty. Raises InvalidEvent if there are too few columns or a JSON column is malformed."""
    try:
        cells = value.decode().rstrip("\r\n").split("\t")
    except UnicodeDecodeError as error:
        raise reject("broken_encoding", f"byte {error.start} is not valid UTF-8") from error
    if len(cells) < len(COLUMNS):
        raise reject("wrong_type", f"{len(cells)} columns, an enriched event has {len(COLUMNS)}")
    found: Json = {name: cell for name, cell in zip(COLUMNS, cells, strict=False) if cell}
    for name in JSON_COLUMNS & found.keys():
        try:
            found[name] = msgspec.json.decode(str(found[name]))
        except (msgspec.DecodeError, RecursionError) as error:
            raise reject("broken_json", f"column {name} is not valid JSON") from error
    return found


def draft(raw: Json) -> Json:
    """Maps one enriched event of either form."""
    data, entities = _self_describing(raw)
    name, properties = _content(raw, data, entities)
    kind = _PAGES.get(text(raw.get("event_name")) or text(raw.get("event")) or "", "track")
    session = next(iter(entities.get(_SESSION, [])), {})
    user = next(iter(entities.get(_ECOMMERCE + "user", [])), {})
    if absent(properties.get("session_id")):
        properties["session_id"] = first(raw, "domain_sessionid") or first(session, "sessionId")
    return drop_none(
        {
            "type": kind,
            "event": name if kind == "track" else None,
            "name": raw.get("page_title") if kind == "page" else data.get("name") if kind == "screen" else None,
            "messageId": raw.get("event_id"),
            "userId": first_person(raw, "user_id") or (None if boolean(user.get("is_guest")) else user.get("id")),
            "anonymousId": _device(raw, session),
            "timestamp": _time(raw),
            "sentAt": raw.get("dvce_sent_tstamp"),
            "properties": properties,
            "context": drop_none(
                {
                    "locale": raw.get("br_lang"),
                    "timezone": setting(raw.get("os_timezone")) or setting(raw.get("geo_timezone")),
                    "campaign": {
                        field: raw.get(f"mkt_{field if field != 'name' else 'campaign'}")
                        for field in ("name", "source", "medium", "term", "content")
                    },
                }
            ),
        }
    )


#: Timestamps, most reliable first; `derived_tstamp` is the tracker's time, corrected for its clock error.
_TIMES = ("true_tstamp", "derived_tstamp", "dvce_created_tstamp", "collector_tstamp")
_AHEAD = timedelta(days=1)


def _time(raw: Json) -> object | None:
    """Returns the most reliable plausible time: an event from a device set to the year 10013 gets the collector's time."""
    collected = instant(raw.get("collector_tstamp"))
    for value in map(raw.get, _TIMES):
        moment = instant(value)
        if moment is not None and moment >= EARLIEST and (collected is None or moment - collected <= _AHEAD):
            return value
    return first(raw, *_TIMES)


def _device(raw: Json, session: Json) -> object | None:
    for value in (raw.get("domain_userid"), session.get("userId"), raw.get("network_userid")):
        if person(value) is not None:
            return value
    return None


def _content(raw: Json, data: Json, entities: dict[str, list[Json]]) -> tuple[str | None, Json]:
    """Returns (event name, properties)."""
    name = text(raw.get("event_name")) or text(raw.get("event"))
    if name == _ACTION:
        return _ecommerce(data, entities)
    if raw.get("event") == "struct":
        fields = ("category", "action", "label", "property", "value")
        action = text(raw.get("se_action"))
        return canonical_name(action) if action else None, drop_none(
            {field: raw.get(f"se_{field}") for field in fields}
        )
    if raw.get("event") == "transaction":
        return ORDER_COMPLETED, drop_none(
            {
                "order_id": raw.get("tr_orderid"),
                "affiliation": raw.get("tr_affiliation"),
                "revenue": raw.get("tr_total"),
                "tax": raw.get("tr_tax"),
                "shipping": raw.get("tr_shipping"),
                "currency": raw.get("tr_currency"),
            }
        )
    if raw.get("event") == "transaction_item":  # its order is a separate event
        names = {"ti_orderid": "order_id", "ti_sku": "product_id", "ti_name": "name", "ti_category": "category"}
        names |= {"ti_price": "price", "ti_quantity": "quantity", "ti_currency": "currency"}
        return "transaction_item", {target: raw[source] for source, target in names.items() if source in raw}
    if name == "site_search":
        terms = data.get("terms")
        query = " ".join(filter(None, map(text, terms))) if isinstance(terms, list) else text(terms)
        return PRODUCTS_SEARCHED, drop_none({**data, "query": query})
    page = {"url": raw.get("page_url"), "title": raw.get("page_title"), "referrer": raw.get("page_referrer")}
    if name in _PAGES:
        return None, drop_none({**page, "path": raw.get("page_urlpath"), **data})
    if name == _WITHDRAWN:  # for everything, or for the listed documents: a refusal without a channel refuses all
        return CONSENT_UPDATED, {**data, "status": "withdrawn"}
    return canonical_name(name) if name else None, dict(data)


def _ecommerce(data: Json, entities: dict[str, list[Json]]) -> tuple[str | None, Json]:
    action = text(data.get("type"))

    def entity(name: str) -> Json:
        return next(iter(entities.get(_ECOMMERCE + name, [])), {})

    cart, order, refund, step = entity("cart"), entity("transaction"), entity("refund"), entity("checkout_step")
    found: Json = {
        "list_name": data.get("name"),
        "cart_id": cart.get("cart_id"),
        "order_id": first(order, "transaction_id") or first(refund, "transaction_id"),
        "revenue": order.get("revenue"),
        "tax": order.get("tax"),
        "shipping": order.get("shipping"),
        "coupon": first(order, "discount_code") or first(step, "coupon_code"),
        "discount": order.get("discount_amount"),
        "payment_method": first(order, "payment_method") or first(step, "payment_method"),
        "total": cart.get("total_value") if absent(refund.get("refund_amount")) else refund["refund_amount"],
        "reason": refund.get("refund_reason"),
        "step": step.get("step"),
        "shipping_method": step.get("delivery_method"),
    }
    lines = [{**line, "product_id": line.get("id")} for line in entities.get(_ECOMMERCE + "product", [])]
    if _ECOMMERCE + "product" in entities:
        found["products"] = lines
    currencies = (first(source, "currency") for source in (order, refund, cart, *lines))
    found["currency"] = next(filter(None, currencies), None)
    if action == "checkout_step":
        begins = integer(step.get("step")) in (None, 1)
        return CHECKOUT_STARTED if begins else "Checkout Step Completed", drop_none(found)
    return NAMES.get(action or "", action), drop_none(found)


def _self_describing(raw: Json) -> tuple[Json, dict[str, list[Json]]]:
    """Returns (event data, entities by `vendor_name`), from the columns of the text or the keys of the JSON form."""
    data: Json = {}
    entities: dict[str, list[Json]] = {}
    for key, value in raw.items():
        if key in ("contexts", "derived_contexts"):
            for entity in rows(obj(value).get("data")):
                entities.setdefault(_iglu_name(entity), []).append(obj(entity.get("data")))
        elif key.startswith("contexts_"):
            entities.setdefault(_VERSION.sub("", key.removeprefix("contexts_")), []).extend(rows(value))
        elif key == "unstruct_event":
            data = obj(obj(obj(value).get("data")).get("data"))
        elif key.startswith("unstruct_event_"):
            data = obj(value)
    return data, entities


def _iglu_name(entity: Json) -> str:
    """Returns a schema's name as the SDK writes it: `iglu:com.acme/cartItem/jsonschema/1-0-0` is `com_acme_cart_item`."""
    found = _IGLU.match(text(entity.get("schema")) or "")
    if found is None:
        return ""
    vendor, name = found.groups()
    return f"{vendor.replace('.', '_')}_{_CAMEL.sub('_', name).lower()}".replace("-", "_")
