"""Guardrails: bad texts of every kind are stopped, and plain good copy passes."""

from __future__ import annotations

from collections import Counter

import pytest

from schemas.messages import MessageText, ProductFacts
from tests.fuzz.worst import cpu_s
from tests.support.cpu_time import slowness
from tests.support.playbooks import models, playbook, request
from tests.unit.labelled_texts import BAD, GOOD, Labelled, push
from workers.core.guardrails.check import LONGEST_MESSAGE, NAMES, check
from workers.core.guardrails.models import NO_MODELS

LABELLED = [*GOOD, *BAD]


def verdicts(labelled: Labelled) -> dict[str, str]:
    """Guardrail → reason, of those that say no."""
    about = request(labelled.product, language=labelled.language, channel=labelled.channel)
    checked = check(labelled.text, about, playbook(), models())
    assert [verdict.name for verdict in checked] == list(NAMES)
    return {verdict.name: verdict.detail for verdict in checked if not verdict.passed}


@pytest.mark.parametrize("labelled", LABELLED, ids=lambda item: f"{item.rejected_by or 'good'}-{item.text.body[:24]}")
def test_a_text_is_judged_as_a_person_judged_it(labelled: Labelled) -> None:
    found = verdicts(labelled)
    if labelled.rejected_by:
        assert labelled.rejected_by in found
        assert found[labelled.rejected_by]
    else:
        assert found == {}


def test_the_labelled_texts_cover_both_languages_and_every_guardrail() -> None:
    assert len(LABELLED) >= 60
    languages = Counter((item.language, bool(item.rejected_by)) for item in LABELLED)
    assert min(languages[spoken, bad] for spoken in ("zh", "en") for bad in (False, True)) >= 10
    assert {item.rejected_by for item in BAD} == set(NAMES) - {
        "examples",
        "duplicate",
        "unsupported",
    }  # they need more than a text


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        ("The strap holds up to 7 days of battery.", True),
        ("Up to 7 days of battery life for you.", True),
        ("Up to 7.0 days of battery life for you.", True),
        ("Up to one week of battery life for you.", True),
        ("A 7-day battery for the Smart Band.", True),
        ("Two Smart Bands for 299 yuan, ready.", True),
        ("Your 2 Smart Bands are still waiting.", True),
        ("Your 3 Smart Bands are still waiting.", False),
        ("Smart Band for 299.00 CNY, ready now.", True),
        ("Smart Band for 1,299 CNY, ready now.", False),
        ("Smart Band for €299, still waiting now.", False),
        ("The Smart Band works 24/7 for you.", False),
        ("Smart Band: 10x the fun, all day long.", False),
        ("One day at a time with the Smart Band.", True),
        ("Smart Band with a one day battery, ready.", False),
    ],
)
def test_numbers_are_those_of_facts_price_and_quantity(body: str, passes: bool) -> None:
    product = ProductFacts(
        product_id="smart-band",
        name="Smart Band",
        facts=["up to 7 days of battery life"],
        price=299.0,
        currency="CNY",
        quantity=2,
    )
    checked = check(push("Your Smart Band", body), request(product), playbook())
    assert next(verdict for verdict in checked if verdict.name == "numbers").passed is passes


@pytest.mark.parametrize(
    ("body", "passes"),
    [
        ("智能手环续航最长 7 天，回来看看吧。", True),
        ("智能手环续航最长七天，回来看看吧。", True),
        ("智能手环续航最长一周，回来看看吧。", True),
        ("忙碌一天之后，看看智能手环。", True),
        ("智能手环陪你度过一整天，回来看看吧。", True),
        ("智能手环十分舒适，回来看看吧。", True),
        ("智能手环 299 元，回来看看吧。", True),
        ("智能手环二百九十九元，回来看看吧。", True),
        ("智能手环续航七个月，回来看看吧。", False),
        ("智能手环二十四小时陪着你，回来看看吧。", False),
        ("智能手环便宜百分之五十，回来看看吧。", False),
        ("智能手环提升３倍效率，回来看看吧。", False),
    ],
)
def test_chinese_numbers_are_read_in_characters_and_digits(body: str, passes: bool) -> None:
    checked = check(push("智能手环在等你", body), request(language="zh"), playbook())
    assert next(verdict for verdict in checked if verdict.name == "numbers").passed is passes


def test_an_offer_is_allowed_only_when_the_facts_state_it_and_not_when_only_the_name_does() -> None:
    text = push("Your Smart Band", "Your Smart Band comes with free shipping.")
    stated = ProductFacts(product_id="x", name="Smart Band", facts=["free shipping"])
    named = ProductFacts(product_id="x", name="Smart Band free shipping")
    assert rejected_by(text, stated) == set()
    assert "offers" in rejected_by(text, named)


def test_a_link_is_never_grounded() -> None:
    product = ProductFacts(product_id="x", name="Smart Band", facts=["see https://shop.example/band"])
    assert "contact" in rejected_by(push("Your Smart Band", "See https://shop.example/band for it."), product)


def test_a_model_number_in_the_name_is_no_coupon_code() -> None:
    product = ProductFacts(product_id="x", name="Sony WH1000XM4", brand="Sony")
    assert rejected_by(push("Still in your cart", "Your Sony WH1000XM4 is still in your cart."), product) == set()


def test_words_of_the_prompts_examples_are_stopped() -> None:
    text = push("Your Smart Band", "Your Smart Band gives warm light at night.")
    checked = check(text, request(), playbook(), NO_MODELS, ("warm light",))
    assert [verdict.name for verdict in checked if not verdict.passed] == ["examples"]


def test_a_product_of_which_nothing_is_known_may_be_spoken_of_in_general() -> None:
    text = push("Your cart is waiting", "The item you picked is still in your cart. Have another look.")
    assert rejected_by(text, ProductFacts(product_id="x")) == set()


def rejected_by(text: MessageText, product: ProductFacts) -> set[str]:
    """The guardrails that say no to an English push message."""
    checked = check(text, request(product), playbook(), models())
    return {verdict.name for verdict in checked if not verdict.passed}


HOSTILE = {
    "newlines": "\n" * 20_000,
    "accents": "é" * 20_000,
    "one Chinese character": "都" * 20_000,
    "digits": "0" * 20_000,
    "amounts": "7 days " * 2_800,
    "names": "Zebra " * 3_300,
    "dots": "a." * 10_000,
}


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_text_far_too_long_is_refused_by_its_length_alone_and_at_once(words: str, language: str) -> None:
    about = request(language=language)
    checked = check(push("Your Smart Band", words), about, playbook())
    assert [(verdict.name, verdict.passed) for verdict in checked] == [("length", False)]
    assert cpu_s(lambda text: check(text, about, playbook()), push("Your Smart Band", words), 3) < 0.05 * slowness()


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
def test_a_text_as_long_as_texts_are_looked_at_whole_takes_milliseconds(words: str) -> None:
    body = words[: LONGEST_MESSAGE - 20]
    checked = check(push("Your Smart Band", body), request(), playbook())
    assert [verdict.name for verdict in checked] == list(NAMES)
    assert cpu_s(lambda text: check(text, request(), playbook()), push("Your Smart Band", body), 3) < 0.05 * slowness()
