"""European Union: price reductions name the lowest price of the last 30 days."""

from __future__ import annotations

from workers.core.guardrails.packs.rules import Pack, PriceRule

PRICES = Pack(
    id="eu_prices",
    title="European Union: price reductions",
    prices=PriceRule(
        reason="a text that announces a lower price must state the lowest price of the last 30 days",
        source="Directive 98/6/EC, Art. 6a (in force since 28 May 2022); Commission notice 2021/C 526/02",
        states_prior=True,
    ),
)
