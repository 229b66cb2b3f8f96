"""Whatever the bytes: intake answers with events its readers can decode or with reasons, and always the same."""

from __future__ import annotations

import json
from datetime import datetime
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec
from tests.support import examples
from tests.support_intake import NOW
from workers.core.dead_letters import dead_letter
from workers.core.intake.canonical import MAX_EVENT_BYTES
from workers.core.intake.mapping import Intake, Mapped, SourceFormat
from workers.core.intake.reasons import REASONS
from workers.core.intake.snowplow_columns import COLUMNS
from workers.ports import Record

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
VALUES = st.one_of(
    st.none(),
    st.binary(max_size=200),
    JSON.map(json.dumps).map(str.encode),
    CALLS.map(json.dumps).map(str.encode),
    st.fixed_dictionaries({"batch": st.lists(CALLS, max_size=4)}).map(json.dumps).map(str.encode),
    TSV.map(str.encode),
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type", "traceparent"]),
        st.sampled_from([b"1.0", b"1", b"/shop", b"2024-05-01T10:00:00Z", b"application/json", b"\xff"]),
    ),
    max_size=7,
    unique_by=lambda header: header[0],
).map(tuple)


def map_value(
    source_format: SourceFormat, value: bytes | None, headers: tuple[tuple[str, bytes], ...], at: datetime
) -> tuple[Record, Mapped]:
    record = Record(
        topic="shop.events", partition=0, offset=0, key=b"k", value=value, appended_at_s=1.0, headers=headers
    )
    return record, Intake(source_format).map_record(record, at)


@settings(max_examples=examples(600), deadline=None)
@given(source_format=FORMATS, value=VALUES, headers=HEADERS)
def test_any_record_ends_in_events_or_rejects(
    source_format: SourceFormat, value: bytes | None, headers: tuple[tuple[str, bytes], ...]
) -> None:
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


@settings(max_examples=examples(200), deadline=None)
@given(source_format=FORMATS, value=VALUES, headers=HEADERS)
def test_the_same_record_maps_to_the_same_events(
    source_format: SourceFormat, value: bytes | None, headers: tuple[tuple[str, bytes], ...]
) -> None:
    _, first = map_value(source_format, value, headers, NOW)
    _, second = map_value(source_format, value, headers, NOW)
    assert first.events == second.events
    assert [str(error) for error in first.rejects] == [str(error) for error in second.rejects]


@settings(max_examples=examples(300), deadline=None)
@given(call=CALLS)
def test_what_intake_wrote_passes_through_intake_unchanged(call: dict[str, object]) -> None:
    _, first = map_value("segment", json.dumps(call).encode(), (), NOW)
    for event in first.events:
        _, again = map_value("auto", event.value, (), NOW)
        assert [one.key for one in again.events] == [event.key]
        assert [json.loads(one.value) for one in again.events] == [json.loads(event.value)]


@settings(max_examples=examples(300), deadline=None)
@given(calls=st.lists(CALLS, min_size=1, max_size=6))
def test_a_batch_keeps_as_many_events_as_its_calls_would_alone(calls: list[dict[str, object]]) -> None:
    alone = sum(len(map_value("segment", json.dumps(call).encode(), (), NOW)[1].events) for call in calls)
    _, together = map_value("segment", json.dumps({"batch": calls}).encode(), (), NOW)
    assert len(together.events) == alone
    assert len(together.events) + together.rejected == len(calls)
