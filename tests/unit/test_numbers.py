"""Amounts in digits and words, in both languages: what they are read as, and what grounds them."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.messages import MessageText, ProductFacts
from tests.support.playbooks import playbook, request
from workers.core.guardrails.checks.numbers import numbers
from workers.core.guardrails.grounding.amounts import bare_words, spans
from workers.core.guardrails.grounding.subject import subject

FACTS = [
    "up to 7 days of battery life",
    "a choice of three sizes",
    "bluetooth 5.3",
    "20% lighter",
    "water resistant to 50 metres",
]
FACTS_ZH = ["续航最长7天", "三种尺寸", "蓝牙5.3", "重量减轻两成", "防水50米"]


def said(body: str, spoken: str = "en", facts: list[str] | None = None, **product: Any) -> str | None:
    values: dict[str, Any] = {
        "product_id": "band",
        "name": "Smart Band",
        "price": 299.0,
        "currency": "CNY",
        "quantity": 2,
    }
    stated = (FACTS if spoken == "en" else FACTS_ZH) if facts is None else facts
    about = request(ProductFacts(facts=stated, **(values | product)), language=spoken)
    return numbers(subject(MessageText(title="Title", body=body), about, playbook()))


@pytest.mark.parametrize(
    ("body", "grounded"),
    [
        # -- time, in whatever unit
        ("168 hours of battery", True),
        ("seven days of battery", True),
        ("a battery for one week", True),
        ("10,080 minutes of battery", True),
        ("8 days of battery", False),
        ("two weeks of battery", False),
        ("6 days of battery", False),
        # -- money
        ("for 299 yuan", True),
        ("for ¥299", True),
        ("for 299.00 cny", True),
        ("for 299 dollars", False),
        ("for £299", False),
        ("for 298 yuan", False),
        # -- under a round amount: at most a tenth above the price
        ("under 300 yuan", True),
        ("less than ¥328.9", True),
        ("less than ¥328.91", False),
        ("under 298 yuan", False),
        ("below 300 dollars", False),
        ("only 300 yuan", False),
        # -- bare numbers: quantity, price, what facts say
        ("your 2 bands", True),
        ("your 3 bands", True),  # three sizes
        ("your 4 bands", False),
        ("299 is little", True),
        ("about 8 days of battery", False),
        ("nearly seven days of battery", True),
        ("thirty-six days of battery", False),
        ("1 band", True),
        ("bluetooth 5.3", True),
        ("bluetooth 5.2", False),
        ("usb 5.3", False),
        # -- shares, measures, times
        ("20 percent lighter", True),
        ("30% lighter", False),
        ("50 metres deep", True),
        ("51 metres deep", False),
        ("50 miles deep", False),
        ("3x lighter", False),
        ("twenty metres deep", False),
        # -- words without a unit count nothing
        ("one for you, twenty for me", True),
        # -- idioms, unless of power
        ("one day you will love it", True),
        ("half an hour, take it", True),
        ("the battery takes one day", False),
        ("one day, the battery is good", True),  # another clause
        ("take it: one day of power", False),
        # -- vague amounts of power
        ("the battery lasts for weeks", False),
        ("we waited for weeks", True),
    ],
)
def test_amounts_in_english(body: str, *, grounded: bool) -> None:
    assert (said(body) is None) is grounded, said(body)


@pytest.mark.parametrize(
    ("body", "grounded"),
    [
        ("续航7天", True),
        ("续航七天", True),
        ("续航一百六十八小时", True),
        ("续航一周", True),
        ("续航八天", False),
        ("续航十天", False),
        ("续航二十天", False),
        ("二百九十九元", True),
        ("二百九十八元", False),
        ("不到三百元", True),
        ("不到三百三十元", False),
        ("两百九十九块钱", True),
        ("百分之二十", True),
        ("减轻两成", True),
        ("减轻三成", False),
        ("防水五十米", True),
        ("防水十五米", False),
        ("一天之后，看看手环", True),
        ("续航一天", False),
        ("一百天都好看", False),
        ("半小时后来看", True),
        ("充电半小时", False),
        ("三万米", False),
        ("一亿元", False),
    ],
)
def test_amounts_in_chinese(body: str, *, grounded: bool) -> None:
    assert (said(body, "zh") is None) is grounded, said(body, "zh")


@pytest.mark.parametrize(
    ("written", "fact"),
    [
        ("十五米", "15米"),
        ("二十米", "20米"),
        ("一百零五米", "105米"),
        ("三百二十米", "320米"),
        ("两千米", "2000米"),
        ("一万米", "10000米"),
        ("三万五千米", "35000米"),
        ("十二万米", "120000米"),
        ("一亿米", "100000000米"),
        ("一万二千三百四十五米", "12345米"),
        ("二五米", "25米"),
        ("万米", "10000米"),
        ("半米", "0.5米"),
        ("两半米", "2.5米"),
    ],
)
def test_a_numeral_in_characters_is_its_number(written: str, fact: str) -> None:
    assert said(f"防水{written}", "zh", [f"防水{fact}"]) is None
    assert said(f"防水{written}", "zh", ["防水7777米"]) is not None


@pytest.mark.parametrize(
    ("written", "fact"),
    [
        ("60 minutes", "1 hour"),
        ("3600 seconds", "1 hour"),
        ("two days", "48 hours"),
        ("two weeks", "14 days"),
        ("two months", "60 days"),
        ("two years", "730 days"),
        ("twenty-four hours", "1 day"),
        *(
            (f"{word} hours", f"{hours} hours")
            for word, hours in zip(
                [
                    "zero",
                    "one",
                    "two",
                    "three",
                    "four",
                    "five",
                    "six",
                    "seven",
                    "eight",
                    "nine",
                    "ten",
                    "eleven",
                    "twelve",
                ],
                range(13),
                strict=True,
            )
        ),
        ("half hours", "30 minutes"),
        ("fifteen hours", "15 hours"),
        ("twenty hours", "20 hours"),
        ("thirty hours", "30 hours"),
        ("forty hours", "40 hours"),
        ("fifty hours", "50 hours"),
        ("sixty hours", "60 hours"),
        ("seventy hours", "70 hours"),
        ("eighty hours", "80 hours"),
        ("ninety hours", "90 hours"),
        ("hundred hours", "100 hours"),
        ("thousand hours", "1000 hours"),
        ("million hours", "1,000,000 hours"),
    ],
)
def test_an_amount_is_the_same_in_every_way_to_write_it(written: str, fact: str) -> None:
    assert said(f"a battery for {written}", facts=[f"battery for {fact}"]) is None
    assert said(f"a battery for {fact}", facts=[f"battery for {written}"]) is None
    assert said(f"a battery for {written}", facts=["battery for 7777 hours"]) is not None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("up to 7 days and ¥299", ["7 days", "¥299"]),
        ("  1,299.50 cny ", ["1,299.50 cny"]),
        ("one day, half an hour", []),  # words of the language
        ("two days", ["two days"]),
        ("twenty bands", []),
        ("七天", ["七天"]),
        ("一天", []),
        ("20%", ["20%"]),
        ("20 percent", ["20 percent"]),
        ("百分之二十", ["百分之二十"]),
        ("bluetooth 5.3", ["bluetooth 5.3"]),
    ],
)
def test_where_the_amounts_of_a_text_stand(text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in spans(text)] == found


def test_number_words_without_a_unit_ground_each_other() -> None:
    assert bare_words("three sizes, two days") == ["three", "三"]
    assert said("three sizes") is None
    assert set(bare_words("两种")) == {"two", "二", "两"}


def test_without_a_price_or_a_quantity_nothing_of_them_is_grounded() -> None:
    assert said("for 299 yuan", price=None) is not None
    assert said("under 300 yuan", price=None) is not None
    assert said("your 2 bands", quantity=None) is not None
    assert said("299 is little", price=None) is not None


def test_a_right_number_on_the_wrong_thing_is_told() -> None:
    found = said("more than 7 days of battery life")
    assert found is not None
    assert "is not what the product facts say" in found
    assert said("up to 7 days of sleep") is not None
    assert said("for 299 yuan or more") is None, "the price is nobody's fact"


def test_what_is_not_grounded_is_quoted() -> None:
    assert said("8 days of battery") == '"8 days" is not in the product facts'


def test_a_round_amount_is_a_tenth_above_the_price_at_most_and_may_begin_the_text() -> None:
    assert said("under 110 yuan", price=100.0) is None
    assert said("under 111 yuan", price=100.0) is not None
    about = request(ProductFacts(product_id="band", price=299.0, currency="CNY"), language="en")
    assert numbers(subject(MessageText(body="Under 300 yuan"), about, playbook())) is None


def test_the_number_of_a_standard_is_a_number_of_the_facts() -> None:
    assert said("version 5.3 of it", facts=["bluetooth 5.3"]) is None
    assert said("version 5.2 of it", facts=["bluetooth 5.3"]) is not None
