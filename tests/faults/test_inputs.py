"""What shops send when they are not well: garbage between good events, everything several times, everything out of order."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable
from datetime import datetime
from operator import itemgetter

import pytest

from schemas import codec
from schemas.control import DeadLetter
from tests.faults.table import Cases, Row
from tests.support.carts import workers
from tests.support.faults import FULL, Entry, Follower, Shop, alter_topic, differences, log_of, repeated
from tests.support.service import clean_row, recovery_s, supervised
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, read, worker
from workers.adapters.process.exit_codes import Exit
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(1800 if FULL else 240)]

EVENTS = 100_000 if FULL else 5_000
#: Young enough that an event which comes again is recognised (a week), old enough that all of them lie in the past.
DAY_S = 86_400.0
RECENTLY_S = time.time() // DAY_S * DAY_S - 3 * DAY_S
#: By how many others an event may be overtaken.
LATE_PLACES = 50


def _event(**changes: object) -> bytes:
    event = {"type": "track", "event": "Product Viewed", "messageId": "bad", "userId": "mallory"}
    return json.dumps(event | {"timestamp": "2024-03-04T12:00:00Z"} | changes).encode()


#: Records that are no events, each for a reason of its own.
GARBAGE: tuple[bytes | None, ...] = (
    None,
    b"",
    b"\xff\xfe\x00",
    b"{",
    b"[]",
    b"null",
    b"[" * 10_000 + b"]" * 10_000,
    b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    _event(timestamp="1e400").replace(b'"1e400"', b"1e400"),
    _event(messageId=7),
    _event(userId=["mallory"]),
    _event(type="shout"),
    _event(properties="none"),
    _event(timestamp="the day before yesterday"),
    b'{"type": "track", "messageId": "x"}',
    b"<html></html>",
)


@pytest.fixture
def running(settings: Settings) -> Settings:
    return prepare(settings.changed(playbook=str(ROOT / "playbooks" / "rees46")))


def in_order(placed: Iterable[tuple[float, Entry]]) -> list[Entry]:
    """The records by their place."""
    return [entry for _, entry in sorted(placed, key=itemgetter(0))]


def among(events: list[Entry], others: list[Entry]) -> list[Entry]:
    """The events in their order, the others anywhere between them."""
    rng = random.Random(11)
    return in_order([*enumerate(events), *((rng.random() * len(events), other) for other in others)])


def again(events: list[Entry]) -> list[tuple[float, Entry]]:
    """(place among the events, event): each up to four times more, at any time behind the first."""
    rng = random.Random(7)
    return [
        (number + rng.random() * len(events), event)
        for number, event in enumerate(events)
        for _ in range(rng.choice((0, 0, 1, 2, 4)))
    ]


def apply_all(settings: Settings, follower: Follower, records: int, **environment: str) -> None:
    """One worker applies so many records, never dies, and ends when it is asked to."""
    with worker("personalise", settings, **environment) as process:

        def done() -> bool:
            assert process.poll() is None, log_of(settings)[-2000:]
            return follower.applied() >= records

        wait_until(done, 600 if FULL else 90, f"{records} records applied")
        process.terminate()
        assert process.wait(40) == 0


def test_garbage_between_good_events_becomes_dead_letters_and_disturbs_nobody(running: Settings, cases: Cases) -> None:
    shop = Shop(1_000)
    bad: list[Entry] = [(b"mallory", GARBAGE[number % len(GARBAGE)]) for number in range(EVENTS // 10)]
    records = among(list(shop.events(EVENTS)), bad)
    produce(running, "customer.events", records)
    with Follower(running) as follower:
        apply_all(running, follower, len(records))
        injected = f"{len(bad):,} of {len(records):,} records, {len(GARBAGE)} kinds"
        row = clean_row(running, follower, shop, "garbage between events", injected, more=len(bad))
    found = [codec.decode(DeadLetter, record.value) for record in read(running, "dead.letters")]
    assert len(found) == len(bad)
    assert len({(letter.topic, letter.partition, letter.offset) for letter in found}) == len(bad), "each once"
    assert all(letter.reason and letter.stage == "personalise" for letter in found)
    cases.passed("60-garbage", row)


def test_nothing_passes_garbage_that_cannot_become_a_dead_letter(running: Settings, cases: Cases) -> None:
    shop = Shop(200)
    bad: list[Entry] = [(b"mallory", GARBAGE[number % len(GARBAGE)]) for number in range(100)]
    with Follower(running) as follower:
        produce(running, "customer.events", list(shop.events(1_000)))
        apply_all(running, follower, 1_000)
        with worker("personalise", running) as process:
            wait_until(lambda: "is open" in log_of(running), 60, "it has lanes")
            alter_topic(running, "dead.letters", max_message_bytes="100")
            produce(running, "customer.events", among(list(shop.events(1_000)), bad))
            assert process.wait(60) == Exit.MISCONFIGURED, log_of(running)[-2000:]
        assert follower.applied() < shop.made + len(bad), "the batch with the garbage is not committed"
        alter_topic(running, "dead.letters", max_message_bytes="1048588")
        with supervised(running) as role:
            waited_s = recovery_s(role, follower, shop.made + len(bad))
        case, injected = "dead letters cannot be written", f"{len(bad)} of {shop.made + len(bad):,} records are garbage"
        row = clean_row(running, follower, shop, case, injected, waited_s, more=len(bad))
    assert len(read(running, "dead.letters")) == len(bad)
    cases.passed("61-dead-letters", row)


def poisoned(number: int) -> Entry:
    """An event that is in order, but makes our code raise where that is armed."""
    return b"mallory", _event(messageId=f"p{number}", properties={"name": "POISON"})


def test_events_that_make_our_code_raise_become_dead_letters_and_hold_up_nobody(
    running: Settings, cases: Cases
) -> None:
    shop = Shop(1_000)
    bad = [poisoned(number) for number in range(EVENTS // 500)]
    records = among(list(shop.events(EVENTS)), bad)
    produce(running, "customer.events", records)
    with Follower(running) as follower:
        apply_all(running, follower, len(records), ATTUNE_FAILPOINTS="core.poison")
        injected = f"{len(bad)} of {len(records):,} events"
        row = clean_row(running, follower, shop, "events that make our code raise", injected, more=len(bad))
    found = [codec.decode(DeadLetter, record.value) for record in read(running, "dead.letters")]
    assert [one.reason for one in found] == ["handler_error"] * len(bad)
    cases.passed("66-poison", row)


def test_without_isolation_one_such_event_stops_its_lane_for_ever(running: Settings, cases: Cases) -> None:
    """The proof that the test above can fail."""
    shop = Shop(200)
    records = among(list(shop.events(1_000)), [poisoned(0)])
    produce(running, "customer.events", records)
    with Follower(running) as follower:
        for _ in range(2):
            with worker("personalise", running, ATTUNE_FAILPOINTS="core.poison,unsafe.isolation") as process:
                assert process.wait(60) == Exit.SOFTWARE, log_of(running)[-2000:]
        lost = len(records) - follower.applied()
    assert lost > 0
    cases.unprotected("66-poison", f"1 event: the worker ends at each start, {lost:,} records are never applied")


def test_events_that_come_again_within_a_week_count_once(running: Settings, cases: Cases) -> None:
    shop = Shop(300, began_s=RECENTLY_S, step_s=DAY_S / EVENTS)
    once = list(shop.events(EVENTS))
    copies = again(once)
    records = in_order([*enumerate(once), *copies])
    produce(running, "customer.events", records)
    with Follower(running) as follower:
        apply_all(running, follower, len(records))
        injected = f"{EVENTS:,} events, {len(copies):,} come again up to a day later"
        row = clean_row(running, follower, shop, "events come again", injected, more=len(copies))
    cases.passed("62-resends", row)


def test_events_that_come_again_after_a_week_are_counted_again(running: Settings, cases: Cases) -> None:
    """The proof that the test above can fail: what is older than a week is forgotten behind its batch."""
    shop = Shop(300)
    once = list(shop.events(2_000))
    records = in_order([*enumerate(once), *again(once)])
    produce(running, "customer.events", records)
    with Follower(running) as follower:
        apply_all(running, follower, len(records), ATTUNE_BATCH_RECORDS="100")
        wrong = differences(follower.profiles(), shop)
    assert wrong != []
    cases.unprotected("62-resends", f"older than a week: {len(wrong)} or more profiles count them again")


def test_one_customer_with_all_events_twice_counts_each_once(running: Settings, cases: Cases) -> None:
    shop = Shop(1, began_s=RECENTLY_S)
    once = list(shop.events(10_000))
    records = once + once
    produce(running, "customer.events", records)
    with Follower(running) as follower:
        apply_all(running, follower, len(records))
        row = clean_row(running, follower, shop, "one customer, everything again", "10,000 events", more=len(once))
    cases.passed("63-one-customer", row)


def test_events_out_of_order_leave_the_same_profiles(running: Settings, cases: Cases) -> None:
    shop, rng = Shop(300, began_s=RECENTLY_S, step_s=10.0), random.Random(2)
    events = list(shop.events(EVENTS))
    records = in_order((place + rng.random() * LATE_PLACES, event) for place, event in enumerate(events))
    assert records != events
    produce(running, "customer.events", records)
    with Follower(running) as follower:
        apply_all(running, follower, len(records))
        injected = f"{EVENTS:,} events, each up to {LATE_PLACES} places late"
        row = clean_row(running, follower, shop, "events out of order", injected)
    cases.passed("64-out-of-order", row)


def test_clocks_that_go_wrong_and_instants_in_every_unit_leave_right_profiles(running: Settings, cases: Cases) -> None:
    count = EVENTS // 5
    shop = Shop(200, began_s=RECENTLY_S, step_s=30_000.0 / count)  # the last before now: the future is refused
    good = [in_another_unit(number, event) for number, event in enumerate(shop.events(count))]
    year_s = 365 * DAY_S
    ahead: list[Entry] = [
        (b"mallory", _event(messageId=f"a{n}", timestamp=time.time() + year_s + n)) for n in range(20)
    ]
    behind: list[Entry] = [
        (b"rip", _event(messageId=f"b{n}", userId="rip", timestamp=RECENTLY_S - year_s)) for n in range(20)
    ]
    unset: list[Entry] = [(b"mallory", _event(messageId=f"u{n}", timestamp="1970-01-01T00:00:00Z")) for n in range(20)]
    produce(running, "shop.events", among(good, [*ahead, *behind, *unset]))
    with Follower(running) as follower, workers(running, "intake", "personalise"):

        def applied() -> int:
            follower.applied()
            return sum(profile.events for profile in follower.profiles().values())

        wait_until(lambda: applied() >= len(good) + len(behind), 120, "everything is applied")
        wait_until(lambda: len(read(running, "dead.letters")) >= len(ahead) + len(unset), 60, "the others are refused")
        profiles = follower.profiles()
    assert profiles.pop("rip").events == len(behind)
    wrong, twice = differences(profiles, shop), repeated(running)
    assert (wrong, twice) == ([], {})
    letters = [codec.decode(DeadLetter, record.value) for record in read(running, "dead.letters")]
    assert [one.reason for one in letters] == ["bad_timestamp"] * (len(ahead) + len(unset))
    row = Row(
        case="clocks a year ahead, a year behind, never set; seconds, milli-, micro- and nanoseconds",
        injected=f"{len(ahead)}, {len(behind)} and {len(unset)} of {len(good) + 60:,} events",
        lost=len(good) - sum(profile.events for profile in profiles.values()),
        duplicated=sum(twice.values()),
        differences=len(wrong),
    )
    cases.passed("67-clocks", row)


def in_another_unit(number: int, entry: Entry) -> Entry:
    """The same event, its instant as ISO 8601, or as a number of seconds, milli-, micro- or nanoseconds."""
    event = json.loads(entry[1] or b"")
    at_s = datetime.fromisoformat(event["timestamp"]).timestamp()
    event["timestamp"] = (event["timestamp"], at_s, int(at_s * 1e3), int(at_s * 1e6), int(at_s) * 10**9)[number % 5]
    return entry[0], json.dumps(event).encode()
