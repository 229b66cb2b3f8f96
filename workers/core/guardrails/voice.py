"""The brand's own voice: words that it does not use."""

from __future__ import annotations

from workers.core.guardrails.names import banned_word
from workers.core.guardrails.subject import Subject


def voice(subject: Subject) -> str | None:
    """A word that the playbook's voice avoids."""
    words = {"": subject.playbook.policy.voice.avoid}
    found = next((word for reading in subject.readings if (word := banned_word(words, reading))), None)
    return f'"{found}" is not a word of this brand' if found else None
