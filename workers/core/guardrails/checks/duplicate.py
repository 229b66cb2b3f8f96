"""Rejects a text that repeats one of the customer's recent messages."""

from __future__ import annotations

from workers.core.guardrails.grounding.subject import Subject
from workers.core.text.near_duplicates import closest

#: At this share of common 5-grams, readers see two texts as the same.
SAME = 0.8


def duplicate(subject: Subject) -> str | None:
    """Rejects a body that is nearly the same as one of this customer's last messages (core.text.near_duplicates)."""
    if not subject.sketches or closest(subject.fields.get("body", ""), subject.sketches) < SAME:
        return None
    return "it is nearly the same as a recent message to this customer"
