"""True texts about a product, as people write them; guardrails must accept them."""

# a table: one row a line
from __future__ import annotations

from typing import Any

from schemas.messages import MessageText, ProductFacts
from tests.field.case import Case
from tests.support.playbooks import models, playbook, request
from workers.core.guardrails.check import check

FACTS = ["7-day battery", "soft strap"]


def judged(given: tuple[str, float]) -> dict[str, Any]:
    """Returns the guardrails that reject a push about a band of this price."""
    body, price = given
    band = ProductFacts(product_id="x", name="Smart Band", facts=FACTS, price=price, currency="EUR")
    checked = check(MessageText(title="Your Smart Band", body=body), request(band), playbook(), models())
    return {"rejected_by": [verdict.name for verdict in checked if not verdict.passed]}


def row(slug: str, source: str, body: str, price: float = 1299.0) -> Case:
    return Case(slug, source, judged, (body, price), {"rejected_by": []})


CASES = [
    row("non-breaking-hyphen", "spec: Unicode, U+2011", "A 7\u2011day battery for your Smart Band."),
    row("modifier-apostrophe", "spec: Unicode, U+02BC", "It\u02bcs still in your cart: your Smart Band."),
    row("price-with-a-comma", "spec: CLDR, de", "Smart Band for €19,90, still in your cart.", 19.9),
    row("price-with-a-space", "spec: CLDR, fr", "Smart Band for 1\u202f299\u00a0€, still in your cart."),
    row("price-with-both", "plausible/docs#413", "Smart Band for €1.299,00, still in your cart."),
]
