"""A true claim is true however it is written: other hyphens and apostrophes, amounts of money with commas and spaces."""

from __future__ import annotations

import pytest

from schemas.messages import MessageText, ProductFacts
from tests.support.playbooks import models, playbook, request
from workers.core.guardrails.check import check
from workers.core.text.money import plain_amounts

BAND = ProductFacts(
    product_id="x", name="Smart Band", facts=["7-day battery", "soft strap"], price=1299.0, currency="EUR"
)


def wrong(body: str, product: ProductFacts = BAND) -> dict[str, str]:
    """Guardrail → reason of those that reject an English push message."""
    checked = check(MessageText(title="Your Smart Band", body=body), request(product), playbook(), models())
    return {verdict.name: verdict.detail for verdict in checked if not verdict.passed}


@pytest.mark.parametrize("hyphen", ["-", "\u2010", "\u2011", "\ufe63", "\uff0d"])
def test_a_hyphen_of_any_kind_joins_a_number_with_its_unit(hyphen: str) -> None:
    assert wrong(f"A 7{hyphen}day battery for your Smart Band.") == {}
    assert "numbers" in wrong(f"An 8{hyphen}day battery for your Smart Band.")


@pytest.mark.parametrize("apostrophe", ["'", "\u2019", "\u02bc", "\uff07", "\u201b"])
def test_an_apostrophe_of_any_kind_stands_in_a_word(apostrophe: str) -> None:
    assert wrong(f"It{apostrophe}s still in your cart: your Smart Band.") == {}
    assert wrong(f"Don{apostrophe}t wait for your Smart Band.") == wrong("Don't wait for your Smart Band.")


@pytest.mark.parametrize(
    "price",
    [
        "€1299",
        "1299 €",
        "€1,299.00",
        "€1.299,00",
        "1.299,00 €",
        "1.299 €",
        "1 299 €",
        "1\u00a0299\u00a0€",
        "1\u202f299,00\u202f€",
        "€ 1 299",
        "EUR 1'299.00",
        "1299,00 EUR",
        "1 299 euros",
    ],
)
def test_a_price_is_read_as_it_is_written_in_any_country(price: str) -> None:
    assert wrong(f"Smart Band for {price}, still in your cart.") == {}
    other = ProductFacts(product_id="x", name="Smart Band", facts=BAND.facts, price=299.0, currency="EUR")
    assert "numbers" in wrong(f"Smart Band for {price}, still in your cart.", other)


@pytest.mark.parametrize("price", ["€19,90", "19,90 €", "€ 19,9", "19,90€", "19,90 EUR"])
def test_a_comma_before_cents_is_no_list(price: str) -> None:
    cheap = ProductFacts(product_id="x", name="Smart Band", facts=BAND.facts, price=19.9, currency="EUR")
    assert wrong(f"Smart Band for {price}, still in your cart.", cheap) == {}
    assert "numbers" in wrong(f"Smart Band for {price}, still in your cart.")


def test_a_lower_price_is_read_with_commas_too() -> None:
    lower = ProductFacts(
        product_id="x", name="Smart Band", facts=BAND.facts, price=19.9, reference_price=29.9, currency="EUR"
    )
    about = request(lower)
    text = MessageText(title="Your Smart Band", body="Smart Band: was €29,90, now €19,90.")
    plain = MessageText(title="Your Smart Band", body="Smart Band: was €29.90, now €19.90.")
    assert check(text, about, playbook()) == check(plain, about, playbook())


@pytest.mark.parametrize(
    "text", ["sizes 7,8 and 9", "call 1 299", "1,299 €", "€1,299.00", "5,299,00 €", "€19,905", "2 $5", "7.5 hours"]
)
def test_what_is_plain_or_may_be_something_else_stays(text: str) -> None:
    assert plain_amounts(text) == text
