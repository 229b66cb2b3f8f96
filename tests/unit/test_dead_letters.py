from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from schemas import codec
from schemas.control import DeadLetter
from workers.core.errors import InvalidEvent
from workers.core.stream.dead_letters import MAX_KEY_BYTES, MAX_VALUE_BYTES, dead_letter
from workers.core.stream.records import Record

NOW = datetime(2024, 5, 1, tzinfo=UTC)
RECORD = Record(
    topic="shop.events",
    partition=3,
    offset=99,
    key=b"u-1",
    value=b"\xff\x00",
    appended_at_s=1714521600.5,
    headers=(("ce_id", b"1"),),
)


def letter_of(record: Record, error: InvalidEvent) -> DeadLetter:
    output = dead_letter(record, "intake", error, NOW)
    assert output.topic == "dead.letters"
    letter = codec.decode(DeadLetter, output.value)
    assert output.key == letter.key == (None if record.key is None else record.key[:MAX_KEY_BYTES])
    return letter


def test_a_dead_letter_tells_reason_and_origin_and_keeps_the_bytes() -> None:
    assert letter_of(RECORD, InvalidEvent("broken_json", "byte 0")) == DeadLetter(
        reason="broken_json",
        detail="byte 0",
        stage="intake",
        topic="shop.events",
        partition=3,
        offset=99,
        key=b"u-1",
        value=b"\xff\x00",
        headers={"ce_id": b"1"},
        appended_at=datetime(2024, 5, 1, 0, 0, 0, 500_000, tzinfo=UTC),
        failed_at=NOW,
    )


def test_a_record_without_key_and_value_has_a_dead_letter() -> None:
    empty = msgspec.structs.replace(RECORD, key=None, value=None, headers=(), appended_at_s=0.0)
    letter = letter_of(empty, InvalidEvent("null_value"))
    assert (letter.key, letter.value, letter.appended_at, letter.detail) == (None, None, None, "")


def test_what_is_too_large_is_cut_and_says_so() -> None:
    huge = msgspec.structs.replace(
        RECORD, key=b"k" * 10_000, value=b"v" * 200_000, headers=(("a", b"1"), ("b", b"h" * 100_000))
    )
    output = dead_letter(huge, "intake", InvalidEvent("too_large", "d" * 9_000), NOW)
    assert output.value is not None
    assert len(output.value) < 128 * 1024
    letter = letter_of(huge, InvalidEvent("too_large", "x"))
    assert letter.value == b"v" * MAX_VALUE_BYTES
    assert letter.headers == {"a": b"1"}
    assert (
        letter.detail == "x; headers left out; value cut from 200000 to 65536 bytes; key cut from 10000 to 4096 bytes"
    )
