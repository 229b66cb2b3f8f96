"""The brand's own voice: words that it does not use."""

from __future__ import annotations

from workers.core.guardrails.names import banned_word
from workers.core.guardrails.subject import Subject


def voice(subject: Subject) -> str | None:
    """A word that the playbook's voice avoids."""
    found = banned_word({"": subject.playbook.policy.voice.avoid}, subject.text)
    return f'"{found}" is not a word of this brand' if found else None
