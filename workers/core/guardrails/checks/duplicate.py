"""The customer has not just been told the same."""

from __future__ import annotations

from workers.core.guardrails.grounding.subject import Subject
from workers.core.text.near_duplicates import closest

#: From this share of common 5-grams on two texts are the same to their reader.
SAME = 0.8


def duplicate(subject: Subject) -> str | None:
    """The body is not nearly that of one of this customer's last messages (core.text.near_duplicates)."""
    if not subject.sketches or closest(subject.fields.get("body", ""), subject.sketches) < SAME:
        return None
    return "this customer was told nearly the same before"
