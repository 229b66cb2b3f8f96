"""Records of shops through intake: identity, event, time, and rejections."""

# ruff: noqa: E501 # a table: one row a line
from __future__ import annotations

import json
from typing import Any

from tests.field.case import Case, Sent, mapped

TRACK: dict[str, Any] = {"type": "track", "event": "Wished", "messageId": "m", "timestamp": "2024-05-01T10:00:00Z"}
CUSTOM: dict[str, Any] = {**TRACK, "userId": "ana"}


def call(**fields: Any) -> dict[str, Any]:
    """Returns a Segment call without a person."""
    return {**TRACK, **fields}


def said(event: str = "Wished", **properties: Any) -> dict[str, Any]:
    """Returns an event of ana."""
    return {**CUSTOM, "event": event, "properties": properties}


def batch(one: dict[str, Any], **shared: Any) -> dict[str, Any]:
    """Returns a batch of one call."""
    return {**shared, "batch": [{**TRACK, **one}]}


def ga4(name: str, params: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
    """Returns a body of the Measurement Protocol."""
    return {"client_id": "p-1", **body, "events": [{"name": name, "params": params or {}}]}


def exported(name: str, **fields: Any) -> dict[str, Any]:
    """Returns a row of GA4's export."""
    row = {"event_name": name, "event_timestamp": 1714557600000000, "user_pseudo_id": "p-1", "event_params": []}
    return {**row, **fields}


def braze(name: str = "wished", **fields: Any) -> dict[str, Any]:
    """Returns a /users/track body with one event."""
    return {"events": [{"external_id": "ana", "name": name, "time": "2024-05-01T10:00:00Z", **fields}]}


def mparticle(kind: str = "custom_event", *, batch: dict[str, Any] | None = None, **data: Any) -> dict[str, Any]:
    """A batch of one event."""
    event = {"event_type": kind, "data": {"event_name": "wished", "timestamp_unixtime_ms": 1714557600000, **data}}
    return {"mpid": 7, "user_identities": {"customer_id": "ana"}, "events": [event], **(batch or {})}


SDK = "com_snowplowanalytics_snowplow"


def snowplow(name: str = "wished", data: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Returns an enriched event of a custom vendor, or of Snowplow."""
    enriched = {
        "event": "unstruct",
        "event_name": name,
        "event_id": "e-1",
        "user_id": "ana",
        "collector_tstamp": "2024-05-01T10:00:00Z",
        "unstruct_event_com_shop_thing_1": data or {},
    }
    return {**enriched, **fields}


def envelope(data: object, **attributes: Any) -> dict[str, Any]:
    """Returns a CloudEvent in structured mode."""
    known = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "com.shop.wished", "partitionkey": "ana"}
    return {**known, **attributes, "data": data}


def binary(value: object, **headers: Any) -> Sent:
    """Returns a CloudEvent in binary mode; `_` in header names that start with `content` stands for `-`."""
    known = {"ce_specversion": b"1.0", "ce_id": b"1", "ce_source": b"/shop", "ce_type": b"com.shop.wished"}
    names = {name.replace("content_", "content-"): found for name, found in (known | headers).items()}
    return Sent(value, key=b"ana", headers=tuple(names.items()))


def row(slug: str, source: str, given: Any, **right: Any) -> Case:
    """Returns a row; `__` in a name stands for the dot of a path."""
    return Case(slug, source, mapped, given, {path.replace("__", "."): value for path, value in right.items()})


SPEC = "spec: Segment, HTTP Tracking API"
EXPORT = "spec: GA4 BigQuery Export"
IDENTITY = [
    row("blank-user", "rudderlabs/rudder-sdk-js#201", call(userId="", anonymousId="a-1"), key="a-1", userId=None),
    row("null-user", "rudderlabs/rudder-transformer#165", call(userId=None, anonymousId="a-1"), key="a-1"),
    row("no-user", "segmentio/Analytics.NET#25", call(type="identify", anonymousId="a-1", traits={}), key="a-1"),
    row("nobody", "neondatabase/neonctl#399", call(userId="", anonymousId=None), rejected=["no_identity"], count=0),
    row("an-object", "PostHog/posthog#12008", call(userId="[object Object]", anonymousId="a-1"), key="a-1"),
    row("undefined", "PostHog/posthog-js#34", call(userId="undefined"), rejected=["no_identity"]),
    row("none-of-python", "PostHog/posthog#876", call(userId="None", anonymousId="a-1"), key="a-1"),
    row("zero", "PostHog/posthog.com#6056", call(userId=0, anonymousId="a-1"), key="a-1"),
    row("zero-as-text", "PostHog/posthog.com#6056", call(userId="0"), rejected=["no_identity"]),
    row("not-a-number", "PostHog/posthog.com#6056", call(userId="NaN"), rejected=["no_identity"]),
    row("none-by-setting", "littledata/shopify-tracker#425", call(userId="none", anonymousId="a-1"), key="a-1"),
    row("guest", "lukevella/rallly#2680", call(userId="guest", anonymousId="a-1"), key="a-1"),
    row("both-spellings", "segmentio/analytics-ruby#173", call(userId=None, user_id="ana"), key="ana"),
    row("blank-and-snake", "segmentio/analytics-ruby#239", call(anonymousId=" ", anonymous_id="a-1"), key="a-1"),
    row("zero-uuid", "snowplow/stream-collector#126", snowplow(user_id=None, network_userid="0" * 8 + "-0000" * 3 + "-" + "0" * 12), rejected=["no_identity"]),
    row(
        "zero-uuid-of-a-phone",
        "snowplow/snowplow-android-tracker#541",
        {**snowplow(user_id="", network_userid="n-1"), f"contexts_{SDK}_client_session_1": [{"userId": "00000000-0000-0000-0000-000000000000"}]},
        key="n-1",
    ),
    row("zero-device", "n8n-io/n8n#5093", {"name": "x", "device_id": "000000000000", "braze_id": None, "time": 1714557600}, rejected=["no_identity"]),
    row("unset-again", "snowplow/snowplow-javascript-tracker#1005", snowplow(user_id="", domain_userid="d-1"), key="d-1"),
    row("guest-by-text", "spec: Snowplow, ecommerce/user", {**snowplow(user_id=None, domain_userid="d-1"), f"contexts_{SDK}_ecommerce_user_1": [{"id": "g-1", "is_guest": "true"}]}, key="d-1"),
    row("null-in-a-call", SPEC, batch({"userId": None}, userId="ana"), key="ana"),
    row("blank-in-a-call", SPEC, batch({"userId": " ", "anonymousId": "a-1"}, userId="ana"), key="ana"),
    row("batch-in-snake", SPEC, batch({}, user_id="ana"), key="ana"),
    row("call-in-snake", SPEC, batch({"user_id": "bo"}, userId="ana"), key="bo"),
    row("context-of-a-batch", SPEC, batch({"userId": "ana", "context": {"locale": None, "timezone": "Europe/Rome"}}, context={"locale": "it-IT"}), context__locale="it-IT", context__timezone="Europe/Rome"),
    row("null-context-in-a-call", SPEC, batch({"userId": "ana", "context": None}, context={"locale": "it-IT"}), context__locale="it-IT"),
    row("null-in-an-event", "spec: GA4 Measurement Protocol", {"client_id": "p-1", "user_id": "ana", "timestamp_micros": 1714557600000000, "events": [{"name": "x", "user_id": None, "timestamp_micros": ""}]}, key="ana", timestamp="2024-05-01T10:00:00Z"),
    row("not-set", EXPORT, exported("x", user_id="(not set)"), key="p-1"),
    row("blank-pseudo-id", EXPORT, {**exported("x", user_pseudo_id="", app_instance_id="i-1")}, key="i-1"),
    row("null-external-id", "spec: Braze, event object", {"events": [{"external_id": None, "external_user_id": "ana", "name": "x", "time": "2024-05-01T10:00:00Z"}]}, key="ana"),
    row("blank-customer-id", "mParticle/mparticle-android-sdk#412", mparticle(batch={"user_identities": {"customer_id": "", "email": ""}}), key="7", userId=None),
    row("identities-of-an-output", "aws-samples/retail-demo-store#276", mparticle(batch={"user_identities": [{"identity_type": "customer_id", "identity": "bo"}]}), key="bo"),
    row("undefined-external-id", "spec: Braze, event object", {"events": [{"external_id": "undefined", "braze_id": "b-1", "name": "x", "time": "2024-05-01T10:00:00Z"}]}, key="b-1"),
    row("null-in-the-data", "spec: CloudEvents, Kafka binding", envelope({"userId": None, "list": 7}), key="ana"),
    row("undefined-in-the-key", "spec: CloudEvents, Kafka binding", Sent(envelope({"list": 7}), key=b"undefined"), key="ana"),
    row("blank-message-id", SPEC, call(userId="ana", messageId="", message_id="m-7"), messageId="m-7"),
    row("no-locale", EXPORT, exported("x", device={"language": "(not set)"}, event_params=[{"key": "language", "value": {"string_value": "de-de"}}]), context__locale="de-de"),
    row("undefined-locale", SPEC, call(userId="ana", context={"locale": "undefined"}), context__locale=None),
]  # fmt: skip

NUMBERS = [
    row("grouped-price", "PrestaShop/ganalytics#108", said(price="1,000.00"), properties__price=1000.0),
    row("grouped-again", "yireo-magento1/Yireo_GoogleTagManager#97", said(price="2,457.00"), properties__price=2457.0),
    row("grouped-total", "wp-e-commerce/WP-e-Commerce#1014", said(total="2,000.00"), properties__total=2000.0),
    row("four-decimals", "yireo/Yireo_GoogleTagManager2#187", ga4("view_cart", {"value": "5,649.0000", "total": "5,649.0000"}), properties__total=5649.0),
    row("revenue-as-text", "plausible/docs#413", said(revenue="1322.22"), properties__revenue=1322.22),
    row("revenue-of-the-continent", "plausible/docs#413", said(revenue="1.322,22"), properties__revenue=1322.22),
    row("price-with-its-sign", "experius/Magento-2-Module-Experius-DonationProduct#24", said(price="€ 19,90"), properties__price=19.9),
    row("price-with-narrow-spaces", "woocommerce/woocommerce#4153", said(price="1\u202f299,00\u00a0€"), properties__price=1299.0),
    row("formatted-line", "woocommerce/woocommerce-google-analytics-integration#380", ga4("purchase", {"items": [{"item_id": "p", "price": "1,299.00", "quantity": "2"}]}), properties__products__0__price=1299.0, properties__products__0__quantity=2),
    row("number-format", "OpenMage/magento-lts#3342", said(price="1,999.99", quantity="2.0000"), properties__price=1999.99, properties__quantity=2),
    row("not-a-price", "peaksandpies/universal-analytics#175", said(price="NaN", revenue="Infinity"), properties__price=None, properties__revenue=None),
    row("price-of-nothing", "codecombat/codecombat#6541", said(price="0.00"), properties__price=None),
]  # fmt: skip

PRODUCTS = [
    row("list-with-gaps", "Wikia/app#12500", said("Cart Viewed", products={"1": {"sku": "a"}, "4": {"sku": "b"}}), properties__products__1__product_id="b"),
    row("forced-object", "drewm/mailchimp-api#74", said("Order Completed", products={"0": {"product_id": "a"}}), properties__products__0__product_id="a"),
    row("empty-object", "resend/resend-php#68", said("Cart Viewed", products={}), properties__products=[]),
    row("empty-list", "Shopify/buy-button-js#196", said("Cart Viewed", products=[]), properties__products=[]),
    row("empty-list-of-ga4", "spec: GA4 Measurement Protocol", ga4("view_cart", {"items": []}), event="Cart Viewed", properties__products=[]),
    row("empty-list-of-an-export", EXPORT, exported("view_cart", items=[]), properties__products=[]),
    row("empty-list-of-every-row", EXPORT, exported("page_view", items=[]), properties__products=None),
    row("empty-cart-of-braze", "spec: Braze, ecommerce.cart_updated", braze("ecommerce.cart_updated", properties={"cart_id": "c", "products": []}), event="Cart Viewed", properties__products=[]),
    row("numbers-as-text-of-mparticle", "mParticle/mparticle-web-sdk#964", mparticle("commerce_event", product_action={"action": "add_to_cart", "products": [{"id": 17, "price": "9.90", "quantity": "2"}]}), event="Product Added", properties__product_id="17", properties__price=9.9, properties__quantity=2),
    row("empty-entities", "spec: Snowplow, snowplow_ecommerce_action", {**snowplow("snowplow_ecommerce_action"), f"unstruct_event_{SDK}_ecommerce_snowplow_ecommerce_action_1": {"type": "checkout_step"}, f"contexts_{SDK}_ecommerce_product_1": []}, event="Checkout Started", properties__products=[]),
    row("no-list", "spec: Segment, Cart Viewed", said("Cart Viewed", products=None), properties__products=None),
    row("list-of-nothing", "spec: Segment, Cart Viewed", said("Cart Viewed", products=[{"name": "?"}, None, 7]), properties__products=None),
    row("list-as-text", "Woopra/browser-tracker#16", said("Cart Viewed", products='[{"product_id": "a", "price": "9,90"}]'), properties__products__0__price=9.9),
    row("undefined-product", "vtex-apps/google-tag-manager#90", said("Product Added", product_id="undefined", sku="s-1"), properties__product_id="s-1"),
    row("product-zero", "rudderlabs/rudder-transformer#1130", said("Product Added", product_id=0), properties__product_id="0"),
    row("one-bad-line", "rudderlabs/rudder-transformer#1130", said("Order Completed", products=[{"name": "?"}, {"product_id": "a"}]), properties__products=[{"product_id": "a"}], rejected=[]),
    row("brand-not-set", "PrestaShop/ps_googleanalytics#144", ga4("purchase", {"items": [{"item_id": "a", "item_brand": "(not set)"}]}), properties__products__0__brand=None),
    row("quantity-zero", "Automattic/jetpack#8316", said("Cart Viewed", products=[{"product_id": "a", "quantity": "0"}]), properties__products__0__quantity=0),
    row("quantity-below", "medusajs/medusa#13508", said("Cart Viewed", products=[{"product_id": "a", "quantity": -1}]), properties__products__0__quantity=0),
    row("order-zero", "abantecart/abantecart-src#1590", said("Order Completed", order_id="0", cart_id=0, checkout_id="undefined"), properties__order_id=None, properties__cart_id=None, properties__checkout_id=None),
    row("order-as-number", "br33f/php-GA4-Measurement-Protocol#28", ga4("purchase", {"transaction_id": 1001}), properties__order_id="1001"),
    row("null-refund", EXPORT, exported("refund", ecommerce={"refund_value": None}, event_params=[{"key": "value", "value": {"double_value": 5.0}}]), properties__total=5.0),
    row("items-beside-null", EXPORT, {**exported("view_item"), "items": None, "event_params": [], "params": {}}, properties__products=None),
]  # fmt: skip

NAMES = [
    row("lower-case", "segment-boneyard/segment-docs#5994", said("order completed"), event="Order Completed"),
    row("snake-case", "mixpanel/docs-legacy#1398", said("order_completed"), event="Order Completed"),
    row("camel-case", "segmentio/analytics-android#237", said("productAdded", product_id="a"), event="Product Added"),
    row("padded", "rudderlabs/rudder-transformer#5251", said(" Product viewed ", product_id="a"), event="Product Viewed"),
    row("the-older-name", "openedx-unsupported/ecommerce#1240", said("Completed Order"), event="Order Completed"),
    row("a-name-of-their-own", "openedx-unsupported/ecommerce#1239", said("Completed Purchase"), event="Completed Purchase"),
    row("type-of-an-envelope", "openedx/openedx-events#77", envelope({"order_id": "o"}, type="org.shop.order.completed.v1"), event="Order Completed"),
]  # fmt: skip


def at(timestamp: object) -> dict[str, Any]:
    return {**CUSTOM, "timestamp": timestamp}


NOON = "2024-05-01T10:00:00Z"
TIMES = [
    row("dotted-second", "ohmage/server#626", at("2024-05-01 10:00:00.0"), timestamp=NOON),
    row("no-zone", "aws-samples/aws-fraud-detector-samples#4", at("2024-05-01T10:00:00"), timestamp=NOON),
    row("a-space", "operable/cog#1350", at("2024-05-01 10:00:00.000000Z"), timestamp=NOON),
    row("no-seconds", "wso2/api-manager#5191", at("2024-05-01T10:00Z"), timestamp=NOON),
    row("of-java-sql", "telefonicaid/fiware-cygnus#7", at("2024-05-01 10:00:00"), timestamp=NOON),
    row("milliseconds-as-text", "iamkun/dayjs#3124", at("1714557600000"), timestamp=NOON),
    row("an-offset", "square/cube#110", at("2024-05-01T09:00:00-01:00"), timestamp=NOON),
    row("seconds-of-braze", "adobe/xdm#1785", braze(time=1714557600), timestamp=NOON),
    row("braze-with-colons", "braze-inc/braze-docs#780", braze(time="2024-05-01T10:00:00:000+0000"), timestamp=NOON),
    row("of-javascript", "segmentio/analytics.js#61", at("Wed May 01 2024 12:00:00 GMT+0200 (CEST)"), timestamp=NOON),
    row("of-the-locale", "segmentio/Analytics.Xamarin#25", at("5/1/2024 10:00:00 AM"), rejected=["bad_timestamp"]),
    row("nanoseconds", "spec: RFC 3339, Go's RFC3339Nano", at("2024-05-01T10:00:00.000000001Z"), timestamp=NOON),
    row("ten-thousand-and-thirteen", "snowplow/snowplow#427", snowplow(dvce_created_tstamp="10013-12-10 01:09:46.708"), timestamp=NOON),
    row("before-christ", "snowplow/snowplow#3332", snowplow(derived_tstamp="-5965-09-20 15:44:22.721", dvce_sent_tstamp="9999-05-28 13:13:23.260"), timestamp=NOON),
    row("sent-in-9999", "snowplow/snowplow#336", snowplow(derived_tstamp="9999-05-28 13:13:23.260"), timestamp=NOON),
    row("no-good-time", "snowplow/snowplow#1611", snowplow(collector_tstamp="-0025-01-01 23:01:01.000"), rejected=["bad_timestamp"]),
    row("seconds-as-milliseconds", "snowplow/snowplow-ios-tracker#799", at("54117-05-18T03:59:14.366Z"), rejected=["bad_timestamp"]),
    row("blank-time-of-an-envelope", "spec: CloudEvents, time", envelope({"list": 7}, time=""), count=1),
    row("blank-timestamp", SPEC, call(userId="ana", timestamp="", originalTimestamp=NOON), timestamp=NOON),
]  # fmt: skip

BYTES = [
    row("byte-order-mark", "nlohmann/json#152", b"\xef\xbb\xbf" + json.dumps(CUSTOM).encode(), key="ana"),
    row("byte-order-mark-in-a-batch", "jqlang/jq#45", b"\xef\xbb\xbf" + json.dumps([CUSTOM]).encode(), count=1),
    row("tombstone", "tulios/kafkajs#185", None, rejected=["null_value"]),
    row("no-bytes", "Farfetch/kafkaflow#516", b"", rejected=["broken_json"]),
    row("schema-and-payload", "confluentinc/kafka-connect-jdbc#903", {"schema": {"type": "struct"}, "payload": CUSTOM}, rejected=["unknown_format"]),
    row("json-in-json", "castorm/kafka-connect-http#19", json.dumps(json.dumps(CUSTOM)).encode(), rejected=["wrong_type"]),
    row("data-as-text", "kyma-incubator/varkes#214", envelope('{"orderCode": "567"}'), properties__orderCode="567"),
    row("content-type-elsewhere", "spring-cloud/spring-cloud-function#1401", binary({"list": 7}, ce_datacontenttype=b"application/json"), key="ana"),
    row("no-content-type", "cloudevents/sdk-java#370", binary({"list": 7}), event="com.shop.wished"),
    row("content-type-of-json", "cloudevents/sdk-java#67", binary({"list": 7}, content_type=b"application/json; charset=utf-8"), count=1),
    row("headers-of-nothing", "spec: Kafka, record headers", binary({"list": 7}, content_type=b"", ce_time=b""), count=1),
    row("version-as-number", "spec: CloudEvents, specversion", envelope({"list": 7}, specversion=1.0), count=1),
]  # fmt: skip

CONSENT = [
    row("of-segment", "segmentio/analytics-next#1072", {**CUSTOM, "event": "Segment Consent Preference Updated", "context": {"consent": {"categoryPreferences": {"Advertising": True, "Analytics": False}}}}, event="Segment Consent Preference Updated", context__consent__categoryPreferences={"Advertising": True, "Analytics": False}),
    row("by-destination", "segmentio/consent-manager#198", {**CUSTOM, "context": {"consent": {"categoryPreferences": {"Webhooks": "true", "Amplitude": "no"}, "defaultDestinationBehavior": "disable"}}}, context__consent__categoryPreferences={"Webhooks": True, "Amplitude": False}, context__consent__defaultDestinationBehavior="disable"),
    row("as-a-list", "scaleway/scaleway-lib#1922", {**CUSTOM, "context": {"consent": {"categoryPreferences": ["advertising"]}}}, context__consent__categoryPreferences=None, count=1),
    row("of-no-answer", "segmentio/consent-manager#41", {**CUSTOM, "context": {"consent": {"categoryPreferences": {"advertising": None, "functional": {}}}}}, context__consent__categoryPreferences={"advertising": False, "functional": False}),
    row("of-ga4", "spec: GA4 Measurement Protocol", ga4("consent_updated", {"channel": "email", "status": "denied"}, user_id="ana"), event="Consent Updated", properties__status="denied"),
    row("of-braze", "spec: Braze, event object", braze("consent_updated", properties={"channel": "email", "status": "denied"}), event="Consent Updated", properties__channel="email"),
    row("of-mparticle", "spec: mParticle, JSON Reference, custom_event", mparticle(event_name="consent_updated", custom_attributes={"channel": "email", "status": "denied"}), event="Consent Updated", properties__channel="email"),
    row("opt-out-of-mparticle", "spec: mParticle, JSON Reference, opt_out", mparticle("opt_out", is_opted_out=True), event="Consent Updated", properties__status="withdrawn"),
    row("of-snowplow", "spec: Snowplow, self-describing events", snowplow("consent_updated", {"channel": "push", "status": "denied"}), event="Consent Updated", properties__channel="push"),
    row("of-cloudevents", "spec: CloudEvents, type", envelope({"channel": "sms", "status": "denied"}, type="com.shop.consent.updated"), event="Consent Updated", properties__channel="sms"),
    row("in-lower-case", "segmentio/action-destinations#1639", said("consent updated", channel="email", status="denied"), event="Consent Updated"),
]  # fmt: skip

CASES = [*IDENTITY, *NUMBERS, *PRODUCTS, *NAMES, *TIMES, *BYTES, *CONSENT]
