from __future__ import annotations

import doctest
import json
from importlib import import_module
from typing import Any

import pytest

from schemas.events import CONSENT_UPDATED
from tests.support.intake import NOW, map_all, map_one, reasons, record
from workers.core.intake.canonical.rejections import REASONS
from workers.core.intake.mapping import Intake, SourceFormat

TRACK: dict[str, Any] = {"type": "track", "event": "X", "userId": "u", "timestamp": "2024-05-01T10:00:00Z"}


@pytest.mark.parametrize(
    "module", ["canonical.commerce", "canonical.event_names", "canonical.rejections", "event_files"]
)
def test_the_examples_in_the_docstrings_hold(module: str) -> None:
    found = doctest.testmod(import_module(f"workers.core.intake.{module}"))
    assert (found.failed, found.attempted > 0) == (0, True)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "null_value"),
        (b"", "broken_json"),
        (b"hello", "broken_json"),
        (b'{"type":', "broken_json"),
        (b'{"type":"\xff"}', "broken_encoding"),
        (b"[" * 100_000, "broken_json"),
        (b'{"type":"track","x":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "broken_json"),
        (b"17", "wrong_type"),
        (b'"text"', "wrong_type"),
        (b"{}", "unknown_format"),
        (b"[]", "missing_field"),
        (b'{"batch":[]}', "missing_field"),
        (b'{"hello":"world"}', "unknown_format"),
        (b'{"userId":"u"}', "unknown_format"),
        (b'{"events":[{"x":1}]}', "unknown_format"),
    ],
)
def test_no_bytes_crash_the_mapping(value: bytes | None, reason: str) -> None:
    mapped = map_all(value)
    assert (mapped.events, reasons(mapped)) == ([], [reason])
    assert reason in REASONS


@pytest.mark.parametrize(
    "source_format", ["segment", "ga4", "snowplow", "snowplow_tsv", "braze", "mparticle", "cloudevents"]
)
def test_a_fixed_format_takes_no_other(source_format: SourceFormat) -> None:
    mapped = map_all({"some": "thing"}, source_format)
    assert mapped.events == []
    assert len(mapped.rejects) == 1


def test_a_resend_of_the_same_bytes_has_the_same_id_and_other_bytes_another() -> None:
    first, again, other = map_one(TRACK), map_one(TRACK), map_one({**TRACK, "userId": "v"})
    assert first["messageId"] == again["messageId"] != other["messageId"]


def test_equal_events_of_one_batch_have_ids_of_their_own() -> None:
    mapped = map_all({"batch": [TRACK, TRACK]})
    assert len({json.loads(event.value)["messageId"] for event in mapped.events}) == 2


def test_headers_of_tracing_change_nothing() -> None:
    assert map_one(TRACK, headers=(("traceparent", b"00-1-2-01"),)) == map_one(TRACK)


def test_an_own_id_is_kept_and_one_that_is_too_long_is_shortened_for_good() -> None:
    assert map_one({**TRACK, "messageId": 17})["messageId"] == "17"
    long = map_one({**TRACK, "messageId": "m" * 300})["messageId"]
    assert len(long) == 32
    assert long == map_one({**TRACK, "messageId": "m" * 300, "event": "Y"})["messageId"]


def test_an_array_is_a_batch_of_whatever_it_holds() -> None:
    mixed = [
        TRACK,
        {"event_name": "login", "event_params": [], "user_id": "g", "event_timestamp": 1714557600000000},
        {"odd": 1},
    ]
    mapped = map_all(mixed)
    assert [event.key for event in mapped.events] == [b"u", b"g"]
    assert reasons(mapped) == ["unknown_format"]


def test_the_bound_of_the_future_can_be_set() -> None:
    tomorrow = {**TRACK, "timestamp": "2024-05-03T12:00:00Z"}
    assert reasons(map_all(tomorrow)) == ["bad_timestamp"]
    assert Intake(max_future_s=3 * 86_400.0).map_record(record(tomorrow), NOW).rejects == []


def test_a_large_batch_of_small_events_passes() -> None:
    batch = {"batch": [{**TRACK, "properties": {"note": "x" * 1000}}] * 500}
    assert len(map_all(batch).events) == 500


def test_consent_keeps_its_evidence() -> None:
    properties = {"channel": "email", "status": "granted", "captured_at": "2024-05-01 09:59:00 UTC", "text_version": 3}
    mapped = map_one({**TRACK, "event": CONSENT_UPDATED, "properties": properties})
    assert mapped["properties"]["captured_at"] == "2024-05-01T09:59:00Z"
    assert mapped["properties"]["text_version"] == "3"


def test_no_detail_of_a_reject_repeats_what_the_customer_sent() -> None:
    said = "lin@example.com"
    for bad in (
        {"userId": said * 20},
        {"timestamp": said},
        {"type": said},
        {"event": said * 20},
        {"schemaVersion": said},
    ):
        assert said not in str(map_all({**TRACK, **bad}).rejects[0])
