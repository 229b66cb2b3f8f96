"""Records that are made to multiply: what one becomes is bounded, in dead letters, in bytes and in what a batch produces."""

from __future__ import annotations

import json
import time

import msgspec
import pytest

from schemas import codec
from schemas.control import DeadLetter
from tests.support.cpu_time import slowness
from tests.support.intake import NOW, map_all, record
from workers.core.errors import InvalidEvent
from workers.core.intake.mapping import MAX_PARTS, MAX_REPORTED, OUTPUT_BYTES, OUTPUT_FACTOR, Intake, Mapped
from workers.core.intake.processor import MAX_BATCH_BYTES, IntakeProcessor
from workers.core.stream.dead_letters import dead_letter
from workers.core.stream.effects import Effects
from workers.core.stream.records import Record

VIEW = {"type": "track", "event": "Product Viewed", "userId": "ana", "timestamp": "2024-05-01T11:00:00Z"}


def apply(*records: Record) -> Effects:
    received = [msgspec.structs.replace(one, appended_at_s=NOW.timestamp()) for one in records]
    return IntakeProcessor(Intake()).apply(received, NOW.timestamp(), caught_up=True)


def letters(effects: Effects) -> list[DeadLetter]:
    return [codec.decode(DeadLetter, one.value) for one in effects.outputs if one.topic == "dead.letters"]


def size(mapped: Mapped) -> int:
    return sum(len(event.key) + len(event.value) for event in mapped.events)


@pytest.mark.parametrize("items", [4_000, 60_000])
def test_a_record_of_useless_parts_becomes_one_dead_letter(items: int) -> None:
    effects = apply(record(b"[" + b"1," * (items - 1) + b"1]"))
    (letter,) = letters(effects)
    assert letter.reason == "wrong_type"
    assert letter.detail.startswith("event 0: an event must be a JSON object; wrong_type: event 1:")
    assert letter.detail.endswith(f"; {items - MAX_REPORTED} more") or "cut from" in letter.detail
    assert len(effects.outputs) == 1
    assert effects.tally["events", "rejected"] == items
    assert effects.tally["dead_letters", "intake", "wrong_type"] == 1


def test_the_good_parts_of_a_record_are_mapped_and_the_bad_ones_told_by_their_places() -> None:
    effects = apply(record([VIEW, 1, VIEW, {"type": "shout", "userId": "ana"}]))
    assert effects.tally["events", "mapped"] == 2
    (letter,) = letters(effects)
    assert letter.detail.startswith("event 1: an event must be a JSON object")
    assert "event 3: " in letter.detail


BOMBS = {
    "ga4": {
        "client_id": "ana",
        "user_properties": {"note": {"value": "x" * 20_000}},
        "events": [{"name": "view_item", "params": {}}] * 2_000,
    },
    "segment": {"batch": [VIEW] * 2_000, "context": {"page": {"title": "x" * 20_000}}},
    "segment, identity": {"batch": [{"type": "page"}] * 20_000, "userId": "a" * 256},
    "braze": {"events": [{"external_id": "a", "name": "n", "time": "2024-05-01T11:00:00Z"}] * 2_000},
    "mparticle": {
        "mpid": 1,
        "device_info": {"locale_language": "x" * 20_000},
        "user_attributes": {f"{i}": "x" for i in range(9_000)},
        "consent_state": {"gdpr": {f"{i}": False for i in range(9_000)}},
        "events": [{"event_type": "session_start", "data": {}}] * 2_000,
    },
    "an array of batches": [{"batch": [VIEW] * 20, "context": {"page": {"title": "x" * 2_000}}}] * 100,
    "traits": {"type": "identify", "userId": "a", "traits": {"n" * 200: {"m" * 50: {f"{i}": 1 for i in range(9_000)}}}},
    "traits in context": VIEW | {"context": {"traits": {"n" * 200: {f"{i}": 1 for i in range(9_000)}}}},
    "escapes": [VIEW | {"properties": {"query": "\x01" * 3_000}}] * 50,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_what_a_record_becomes_is_bounded_by_its_size(bomb: object) -> None:
    value = json.dumps(bomb).encode()
    mapped = map_all(value)
    assert size(mapped) <= OUTPUT_FACTOR * len(value) + OUTPUT_BYTES
    assert len(mapped.events) <= MAX_PARTS
    assert len(mapped.rejects) <= MAX_REPORTED
    assert mapped.events or mapped.rejects


def test_events_beyond_what_a_record_may_become_are_counted_and_told_in_one_letter() -> None:
    effects = apply(record(BOMBS["ga4"]))
    (letter,) = letters(effects)
    assert letter.reason == "too_large"
    assert "repeat too much" in letter.detail
    assert effects.tally["events", "mapped"] + effects.tally["events", "rejected"] == 2_000


def test_more_events_than_a_record_may_hold_are_told_in_one_letter() -> None:
    effects = apply(record([VIEW] * (MAX_PARTS + 7)))
    (letter,) = letters(effects)
    assert (letter.reason, effects.tally["events", "mapped"]) == ("too_large", MAX_PARTS)
    assert effects.tally["events", "rejected"] == 7


NESTED = {f"a{number}": {"b": number} for number in range(500)}
SLOW = {
    "a context of many keys": {"context": {f"k{n}": 1 for n in range(1_500)}, "userId": "a", "batch": [{}] * 2_000},
    "a body of many keys": {**{f"k{n}": 1 for n in range(1_500)}, "client_id": "a", "events": [{}] * 2_000},
    "rejects that share traits": {"context": {"traits": NESTED}, "userId": "a", "batch": [{"type": "track"}] * 400},
    "rejects that share properties": {
        "client_id": "a",
        "user_properties": {name: {"value": 1} for name in NESTED},
        "events": [{"params": {}}] * 400,
    },
    "numbers": [1] * 10_000,
    "empty objects": [{}] * 6_600,
}


@pytest.mark.parametrize("slow", SLOW.values(), ids=SLOW)
def test_twenty_kilobytes_take_fifty_milliseconds_at_most(slow: object) -> None:
    value = json.dumps(slow, separators=(",", ":")).encode()[: 40 << 10]
    assert 15_000 < len(value) < 40_000
    assert min(_seconds(value) for _ in range(5)) <= 0.05 * slowness()


def _seconds(value: bytes) -> float:
    began_s = time.thread_time()
    map_all(value)
    return time.thread_time() - began_s


def test_a_batch_of_an_honest_shop_keeps_all_its_events() -> None:
    shared = {"context": {"page": {"title": "x" * 2_000}, "locale": "en-GB"}}
    assert len(map_all({"batch": [VIEW] * 500} | shared).events) == 500


def test_what_one_batch_produces_is_bounded_and_the_rest_comes_again() -> None:
    bomb = record(BOMBS["segment"])
    waiting, rounds, mapped = [bomb] * 60, 0, 0
    while waiting:
        effects = apply(*waiting)
        produced = sum(len(output.value or b"") for output in effects.outputs)
        assert produced <= MAX_BATCH_BYTES + OUTPUT_FACTOR * len(bomb.value or b"") + OUTPUT_BYTES + 200_000
        assert effects.more_due == bool(effects.deferred)
        assert len(effects.deferred) < len(waiting)
        waiting, rounds, mapped = effects.deferred, rounds + 1, mapped + effects.tally["events", "mapped"]
    assert rounds > 1
    assert mapped == 60 * len(map_all(bomb.value).events)


@pytest.mark.parametrize("headers", [(("traceparent", b""),), (("ce_specversion", b""), ("ce_id", b""))])
def test_a_header_without_a_value_is_an_empty_one(headers: tuple[tuple[str, bytes], ...]) -> None:
    effects = apply(record(b"{", headers=headers))
    (letter,) = letters(effects)
    assert letter.headers == dict(headers)


def test_a_dead_letter_can_be_made_whatever_the_headers_are() -> None:
    odd: tuple[tuple[str, bytes], ...] = (("traceparent", None),)  # type: ignore[assignment] # what Kafka's clients may give
    letter = dead_letter(record(b"{", headers=odd), "intake", InvalidEvent("broken_json"), NOW)
    assert codec.decode(DeadLetter, letter.value).headers == {"traceparent": b""}
