"""Profiles after records of shops: carts, orders, consent, and whether a customer is a minor."""

# ruff: noqa: E501 # a table: one row a line
from __future__ import annotations

from typing import Any

from tests.field.case import Case, profiled
from tests.field.shops import braze, envelope, exported, ga4, snowplow


def does(event: str, **properties: Any) -> dict[str, Any]:
    """Returns an event of ana."""
    return {"type": "track", "event": event, "properties": properties}


def adds(**properties: Any) -> dict[str, Any]:
    """Returns an event that adds a band to ana's cart."""
    return does("Product Added", **{"product_id": "band", "cart_id": "c", "price": 10, "currency": "EUR"} | properties)


def buys(**properties: Any) -> dict[str, Any]:
    """Returns an order of ana for ten euros."""
    return does("Order Completed", **{"order_id": "o-1", "revenue": 10, "currency": "EUR"} | properties)


def says(**properties: Any) -> dict[str, Any]:
    """Returns a consent statement of ana."""
    return does("Consent Updated", **properties)


def has(**traits: Any) -> dict[str, Any]:
    """Returns an event with traits of ana."""
    return {"type": "identify", "traits": traits}


YES = says(channel="push", status="granted")
ALLOWED, REFUSED = {"consent.push:marketing": True}, {"consent.push:marketing": False}


def row(slug: str, source: str, *given: dict[str, Any], right: dict[str, Any]) -> Case:
    return Case(slug, source, profiled, list(given), right)


EMPTY, FULL = {"carts.c": None}, {"carts.c.band": 1}
CARTS = [
    row("cart-emptied", "AlexanderProd/gatsby-shopify-starter#17", adds(), does("Cart Viewed", cart_id="c", products=[]), right=EMPTY),
    row("cart-not-told", "reactioncommerce/reaction#2816", adds(), does("Cart Viewed", cart_id="c"), right=FULL),
    row("cart-of-unreadable-lines", "rudderlabs/rudder-transformer#1130", adds(), does("Cart Viewed", cart_id="c", products=[{"name": "?"}]), right=FULL),
    row("checkout-emptied", "spec: Segment, Checkout Started", adds(), does("Checkout Started", cart_id="c", products=[]), right=EMPTY),
    row("cart-emptied-by-ga4", "spec: GA4 Measurement Protocol", does("Product Added", product_id="band"), ga4("view_cart", {"items": []}, user_id="ana", timestamp_micros=1714565000000000), right={"carts.cart": None}),
    row("cart-emptied-in-an-export", "spec: GA4 BigQuery Export", does("Product Added", product_id="band"), exported("view_cart", user_id="ana", items=[], event_timestamp=1714565000000000), right={"carts.cart": None}),
    row("cart-emptied-by-braze", "spec: Braze, ecommerce.cart_updated", adds(), braze("ecommerce.cart_updated", time="2024-05-01T12:30:00Z", properties={"cart_id": "c", "products": []}), right=EMPTY),
    row("line-set-to-zero", "duncanmcclean/simple-commerce#375", adds(), does("Cart Viewed", cart_id="c", products=[{"product_id": "band", "quantity": 0}]), right=EMPTY),
    row("line-below-zero", "st-tu-dresden/salespoint#365", adds(), does("Cart Viewed", cart_id="c", products=[{"product_id": "band", "quantity": -2}]), right=EMPTY),
    row("nothing-added", "cezerin/cezerin#196", adds(quantity="0"), right=EMPTY),
    row("less-than-nothing-added", "Crinsane/LaravelShoppingcart#30", adds(), adds(quantity=-1), right=FULL),
    row("last-one-removed", "notrab/react-use-cart#26", adds(), does("Product Removed", product_id="band", cart_id="c", quantity=0), right=EMPTY),
    row("removed-by-a-negative", "woocommerce/woocommerce-google-analytics-integration#608", adds(quantity=3), does("Product Removed", product_id="band", cart_id="c", quantity=-3), right=EMPTY),
    row("bought-in-lower-case", "rudderlabs/rudder-transformer#5251", adds(), does("order_completed", order_id="o", cart_id="c"), right={**EMPTY, "orders": 1}),
]  # fmt: skip

ONCE = {"orders": 1, "revenue.EUR": 10.0}
ORDERS = [
    row("thank-you-again", "awesto/django-shop#148", buys(), buys(), buys(), right=ONCE),
    row("as-often-as-loaded", "muvatech/Shopping-Cart-Using-Django-2.0-and-Python-3.6#9", *[buys() for _ in range(5)], right=ONCE),
    row("told-by-two-trackers", "PrestaShop/ganalytics#39", buys(), ga4("purchase", {"transaction_id": "o-1", "value": 10, "currency": "EUR"}, user_id="ana"), right=ONCE),
    row("the-next-day", "facebook/facebook-for-woocommerce#4047", buys(), {**buys(), "timestamp": "2024-05-02T10:00:00Z"}, right=ONCE),
    row("whole-and-with-decimals", "elgentos/magento2-serversideanalytics#5", buys(order_id=1001), buys(order_id="1001", revenue="10.0000"), right=ONCE),
    row("another-cart-since", "woocommerce/woocommerce-google-analytics-integration#120", adds(), buys(cart_id="c"), adds(), buys(cart_id="c"), right={**ONCE, **FULL}),
    row("orders-without-an-id", "abantecart/abantecart-src#1590", buys(order_id="undefined"), buys(order_id="0"), right={"orders": 2, "revenue.EUR": 20.0}),
]  # fmt: skip

CONSENT = [
    row("a-plain-no", "spec: docs/intake.md", YES, says(channel="push", status="denied"), right=REFUSED),
    row("false", "knadh/listmonk#2452", YES, says(channel="push", status=False), right=REFUSED),
    row("no-status", "mettle/sendportal-core#165", YES, says(channel="push", status=None), right=REFUSED),
    row("an-empty-status", "Mailtrain-org/mailtrain#325", YES, says(channel="push", status=[]), right=REFUSED),
    row("a-capital-channel", "RedHatInsights/notifications-backend#3237", YES, says(channel="Push", status="denied"), right=REFUSED),
    row("a-padded-channel", "segmentio/action-destinations#1639", YES, says(channel=" push", status="denied"), right=REFUSED),
    row("several-channels", "braze-inc/braze-docs#6134", YES, says(channel=["push", "email"], status="denied"), right={**REFUSED, "consent.email:marketing": False}),
    row("all-channels", "braze-inc/braze-docs#6320", YES, says(channel="all", status="denied"), right=REFUSED),
    row("no-channel", "snowplow/snowplow-javascript-tracker#623", YES, says(status="denied"), right=REFUSED),
    row("a-capital-purpose", "putyourlightson/craft-campaign#384", YES, says(channel="push", purpose="Marketing", status="denied"), right=REFUSED),
    row("withdrawn-from-all", "snowplow/snowplow-javascript-tracker#624", YES, snowplow("consent_withdrawn", {"all": True}, collector_tstamp="2024-05-01T12:30:00Z"), right=REFUSED),
    row("a-no-by-ga4", "spec: GA4 Measurement Protocol", YES, ga4("consent_updated", {"channel": "push", "status": "denied"}, user_id="ana", timestamp_micros=1714565000000000), right=REFUSED),
    row("a-no-by-braze", "spec: Braze, event object", YES, braze("Consent updated", time="2024-05-01T12:30:00Z", properties={"channel": "push", "status": "denied"}), right=REFUSED),
    row("a-no-by-cloudevents", "spec: CloudEvents, type", YES, envelope({"channel": "push", "status": "denied"}, type="com.shop.ConsentUpdated", time="2024-05-01T12:30:00Z"), right=REFUSED),
    row("unsubscribed-by-trait", "edx/braze-client#13", YES, has(push_subscribe="Unsubscribed"), right=REFUSED),
    row("opted-in-by-trait", "segmentio/action-destinations#1639", has(push_subscribe="Opted-In"), right=ALLOWED),
    row("personalisation-american", "spec: docs/intake.md", says(purpose="personalization", status="denied"), right={"may_personalise": False}),
]  # fmt: skip

MINOR, ADULT = {"may_personalise": False}, {"may_personalise": True}
MINORS = [
    row("age-as-text", "dckiller51/bodymiscale#43", has(age="17"), right=MINOR),
    row("age-with-decimals", "deephaven/deephaven-core#5796", has(age="17.0"), right=MINOR),
    row("born-with-slashes", "jmatheson/OnMe-Backend#40", has(birthday="2012/05/01"), right=MINOR),
    row("born-the-american-way", "jmatheson/OnMe-Backend#40", has(birthday="02/14/2012"), right=MINOR),
    row("born-with-dots", "Mantaro/MantaroBot#24", has(birthday="03.02.2015"), right=MINOR),
    row("born-in-two-digits", "Mantaro/MantaroBot#132", has(birthday="5-17-10"), right=MINOR),
    row("born-in-seconds", "firebase/firebase-js-sdk#7271", has(birthday=1335830400), right=MINOR),
    row("born-by-the-later-reading", "carl-hamlin/barks#38", has(birthday="04/06/2006"), right=MINOR),
    row("grown-up-by-both-readings", "carl-hamlin/barks#38", has(birthday="03/04/2006"), right=ADULT),
    row("eighteen-tomorrow", "RandomAPI/Randomuser.me-Node#156", has(birthday="2006-05-02T16:00:26.128Z"), right=MINOR),
    row("eighteen-today", "RandomAPI/Randomuser.me-Node#156", has(birthday="2006-05-01T00:00:00Z"), right=ADULT),
    row("born-before-1970", "trozamon/lifetrack#15", has(birthday=-300000000), right=ADULT),
]  # fmt: skip

CASES = [*CARTS, *ORDERS, *CONSENT, *MINORS]
