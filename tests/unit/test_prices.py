"""What a text may say of a lower price: rows around each edge of each check."""

from __future__ import annotations

import pytest

from schemas.messages import ProductFacts
from workers.core.guardrails.grounding.prices import Reduction, amount, announceable, mistake, reduction
from workers.core.playbook.policy import Market, Policy

#: 300 instead of 400: 100 less, 25 %.
LOWER = Reduction(price=300.0, reference_price=400.0, currency="CNY")
#: 18.97 %: said as 18.97, 19.0 or 18.
ODD = Reduction(price=299.0, reference_price=369.0, currency="CNY")


def wrong(text: str, lower: Reduction | None = LOWER, facts: str = "", *, states_prior: bool = False) -> str | None:
    found = mistake(text, facts, lower, states_prior=states_prior)
    return None if found is None else found[1]


@pytest.mark.parametrize(
    ("price", "reference", "there_is"),
    [
        (300.0, 400.0, True),
        (399.99, 400.0, True),
        (400.0, 400.0, False),
        (401.0, 400.0, False),
        (0.0, 400.0, False),
        (-1.0, 400.0, False),
        (None, 400.0, False),
        (300.0, None, False),
    ],
)
def test_there_is_a_reduction_where_the_price_is_below_the_lowest(
    price: float | None, reference: float | None, *, there_is: bool
) -> None:
    found = reduction(ProductFacts(product_id="x", price=price, reference_price=reference, currency="EUR"))
    assert (found is not None) is there_is
    if found is not None:
        assert (found.price, found.reference_price, found.currency) == (price, reference, "EUR")


def test_what_a_reduction_amounts_to() -> None:
    assert (LOWER.saving, LOWER.percent, LOWER.whole_percent) == (100.0, 25.0, 25)
    assert (ODD.saving, round(ODD.percent, 2), ODD.whole_percent) == (70.0, 18.97, 19)
    assert Reduction(price=81.06, reference_price=100.0, currency="").whole_percent == 18  # 18.94: a tenth is 18.9
    assert LOWER.amounts() == "30 days; 400 CNY; 100 CNY; 100 CNY; 25%; 7.5"
    assert ODD.amounts() == "30 days; 369 CNY; 70 CNY; 70 CNY; 18%; 19%; 8.1; 8.2"
    odd_cents = Reduction(price=19.5, reference_price=24.99, currency="EUR")
    assert odd_cents.amounts().startswith("30 days; 24.99 EUR; 5.49 EUR; 5 EUR; 21%;")
    assert [amount(value) for value in (5.0, 5.5, 5.456, 0.1)] == ["5", "5.5", "5.46", "0.1"]


def test_nobody_speaks_of_a_lower_price_where_no_pack_says_how() -> None:
    product = ProductFacts(product_id="x", price=300.0, reference_price=400.0, currency="EUR")
    packed = Policy(
        markets=[Market(id="eu", regions=["DE"], rule_packs=["eu_prices"]), Market(id="xx", regions=["US"])]
    )
    assert announceable(packed, "en", "en-DE", product) is not None
    assert announceable(packed, "en", "en-US", product) is None
    assert announceable(Policy(), "en", "en-DE", product) is None
    dear = ProductFacts(product_id="x", price=400.0, reference_price=400.0)
    assert announceable(packed, "en", "en-DE", dear) is None


@pytest.mark.parametrize(
    ("text", "right"),
    [
        # -- a share: at most what it is, at least one less
        ("25% off today", True),
        ("24.1% off today", True),
        ("24% off today", False),
        ("25.05% off today", True),
        ("25.1% off today", False),
        ("26% off today", False),
        ("save 25%", True),
        ("save 30 percent", False),
        ("降价25%", True),
        ("立减30%", False),
        # -- the same as tenths that are left
        ("7.5折", True),
        ("75折", True),
        ("七五折", True),
        ("7折", False),
        ("八折", False),
        ("8.0折", False),
        ("half price", False),
        ("半价", False),
        # -- shares of something unknown
        ("on sale, and 99% of our customers agree", False),
        ("on sale, 百分之百", False),
        # -- less by so much
        ("save 100 cny", True),
        ("save ¥99.5", True),
        ("save ¥99", False),
        ("save ¥100.01", False),
        ("100 yuan less", True),
        ("120 yuan less", False),
        ("立减100元", True),
        ("立减120元", False),
        # -- the price before
        ("was 400, on sale", True),
        ("was 300, on sale", False),
        ("was 100, on sale", False),
        ("原价400", True),
        ("原价300", False),
        # -- the price now
        ("on sale, now 300", True),
        ("on sale, now 400", False),
        ("on sale, now 100", False),
        ("特价，现价300", True),
        ("特价，现价400", False),
        # -- nothing is said of a price
        ("the band is here", True),
        ("on sale", True),
    ],
)
def test_what_is_said_of_a_lower_price_is_right(text: str, *, right: bool) -> None:
    assert (wrong(text) is None) is right, wrong(text)


@pytest.mark.parametrize("text", ["half price", "5折", "五折", "半价", "50% off"])
def test_half_is_half(text: str) -> None:
    assert wrong(text, Reduction(price=200.0, reference_price=400.0, currency="CNY")) is None
    assert wrong(text, LOWER) is not None


def test_every_price_of_a_text_is_judged_and_the_words_are_told() -> None:
    assert mistake("save 100 cny, was 400, now 400", "", LOWER, states_prior=False) == (
        "now 400",
        "the current price is 300",
    )
    assert mistake("25% off, or 40% off", "", LOWER, states_prior=False) == ("40% off", "the saving is 25% of 400")
    assert mistake("was 300, now 300, on sale", "", LOWER, states_prior=False) == (
        "was 300",
        "the prior price was 400",
    )
    assert mistake("save ¥7", "", LOWER, states_prior=False) == ("save ¥7", "the saving is 100")
    assert mistake("save 1,000 cny", "", LOWER, states_prior=False) == ("save 1,000", "the saving is 100")


def test_where_there_is_no_lower_price_none_is_announced() -> None:
    assert mistake("on sale today", "", None, states_prior=True) == (
        "on sale",
        "there is no lower price: the product has no reference price above its price",
    )
    assert mistake("here today", "", None, states_prior=True) is None


def test_a_share_that_the_facts_state_is_no_price() -> None:
    assert wrong("on sale: 99% linen") is not None
    assert wrong("on sale: 99% linen", facts="99% linen") is None
    assert wrong("save 25% on 99% linen", facts="99% linen") is None


@pytest.mark.parametrize(
    ("text", "states", "right"),
    [
        ("on sale, now 300", True, False),
        ("on sale, now 300, was 400", True, True),
        ("on sale, now 300, was 400.004", True, True),
        ("on sale, 1,400", True, False),
        ("on sale, now 300", False, True),
        ("here it is for 300", True, True),
    ],
)
def test_where_the_law_wants_it_the_price_before_is_stated(text: str, *, states: bool, right: bool) -> None:
    found = wrong(text, states_prior=states)
    assert (found is None) is right
    assert found is None or found == "the prior price, 400, is not stated"


def test_thousands_are_read() -> None:
    dear = Reduction(price=1_200.0, reference_price=1_500.0, currency="CNY")
    assert wrong("was 1,500, now 1,200, save 300", dear, states_prior=True) is None
    assert wrong("now 1,500, on sale", dear) == "the current price is 1200"
