"""Rejects words that do not fit the brand's voice."""

from __future__ import annotations

from workers.core.guardrails.checks.names import whole_words
from workers.core.guardrails.grounding.subject import Subject


def voice(subject: Subject) -> str | None:
    """Rejects a word that the playbook's voice avoids."""
    avoided = whole_words(tuple(subject.playbook.policy.voice.avoid))
    found = next(filter(None, map(avoided.search, subject.readings)), None)
    return f'"{found.group()}" does not fit the voice of this brand' if found else None
