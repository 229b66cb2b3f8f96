"""Rejects words that the law or custom of the customer's market forbids: the rule packs of the playbook."""

from __future__ import annotations

from workers.core.guardrails import packs
from workers.core.guardrails.grounding import prices
from workers.core.guardrails.grounding.subject import Subject


def market(subject: Subject) -> str | None:
    """Rejects a text that breaks a rule of the market's packs, naming the first; a playbook without markets has no rules."""
    place = subject.market
    if place is None:
        return None
    for reading in subject.readings:
        broken = packs.breach(place.rule_packs, reading, subject.facts)
        if broken is not None:
            return str(broken)
    for name, rule in packs.price_rules(place.rule_packs):
        wrong = prices.mistake(subject.text, subject.facts, subject.reduction, states_prior=rule.states_prior)
        if wrong is not None:
            return f'"{wrong[0]}": {wrong[1]} ({name})'
    return None
