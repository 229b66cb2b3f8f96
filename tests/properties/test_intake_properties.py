"""Whatever the bytes: intake answers with events its readers can decode or with reasons, and always the same."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec
from tests.support.generators import examples
from tests.support.intake import NOW
from workers.core.intake.canonical.finish import MAX_EVENT_BYTES
from workers.core.intake.canonical.rejections import REASONS
from workers.core.intake.formats.snowplow_columns import COLUMNS
from workers.core.intake.mapping import Intake, Mapped, SourceFormat
from workers.core.stream.dead_letters import dead_letter
from workers.core.stream.records import Record

FORMATS = st.sampled_from(get_args(SourceFormat))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(
        ["19.90", "usd", "2024-05-01T10:00:00Z", "1714557600", "track", "identify", "undefined", "Product Added"]
    ),
)
#: Field names that mean something to one format or another, so that the deep ways are reached.
NAMES = st.sampled_from(
    """
    type event userId anonymousId user_id messageId timestamp originalTimestamp sentAt context properties traits
    batch events attributes purchases name params items client_id timestamp_micros event_name event_params
    user_pseudo_id event_timestamp ecommerce user_properties key value string_value external_id user_alias
    alias_name time products product_id sku id price quantity currency order_id cart_id rating collector_tstamp
    event_id unstruct_event contexts data schema specversion source locale campaign address previousId groupId
    schemaVersion status channel
    """.split()  # noqa: SIM905 # seventy quoted names read worse
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=7),
    max_leaves=25,
)
CALLS = st.fixed_dictionaries(
    {"type": st.sampled_from(["track", "page", "identify", "alias", "group", "screen"])},
    optional={
        "event": SCALARS,
        "userId": SCALARS,
        "anonymousId": SCALARS,
        "messageId": SCALARS,
        "timestamp": SCALARS,
        "properties": JSON,
        "context": JSON,
        "traits": JSON,
    },
)
TSV = st.lists(
    st.sampled_from(["", "x", "2024-05-01 10:00:00", "{}", "7"]), min_size=100, max_size=len(COLUMNS) + 2
).map("\t".join)


def sometimes(usual: st.SearchStrategy[Any], *, odd: st.SearchStrategy[Any] = SCALARS) -> st.SearchStrategy[Any]:
    """Mostly what is usual; in one of eight something odd."""
    return st.sampled_from([False] * 7 + [True]).flatmap(lambda is_odd: odd if is_odd else usual)


PEOPLE = st.sampled_from(["ana", "bo", 17, " cleo "])
MOMENTS = st.sampled_from(["2024-05-01T10:00:00Z", "1714557600", 1714557600000, "2024/05/01 10:00:00", NOW.isoformat()])
LINES = st.lists(
    sometimes(
        st.fixed_dictionaries(
            {"product_id": st.sampled_from(["p-1", 7, "p-2"])},
            optional={"price": SCALARS, "quantity": SCALARS, "name": SCALARS, "sku": SCALARS},
        ),
        odd=JSON,
    ),
    max_size=3,
)
PROPERTIES = sometimes(
    st.fixed_dictionaries(
        {},
        optional={
            "product_id": SCALARS,
            "price": SCALARS,
            "quantity": SCALARS,
            "currency": SCALARS,
            "products": sometimes(LINES, odd=JSON),
            "order_id": SCALARS,
            "cart_id": SCALARS,
            "channel": st.sampled_from(["push", "email", ["push"], None]),
            "status": st.sampled_from(["granted", "denied", False, None]),
        },
    ),
    odd=JSON,
)
EVENT_NAMES = st.sampled_from(
    ["Product Added", "order_completed", "Consent Updated", "Level Up", "view_cart", "purchase"]
)
#: Calls and bodies that a shop might well send, each with a fault here and there.
LIKELY_CALLS = st.fixed_dictionaries(
    {
        "type": sometimes(st.sampled_from(["track", "page", "identify", "screen"])),
        "event": EVENT_NAMES,
        "userId": sometimes(PEOPLE),
        "timestamp": sometimes(MOMENTS, odd=st.sampled_from([None, "", "soon", "1970-01-01"])),
        "properties": PROPERTIES,
    },
    optional={"anonymousId": SCALARS, "messageId": SCALARS, "context": JSON, "traits": JSON},
)
GA4_EVENTS = st.fixed_dictionaries(
    {
        "name": sometimes(EVENT_NAMES),
        "params": st.fixed_dictionaries({}, optional={"items": JSON, "value": SCALARS, "currency": SCALARS}),
    },
    optional={"user_id": SCALARS, "timestamp_micros": sometimes(st.just(1714557600000000))},
)
GA4_BODIES = st.fixed_dictionaries(
    {"client_id": sometimes(PEOPLE), "events": st.lists(GA4_EVENTS, min_size=1, max_size=3)},
    optional={"user_id": SCALARS, "user_properties": JSON},
)
GA4_ROWS = st.fixed_dictionaries(
    {"event_name": EVENT_NAMES, "event_timestamp": st.just(1714557600000000), "user_pseudo_id": sometimes(PEOPLE)},
    optional={"event_params": JSON, "items": JSON, "user_id": SCALARS, "ecommerce": JSON},
)
BRAZE_BODIES = st.fixed_dictionaries(
    {
        "events": st.lists(
            st.fixed_dictionaries(
                {"external_id": sometimes(PEOPLE), "name": EVENT_NAMES, "time": MOMENTS}, optional={"properties": JSON}
            ),
            min_size=1,
            max_size=3,
        )
    },
    optional={"attributes": JSON},
)
MPARTICLE_BATCHES = st.fixed_dictionaries(
    {
        "mpid": sometimes(PEOPLE),
        "events": st.lists(
            st.fixed_dictionaries(
                {
                    "event_type": sometimes(
                        st.sampled_from(["custom_event", "opt_out", "commerce_event", "screen_view"])
                    ),
                    "data": st.fixed_dictionaries(
                        {"event_name": EVENT_NAMES, "timestamp_unixtime_ms": sometimes(st.just(1714557600000))},
                        optional={"event_id": SCALARS, "custom_attributes": JSON, "product_action": JSON},
                    ),
                }
            ),
            min_size=1,
            max_size=3,
        ),
    },
    optional={"user_identities": JSON, "user_attributes": JSON, "consent_state": JSON, "device_info": JSON},
)
SNOWPLOW_EVENTS = st.fixed_dictionaries(
    {
        "event_id": st.just("e-1"),
        "event_name": EVENT_NAMES,
        "event": st.just("unstruct"),
        "user_id": sometimes(PEOPLE),
        "collector_tstamp": MOMENTS,
    },
    optional={"derived_tstamp": SCALARS, "domain_userid": SCALARS, "unstruct_event_com_shop_thing_1": JSON},
)
ENVELOPES = st.fixed_dictionaries(
    {
        "specversion": sometimes(st.just("1.0")),
        "id": st.just("1"),
        "source": st.just("/shop"),
        "type": EVENT_NAMES,
        "partitionkey": sometimes(PEOPLE),
        "data": PROPERTIES | LIKELY_CALLS,
    },
    optional={"time": sometimes(MOMENTS)},
)
ROWS = st.fixed_dictionaries(
    {
        "event": st.just("page_view"),
        "event_id": st.just("e-1"),
        "user_id": PEOPLE.map(str),
        "collector_tstamp": st.just("2024-05-01 10:00:00"),
    }
).map(lambda row: "\t".join(str(row.get(column, "")) for column in COLUMNS))
#: (what the topic is set to, a value): the format is the right one or `auto`, as in most shops.
LIKELY = st.one_of(
    *(
        st.tuples(st.sampled_from(["auto", name]), values.map(json.dumps).map(str.encode))
        for name, values in (
            ("segment", LIKELY_CALLS),
            ("segment", st.fixed_dictionaries({"batch": st.lists(LIKELY_CALLS, min_size=1, max_size=4)})),
            ("ga4", GA4_BODIES),
            ("ga4", GA4_ROWS),
            ("braze", BRAZE_BODIES),
            ("mparticle", MPARTICLE_BATCHES),
            ("snowplow", SNOWPLOW_EVENTS),
            ("cloudevents", ENVELOPES),
        )
    ),
    st.tuples(st.sampled_from(["auto", "snowplow_tsv"]), ROWS.map(str.encode)),
)
UNLIKELY = st.tuples(
    FORMATS,
    st.one_of(
        st.none(),
        st.binary(max_size=200),
        JSON.map(json.dumps).map(str.encode),
        CALLS.map(json.dumps).map(str.encode),
        st.fixed_dictionaries({"batch": st.lists(CALLS, max_size=4)}).map(json.dumps).map(str.encode),
        TSV.map(str.encode),
    ),
)
#: Seven likely records for an unlikely one: whatever the bytes, and mostly bytes that become events.
RECORDS = st.sampled_from([True] * 7 + [False]).flatmap(lambda is_likely: LIKELY if is_likely else UNLIKELY)
#: At least this share of the examples gives events; below it the properties say little.
LEAST_HITS = 0.5
ODD_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type", "traceparent"]),
        st.sampled_from([b"1.0", b"1", b"/shop", b"2024-05-01T10:00:00Z", b"application/json", b"\xff"]),
    ),
    max_size=7,
    unique_by=lambda header: header[0],
).map(tuple)
BINARY_MODE = st.just(
    (("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"/shop"), ("ce_type", b"com.shop.order.completed"))
)
HEADERS = st.sampled_from([0, 0, 0, 0, 0, 1, 2]).flatmap(lambda kind: (st.just(()), BINARY_MODE, ODD_HEADERS)[kind])


def map_value(
    source_format: SourceFormat, value: bytes | None, headers: tuple[tuple[str, bytes], ...], at: datetime
) -> tuple[Record, Mapped]:
    record = Record(
        topic="shop.events", partition=0, offset=0, key=b"k", value=value, appended_at_s=1.0, headers=headers
    )
    return record, Intake(source_format).map_record(record, at)


@settings(max_examples=examples(600), deadline=None)
@given(given_record=RECORDS, headers=HEADERS)
def test_any_record_ends_in_events_or_rejects(
    given_record: tuple[SourceFormat, bytes | None], headers: tuple[tuple[str, bytes], ...]
) -> None:
    source_format, value = given_record
    record, mapped = map_value(source_format, value, headers, NOW)
    assert mapped.events or mapped.rejects, "never a skip"
    for event in mapped.events:
        decoded = codec.decode_event(event.value)
        assert event.key == decoded.customer_id.encode()
        assert 0 < len(decoded.customer_id) <= 256
        assert len(event.value) <= MAX_EVENT_BYTES
        json.loads(event.value)
    for error in mapped.rejects:
        assert error.reason in REASONS
        assert dead_letter(record, "intake", error, NOW).value


def test_most_records_that_are_tried_become_events_or_the_properties_say_little() -> None:
    hits: list[bool] = []

    @settings(max_examples=300, deadline=None, derandomize=True, database=None)  # the same rate in every run
    @given(given_record=RECORDS, headers=HEADERS)
    def measure(given_record: tuple[SourceFormat, bytes | None], headers: tuple[tuple[str, bytes], ...]) -> None:
        hits.append(bool(map_value(*given_record, headers, NOW)[1].events))

    measure()
    assert sum(hits) >= LEAST_HITS * len(hits)


@settings(max_examples=examples(200), deadline=None)
@given(given_record=RECORDS, headers=HEADERS)
def test_the_same_record_maps_to_the_same_events(
    given_record: tuple[SourceFormat, bytes | None], headers: tuple[tuple[str, bytes], ...]
) -> None:
    _, first = map_value(*given_record, headers, NOW)
    _, second = map_value(*given_record, headers, NOW)
    assert first.events == second.events
    assert [str(error) for error in first.rejects] == [str(error) for error in second.rejects]


@settings(max_examples=examples(300), deadline=None)
@given(given_record=RECORDS)
def test_what_intake_wrote_passes_through_intake_unchanged(given_record: tuple[SourceFormat, bytes | None]) -> None:
    _, first = map_value(*given_record, (), NOW)
    for event in first.events:
        _, again = map_value("auto", event.value, (), NOW)
        assert [one.key for one in again.events] == [event.key]
        assert [json.loads(one.value) for one in again.events] == [json.loads(event.value)]


@settings(max_examples=examples(300), deadline=None)
@given(calls=st.lists(CALLS | LIKELY_CALLS, min_size=1, max_size=6))
def test_a_batch_keeps_as_many_events_as_its_calls_would_alone(calls: list[dict[str, object]]) -> None:
    alone = sum(len(map_value("segment", json.dumps(call).encode(), (), NOW)[1].events) for call in calls)
    _, together = map_value("segment", json.dumps({"batch": calls}).encode(), (), NOW)
    assert len(together.events) == alone
    assert len(together.events) + together.rejected == len(calls)
