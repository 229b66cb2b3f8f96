"""The LLM breaks in every way: no customer is spoken to twice, every request ends once, and nothing that is no copy leaves."""

from __future__ import annotations

import json
import time
from itertools import cycle

import pytest

from infra.kafka.ports import pick_port
from infra.kafka.properties import HOST
from schemas import codec
from schemas.messages import Message
from tests.faults.table import Cases, Row
from tests.support.carts import fill_carts, ledger, outcomes, workers
from tests.support.faults import FULL, repeated
from tests.support.llm import MODEL, FakeLlm, Fault
from tests.support.service import rss_mb
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, read, worker
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(1800 if FULL else 240)]

CUSTOMERS = 1_000 if FULL else 60
OUTAGE_S = 600.0 if FULL else 0.0
CHANNELS = ("messages.push", "messages.email")
MAX_RSS_MB = 500
GARBAGE = (
    Fault.HTML,
    Fault.TRUNCATED,
    Fault.WRONG_SHAPE,
    Fault.EMPTY,
    Fault.EMPTY_TEXT,
    Fault.NAN,
    Fault.HUGE,
    Fault.CUT,
    Fault.ENDLESS,
    Fault.GOOD,  # JSON, but no sentence: words in the fields that the schema wants
)
_TITLE = "Your Smart Band is waiting"
#: What a model may say in a reply that is whole.
GARBAGE_TEXTS = (
    "Sure! Here is your message.",
    "{",
    "[]",
    "null",
    "NaN",
    "<html><body>502</body></html>",
    json.dumps({"title": 7, "body": None}),
    json.dumps({"title": "", "body": ""}),
    json.dumps({"subject": "Hello"}),
    json.dumps({"title": _TITLE, "body": "x" * 10_000}),
    json.dumps({"title": _TITLE, "body": "Votre bracelet vous attend toujours dans votre panier, venez le revoir."}),
    json.dumps({"title": "智能手环", "body": "您的智能手环还在购物车里，欢迎回来看看。"}),
    json.dumps({"title": _TITLE, "body": "Buy now at https://evil.example/x and save."}),
    json.dumps({"title": _TITLE, "body": "Use code SAVE50: 50% off your Smart Band, today only!"}),
    json.dumps({"title": _TITLE, "body": "<b>Smart Band</b>: <script>alert(1)</script> in your cart."}),
    json.dumps({"title": _TITLE, "body": "Your Smart Band \u202egnitiaw si."}),
    json.dumps({"title": _TITLE, "body": "It cures high blood pressure and lasts 90 days."}),
    json.dumps({"title": _TITLE, "body": "As an AI language model I cannot write this."}),
)
WORDS = json.dumps(
    {
        "title": "Still thinking it over?",
        "body": "Workout recording and sleep tracking: your Smart Band is still in your cart.",
    }
)


@pytest.fixture
def running(settings: Settings) -> Settings:
    """Half an hour of hesitation takes a second; what an LLM may take is as always."""
    return prepare(settings).changed(
        playbook=str(ROOT / "playbooks" / "smart-devices"),
        speedup=1800.0,
        llm_model=MODEL,
        llm_deadline_s=3.0,
    )


def names(prefix: str, number: int) -> list[str]:
    return [f"{prefix}-{index}" for index in range(number)]


def requested(settings: Settings) -> set[str | None]:
    return {decision.message_id for decision in ledger(settings) if decision.reason == "requested"}


def decided(settings: Settings, prefix: str) -> int:
    """How many carts of the customers of a prefix are decided."""
    return sum(one.user_id.startswith(f"{prefix}-") for one in ledger(settings))


def wait_ended(settings: Settings, prefix: str, customers: int) -> None:
    """Until the carts of so many customers are decided, and every request has ended."""
    wait_until(lambda: decided(settings, prefix) >= customers, 120, "every cart is decided")
    asked = requested(settings)
    wait_until(lambda: {one.message_id for one in outcomes(settings)} >= asked, 180, "every request has ended")


def messages(settings: Settings) -> list[Message]:
    return [codec.decode(Message, record.value) for topic in CHANNELS for record in read(settings, topic)]


def written_by(settings: Settings, prefix: str) -> set[str]:
    """Who has written what the customers of a prefix got."""
    return {
        one.generated_by or ""
        for one in outcomes(settings)
        if one.reason == "published" and one.user_id.startswith(prefix)
    }


def ended_row(settings: Settings, case: str, injected: str, recovered_s: float | None = None) -> Row:
    """The row of a case all of whose requests should have ended once; fails with what is wrong."""
    asked, ended, twice = requested(settings), [one.message_id for one in outcomes(settings)], repeated(settings)
    assert asked, "there was something to write"
    lost, wrong = len(asked - set(ended)), len(set(ended) - asked)
    assert (lost, wrong, twice) == (0, 0, {})
    duplicated = sum(twice.values()) + len(ended) - len(set(ended))
    return Row(
        case=case, injected=injected, lost=lost, duplicated=duplicated, differences=wrong, recovery_s=recovered_s
    )


def test_one_call_hangs_the_others_are_done_and_generate_is_killed(running: Settings, cases: Cases) -> None:
    running = running.changed(llm_deadline_s=40.0)
    with FakeLlm() as llm:
        llm.text = WORDS
        running = running.changed(llm=llm.base_url)
        with worker("personalise", running) as personalise:
            with worker("generate", running) as process:
                until_written(running, "a")
                before = len(messages(running))
                llm.mix = iter([Fault.SLOW])
                fill_carts(running, names("b", 8), "b")
                wait_until(lambda: decided(running, "b") == 8, 60, "every cart is decided")
                others = len(requested(running)) - before - 1
                wait_until(lambda: len(messages(running)) - before >= others, 60, "all but the one that hangs are out")
                assert next(llm.mix, None) is None, "one hangs"
                assert len(messages(running)) - before == others
                process.kill()
                process.wait()
            # generate   ├─ call 1 ·········· hangs ········✗ kill -9
            #            ├─ calls 2 to 8 ─┤ published          ├─ asks call 1 again ─┤
            killed_s = time.monotonic()
            llm.release()
            with worker("generate", running):
                wait_ended(running, "b", 8)
            row = ended_row(
                running,
                "one LLM call hangs, the others are done, kill -9 of generate",
                f"1 of {others + 1} calls, 1 kill",
                time.monotonic() - killed_s,
            )
            assert personalise.poll() is None
        assert written_by(running, "b") == {"llm"}
    cases.passed("50-hanging-call", row)


def test_garbage_from_the_llm_never_leaves(running: Settings, cases: Cases) -> None:
    with FakeLlm() as llm:
        llm.mix = cycle(GARBAGE)
        running = running.changed(llm=llm.base_url)
        with workers(running, "personalise", "generate") as (personalise, generate):
            fill_carts(running, names("a", CUSTOMERS), "a")
            wait_ended(running, "a", CUSTOMERS)
            assert (personalise.poll(), generate.poll()) == (None, None)
            most_mb = rss_mb(generate.pid)
        assert most_mb < MAX_RSS_MB
        injected = f"{len(llm.requests):,} replies of {len(GARBAGE)} kinds; generate had at most {most_mb:.0f} MB"
        row = ended_row(running, "garbage from the LLM", injected)
    assert written_by(running, "a") == {"template"}
    cases.passed("51-garbage-replies", row)


def test_garbage_in_whole_replies_never_leaves_either(running: Settings, cases: Cases) -> None:
    with FakeLlm() as llm:
        llm.texts = cycle(GARBAGE_TEXTS)
        running = running.changed(llm=llm.base_url)
        with workers(running, "personalise", "generate"):
            fill_carts(running, names("a", CUSTOMERS), "a")
            wait_ended(running, "a", CUSTOMERS)
        assert len(llm.requests) >= len(requested(running)), "no breaker stands between"
        injected = f"{len(llm.requests):,} replies of {len(GARBAGE_TEXTS)} kinds"
        row = ended_row(running, "an LLM that talks nonsense", injected)
    assert written_by(running, "a") == {"template"}
    cases.passed("52-nonsense", row)


def test_an_llm_that_fails_half_of_the_time_costs_words_and_no_message(running: Settings, cases: Cases) -> None:
    with FakeLlm() as llm:
        llm.text, llm.mix = WORDS, cycle((Fault.GOOD, Fault.BROKEN, Fault.GOOD, Fault.RESET))
        running = running.changed(llm=llm.base_url)
        with workers(running, "personalise", "generate"):
            fill_carts(running, names("a", CUSTOMERS), "a")
            wait_ended(running, "a", CUSTOMERS)
            llm.mix = iter(())
            back_s = time.monotonic()
            until_written(running, "b")
            waited_s = time.monotonic() - back_s
        injected = f"{len(llm.requests):,} calls, half of them 500 or reset"
        row = ended_row(running, "an LLM that fails half of the time", injected, waited_s)
    assert "llm" in written_by(running, "a"), "what came was used"
    cases.passed("53-flapping", row)


def test_an_llm_that_is_down_costs_words_and_is_used_again_when_it_is_back(running: Settings, cases: Cases) -> None:
    port = pick_port()
    running = running.changed(llm=f"http://{HOST}:{port}")
    with workers(running, "personalise", "generate"):
        with FakeLlm(port=port) as llm:
            llm.text = WORDS
            until_written(running, "a")
        ends_at_s, rounds = time.monotonic() + OUTAGE_S, 0
        while rounds == 0 or time.monotonic() < ends_at_s:
            fill_carts(running, names(f"down{rounds:03}", CUSTOMERS), f"down{rounds:03}")
            wait_ended(running, f"down{rounds:03}", CUSTOMERS)
            rounds += 1
        assert written_by(running, "down") == {"template"}
        with FakeLlm(port=port) as back:
            back.text = WORDS
            back_s = time.monotonic()
            until_written(running, "b")
            waited_s = time.monotonic() - back_s
            before = len(back.requests)
            fill_carts(running, names("c", CUSTOMERS), "c")
            wait_ended(running, "c", CUSTOMERS)
            asked = sum(one.user_id.startswith("c-") for one in outcomes(running))
            assert len(back.requests) - before <= 1.1 * asked + 1, "no herd follows"
    injected = f"{rounds * CUSTOMERS:,} carts meanwhile" + (f", {OUTAGE_S / 60:.0f} minutes" if OUTAGE_S else "")
    row = ended_row(running, "the LLM is down", injected, waited_s)
    cases.passed("54-down", row)


def test_an_llm_that_never_ends_its_answers_costs_words_and_holds_up_nobody(running: Settings, cases: Cases) -> None:
    with FakeLlm() as llm:
        llm.text = WORDS
        running = running.changed(llm=llm.base_url)
        with workers(running, "personalise", "generate"):
            until_written(running, "a")
            llm.fault = Fault.STUCK
            fill_carts(running, names("stuck", CUSTOMERS), "stuck")
            wait_ended(running, "stuck", CUSTOMERS)
            assert written_by(running, "stuck") == {"template"}
            assert llm.max_concurrent <= running.llm.in_flight
            llm.fault = Fault.GOOD
            llm.release()
            back_s = time.monotonic()
            until_written(running, "b")
            waited_s = time.monotonic() - back_s
        injected = f"{CUSTOMERS:,} carts meanwhile, at most {llm.max_concurrent} calls at once"
        row = ended_row(running, "an LLM that begins its answers and does not end them", injected, waited_s)
    cases.passed("55-stuck", row)


def test_an_llm_that_asks_for_patience_gets_it(running: Settings, cases: Cases) -> None:
    with FakeLlm() as llm:
        llm.text, llm.mix = WORDS, cycle((Fault.GOOD, Fault.BUSY))
        running = running.changed(llm=llm.base_url)
        with workers(running, "personalise", "generate"):
            fill_carts(running, names("a", CUSTOMERS), "a")
            wait_ended(running, "a", CUSTOMERS)
        injected = f"{len(llm.requests):,} calls, half of them 429 with Retry-After"
        row = ended_row(running, "an LLM that is too busy half of the time", injected)
        assert len(llm.requests) <= 2 * len(requested(running)) + 2, "nobody storms a busy server"
    cases.passed("56-busy", row)


def until_written(settings: Settings, prefix: str) -> None:
    """Carts, one after the other, until the LLM has written to one of their customers."""
    asked = iter(range(1_000))

    def written() -> bool:
        number = next(asked)
        fill_carts(settings, [f"{prefix}-{number}"], f"{prefix}{number}")
        wait_until(lambda: any(one.user_id == f"{prefix}-{number}" for one in ledger(settings)), 60, "it is decided")
        wait_until(lambda: {one.message_id for one in outcomes(settings)} >= requested(settings), 60, "it has ended")
        return "llm" in written_by(settings, prefix)

    wait_until(written, 120, "the LLM writes")
