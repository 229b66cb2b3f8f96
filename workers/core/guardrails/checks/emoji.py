"""Rejects a text with more emoji than its channel allows."""

from __future__ import annotations

from workers.core.guardrails.grounding.subject import Subject
from workers.core.text.emoji import count


def emoji(subject: Subject) -> str | None:
    """Rejects more emoji, in all fields together, than the channel's `max_emoji` leaves after those of its suffix."""
    channel = subject.playbook.channels[subject.about.channel]
    found = {name: number for name, value in subject.fields.items() if (number := count(value))}
    allowed = max(0, channel.max_emoji - count(channel.suffix.get(subject.about.language, "")))
    total = sum(found.values())
    return f"{total} emoji in {' and '.join(found)}, allowed are {allowed}" if total > allowed else None
