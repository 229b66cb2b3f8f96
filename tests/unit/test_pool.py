"""Texts written ahead: slots, what is approved, what one request draws, and what the writer makes of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from prometheus_client import generate_latest

from schemas.learning import PoolEntry
from schemas.messages import Candidate, MessageRequest, MessageText, ProductFacts
from tests.support.playbooks import CAMPAIGN, NOW, facts, models, playbook, request
from tests.support.pool import TEXTS, entry, pool_of, pooled_playbook, record
from workers.adapters.llm.min_temperature import MinimumTemperature
from workers.adapters.observability.metrics import WorkerMetrics
from workers.core.generation.llm import Completion, CompletionRequest, PromptSize
from workers.core.generation.pool.entries import ApprovedTexts, TextPool, key_for, key_of
from workers.core.generation.pool.selection import Pooled
from workers.core.generation.pool.slots import SLOTS, InvalidSlot, filled, slots_of, values_for, with_name_slot
from workers.core.generation.rendering import product_words
from workers.core.generation.templates import template_text
from workers.core.guardrails.check import NAMES, passed
from workers.core.text.near_duplicates import sketch
from workers.roles.text_writer import Writer
from workers.settings import Settings


def drawn(entries: list[PoolEntry], asked: MessageRequest | None = None, **campaign: Any) -> Any:
    """What one request draws."""
    shelf = pool_of(entries).current
    return Pooled(pooled_playbook(**campaign), lambda: shelf, models()).draw(asked or request(), NOW)


# -- slots -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", ["Hi {first_name}.", "Your {product name}.", "Your {", "Your }.", "{{product_name}}", "{}"]
)
def test_a_slot_that_does_not_exist_is_refused_with_those_that_do(body: str) -> None:
    with pytest.raises(InvalidSlot, match=r"body: .*\{product_name\}, .*\{quantity\}"):
        slots_of(MessageText(title="ok", body=body))


def test_every_slot_is_filled_with_the_words_of_templates() -> None:
    product = ProductFacts(product_id="p", name="Phone* 3{", brand="samsung", price=9.5, currency="EUR", quantity=3)
    words = product_words(playbook(), "en", product)
    values = values_for(playbook(), "en", product)
    assert set(values) == set(SLOTS)
    assert values["product_name"] == words.name == "Phone 3"
    assert (values["brand"], values["price"], values["quantity"]) == ("Samsung", "9.5 EUR", "3")


def test_a_hostile_name_leaves_its_slot_empty_and_the_text_unusable() -> None:
    values = values_for(playbook(), "en", ProductFacts(product_id="p", name="Buy at www.evil.com"))
    assert values["product_name"] == ""
    assert filled(MessageText(body="Your {product_name}."), values, "en") is None


def test_a_filled_chinese_text_is_set_like_a_template() -> None:
    done = filled(MessageText(body="您的{product_name}还在。"), {"product_name": "Galaxy S10"}, "zh")
    assert done == MessageText(body="您的 Galaxy S10 还在。")


def test_opening_and_filling_a_text_gives_it_back() -> None:
    text = MessageText(title="Your Smart Band", body="A Smart Band for Smart Bands, smart band.")
    slotted = with_name_slot(text, "Smart Band")
    assert slotted == MessageText(title="Your {product_name}", body="A {product_name} for Smart Bands, smart band.")
    assert filled(slotted, {"product_name": "Smart Band"}, "en") == text
    assert with_name_slot(text, "") == text


# -- what is approved --------------------------------------------------------------------------------------------------


def test_only_approved_entries_stand_on_the_shelf() -> None:
    pool = pool_of([entry(0), entry(1, status="draft"), entry(2, status="rejected"), entry(3, status="retired")])
    assert [one.entry_id for one in pool.current.order(key_for(request()), "m")] == ["e0"]
    assert len(pool.entries) == 4


def test_the_newest_word_on_an_entry_holds_in_whatever_order_it_comes() -> None:
    later = NOW + timedelta(seconds=1)
    retired = entry(0, status="retired", updated_at=later)
    for history in ([entry(0), retired], [retired, entry(0)], [entry(0), retired, retired]):
        assert pool_of(history).current.entries == {}
    back = entry(0, updated_at=later + timedelta(seconds=1))
    assert pool_of([entry(0), retired, back]).current.entries == {key_of(entry(0)): (back,)}


def test_an_entry_that_changes_what_it_is_for_leaves_its_old_place() -> None:
    moved = entry(0, target_group="young", updated_at=NOW + timedelta(seconds=1))
    assert pool_of([entry(0), moved]).current.entries == {key_of(moved): (moved,)}


def test_a_tombstone_takes_an_entry_away() -> None:
    pool = pool_of([entry(0), entry(1)])
    assert pool.take(msgspec.structs.replace(record(entry(0)), value=None))
    assert list(pool.entries) == ["e1"]
    assert [one.entry_id for one in pool.current.order(key_for(request()), "m")] == ["e1"]


def test_what_is_no_entry_is_ignored_and_counted() -> None:
    pool = pool_of([entry(0)])
    good = record(entry(1))
    for wrong in ({"value": b"{"}, {"key": b"other"}, {"topic": "control.switches"}):
        assert not pool.take(msgspec.structs.replace(good, **wrong))
    assert pool.ignored == 3
    assert pool.current.entries == {key_of(entry(0)): (entry(0),)}


def test_an_entry_with_an_unknown_slot_never_stands_on_the_shelf_and_replaces_what_it_was() -> None:
    bad = entry(0, text=MessageText(title="Hi {first_name}", body="Your cart."), updated_at=NOW + timedelta(seconds=1))
    pool = pool_of([entry(0), bad])
    assert pool.current.entries == {}
    assert pool.entries == {"e0": bad}
    assert pool.ignored == 1


def test_the_shelf_is_the_same_object_until_something_changes() -> None:
    pool = pool_of([entry(0)])
    before = pool.current
    pool.take(record(entry(1, status="draft")))
    assert pool.current is before
    pool.take(record(entry(1, updated_at=NOW + timedelta(seconds=1))))
    assert pool.current is not before
    assert len(before.entries[key_for(request())]) == 1


def test_messages_spread_evenly_over_the_entries_and_over_the_second_ones_too() -> None:
    shelf = pool_of([entry(number) for number in range(4)]).current
    orders = [[one.entry_id for one in shelf.order(key_for(request()), f"m{number}")] for number in range(2000)]
    assert all(sorted(order) == ["e0", "e1", "e2", "e3"] for order in orders)
    for place in range(4):
        assert all(430 < times < 570 for times in Counter(order[place] for order in orders).values())
    seconds = Counter(order[1] for order in orders if order[0] == "e0")
    assert all(120 < times < 210 for times in seconds.values())


# -- one request -------------------------------------------------------------------------------------------------------


def test_a_request_gets_an_approved_text_with_its_slots_filled_and_checked() -> None:
    result = drawn([entry(0)])
    candidate = result.candidate
    assert result.result == "taken"
    assert candidate.text == MessageText(
        title="Your Smart Band is waiting", body="Workout recording and sleep tracking, still in your cart."
    )
    assert (candidate.generated_by, candidate.pool_entry_id, candidate.failure) == ("pool", "e0", "")
    assert (candidate.usage.model, candidate.usage.calls, candidate.prompt_version) == ("tiny", 0, "p-1")
    assert [verdict.name for verdict in candidate.verdicts] == list(NAMES)
    assert passed(candidate.verdicts)
    assert (candidate.message_id, candidate.user_id, candidate.generated_at) == ("m-1", "ana", NOW)


def test_the_same_request_gets_the_same_text_and_others_get_all() -> None:
    entries = [entry(number) for number in range(3)]
    ids = {drawn(entries, request(message_id=f"m{n}")).candidate.pool_entry_id for n in range(40)}
    assert ids == {"e0", "e1", "e2"}
    assert len({drawn(entries, request(message_id="m7")).candidate.pool_entry_id for _ in range(5)}) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"campaign_id": "cross-sell"},
        {"prompt": "cart-abandonment-question"},
        {"tone": "warm"},
        {"channel": "email"},
        {"language": "zh"},
        {"target_group": "young"},
        {"product_id": "ear-tips"},
        {"status": "draft"},
    ],
)
def test_a_text_that_was_written_for_something_else_is_not_taken(other: dict[str, str]) -> None:
    result = drawn([entry(0, **other)])
    assert (result.result, result.candidate) == ("no_entry", None)


@pytest.mark.parametrize(
    "body",
    [
        "Up to 9 days of battery life, still in your cart: the {product_name}.",  # no fact says that (any more)
        "Your {product_name} costs {price} and the strap is free.",
        "Your {product_name} by {brand} is still in your cart.",  # this product has no brand
        "{product_name}.",  # too short for the channel
        "Your {product_name}, a thing of beauty " + "and of use " * 15 + "in your cart.",  # too long
    ],
)
def test_a_text_that_does_not_fit_gives_way_to_another(body: str) -> None:
    unfit = entry(0, text=MessageText(title="Your {product_name}", body=body))
    assert drawn([unfit]).result == "none_passed"
    for number in range(10):
        assert drawn([unfit, entry(1)], request(message_id=f"m{number}")).candidate.pool_entry_id == "e1"


def test_what_an_approved_text_may_say_is_decided_by_the_facts_of_this_request() -> None:
    known = facts("smart-band", "en")
    shorter = msgspec.structs.replace(known, facts=[fact for fact in known.facts if "7 days" not in fact])
    shelf = pool_of([entry(2)]).current
    pooled = Pooled(pooled_playbook(), lambda: shelf, models())
    results = [pooled.draw(request(product), NOW) for product in (known, shorter, known)]
    assert [result and result.result for result in results] == ["taken", "none_passed", "taken"]


def test_remembering_what_was_checked_does_not_mix_customers_up() -> None:
    shelf = pool_of(
        [entry(0, text=MessageText(title="Your cart", body="You chose {quantity}: the {product_name}."))]
    ).current
    pooled = Pooled(pooled_playbook(), lambda: shelf, models())
    said = []
    for number in (1, 2, 3, 2, 1):
        product = msgspec.structs.replace(facts("smart-band", "en"), quantity=number)
        result = pooled.draw(msgspec.structs.replace(request(product), user_id=f"u{number}"), NOW)
        assert result is not None
        assert result.candidate is not None
        assert result.candidate.user_id == f"u{number}"
        said.append(result.candidate.text.body)
    assert said == [f"You chose {number}: the Smart Band." for number in (1, 2, 3, 2, 1)]


def test_a_customer_is_not_told_the_same_again_while_others_are() -> None:
    shelf = pool_of([entry(0), entry(1)]).current
    pooled = Pooled(pooled_playbook(), lambda: shelf, models())

    def told(*before: str) -> tuple[str, str]:
        known = msgspec.structs.replace(request(), sketches=[sketch(body) for body in before])
        result = pooled.draw(known, NOW)
        assert result is not None
        return result.result, result.candidate.text.body if result.candidate else ""

    first = told()[1]
    second = told(first)[1]
    assert first != second != ""
    assert told(first, second) == ("none_passed", "")
    assert told("Something else entirely.") == ("taken", first)


@pytest.mark.parametrize(
    "asked", [request(group="generic"), request(channel="fax"), msgspec.structs.replace(request(), campaign_id="gone")]
)
def test_who_must_not_be_spoken_to_personally_and_what_is_unknown_is_not_served(asked: MessageRequest) -> None:
    assert drawn([entry(0, target_group="generic"), entry(1)], asked) is None


def test_a_fresh_campaign_never_draws() -> None:
    shelf = pool_of([entry(0)]).current
    assert Pooled(playbook(), lambda: shelf).draw(request(), NOW) is None


def test_a_text_is_worn_once_it_was_used_as_often_as_the_campaign_says() -> None:
    shelf = pool_of([entry(0)]).current
    pooled = Pooled(pooled_playbook(pool_wear=3), lambda: shelf)
    results = [pooled.draw(request(message_id=f"m{number}"), NOW) for number in range(5)]
    assert [result.worn for result in results if result] == ["", "", "e0", "", ""]
    assert all(result and result.candidate for result in results), "a worn text is still better than none"


# -- the writer --------------------------------------------------------------------------------------------------------


class Model:
    """Answers every call with one text and keeps what it was asked."""

    name = "tiny"

    def __init__(self, text: str = "") -> None:
        self.asked: list[CompletionRequest] = []
        self._text = text

    async def size(self, request: CompletionRequest) -> PromptSize | None:
        return None

    async def complete(self, request: CompletionRequest, timeout_s: float) -> Completion:
        self.asked.append(request)
        return Completion(text=self._text, model="tiny", finish_reason="stop")


FRESH = '{"title": "Your Smart Band", "body": "Heart-rate monitoring and sleep tracking, in your cart."}'


def written(
    entries: list[PoolEntry], asked: MessageRequest, model: Model, metrics: WorkerMetrics, **campaign: Any
) -> Candidate:
    """What the writer makes of a request."""
    known, shelf = pooled_playbook(**campaign), pool_of(entries).current
    pooled = Pooled(known, lambda: shelf, models())
    writer = Writer(Settings(clock="event"), known, model, models(), metrics, pooled)
    later = msgspec.structs.replace(asked, deadline_at=asked.requested_at + timedelta(minutes=1))
    return asyncio.run(writer.write(later))


def counted(metrics: WorkerMetrics, name: str) -> dict[str, float]:
    """Labels → value of one counter."""
    lines = generate_latest(metrics.registry).decode().splitlines()
    found = (line.removeprefix(name).rsplit(" ", 1) for line in lines if line.startswith(name + "{"))
    return {labels: float(value) for labels, value in found}


def test_a_pooled_request_costs_no_call() -> None:
    model, metrics = Model(FRESH), WorkerMetrics()
    candidate = written([entry(0)], request(), model, metrics, pool_wear=1)
    assert (candidate.generated_by, candidate.pool_entry_id) == ("pool", "e0")
    assert model.asked == []
    assert counted(metrics, "attune_pool_draws_total") == {f'{{campaign="{CAMPAIGN}",result="taken"}}': 1}
    assert counted(metrics, "attune_pool_worn_total") == {f'{{campaign="{CAMPAIGN}"}}': 1}
    assert counted(metrics, "attune_texts_total") == {'{failure="",generated_by="pool",language="en"}': 1}


def test_a_miss_is_the_template_unless_the_playbook_says_otherwise() -> None:
    model, metrics = Model(FRESH), WorkerMetrics()
    candidate = written([], request(), model, metrics)
    product = facts("smart-band", "en")
    assert candidate.text == template_text(playbook(), CAMPAIGN, "en", "sports", "push", product)[0]
    assert (candidate.generated_by, candidate.failure) == ("template", "pool_miss")
    assert model.asked == []
    assert counted(metrics, "attune_pool_draws_total") == {f'{{campaign="{CAMPAIGN}",result="no_entry"}}': 1}


def test_a_miss_is_written_fresh_where_the_playbook_says_so() -> None:
    model, metrics = Model(FRESH), WorkerMetrics()
    candidate = written([], request(), model, metrics, pool_miss="fresh")
    assert (candidate.generated_by, candidate.failure) == ("llm", "")
    assert len(model.asked) == 1


def test_customers_without_personalisation_get_the_generic_template_of_a_pooled_campaign() -> None:
    model = Model(FRESH)
    candidate = written([entry(0, target_group="generic")], request(group="generic"), model, WorkerMetrics())
    assert (candidate.generated_by, candidate.failure) == ("template", "not_personalised")
    assert model.asked == []


@pytest.mark.parametrize(("asked", "least", "used"), [(0.3, 0.7, 0.7), (0.9, 0.7, 0.9), (0.3, 0.0, 0.3)])
def test_texts_that_should_differ_are_sampled_warmer(asked: float, least: float, used: float) -> None:
    model = Model()
    asyncio.run(MinimumTemperature(model, least).complete(CompletionRequest(messages=(), temperature=asked), 1.0))
    assert [call.temperature for call in model.asked] == [used]


def test_an_empty_shelf_has_no_order() -> None:
    assert (
        list(ApprovedTexts().order(key_for(request()), "m"))
        == list(TextPool().current.order(key_for(request()), "m"))
        == []
    )


def test_every_text_of_these_tests_would_be_approved() -> None:
    assert len(TEXTS) == 3
    assert all(drawn([entry(number)]).result == "taken" for number in range(3))
