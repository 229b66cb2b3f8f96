"""Guardrails: what a text must hold to before it may leave. Cheap, typed, each with a name and a reason.

A verdict's `name` is one of NAMES (it labels a metric), its `detail` tells a person, or the model when it is asked
again, what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable

from schemas.messages import GuardrailVerdict, MessageText
from workers.core.guardrails.claims import claims
from workers.core.guardrails.contact import contact
from workers.core.guardrails.language import Language, language
from workers.core.guardrails.meta import meta
from workers.core.guardrails.names import banned_words, examples, names
from workers.core.guardrails.numbers import numbers
from workers.core.guardrails.offers import offers
from workers.core.guardrails.relevance import relevance
from workers.core.guardrails.shape import length, markup, repetition, structure
from workers.core.guardrails.subject import About, Subject, subject
from workers.core.playbook import Playbook

__all__ = ["GROUNDING", "NAMES", "About", "Language", "check", "passed"]

#: In the order in which a reason is given: what makes a text no copy at all comes first.
_CHECKS: tuple[Callable[[Subject], str | None], ...] = (
    structure,
    length,
    meta,
    markup,
    contact,
    banned_words,
    numbers,
    claims,
    offers,
    names,
    examples,
    relevance,
    repetition,
)
NAMES: tuple[str, ...] = (*(guardrail.__name__ for guardrail in _CHECKS), language.__name__)
#: Those that say no to a claim which the product's own data does not state.
GROUNDING: tuple[str, ...] = tuple(
    guardrail.__name__ for guardrail in (banned_words, numbers, claims, offers, names, relevance)
)


def check(
    text: MessageText,
    about: About,
    playbook: Playbook,
    detect: Language | None = None,
    example_words: tuple[str, ...] = (),
) -> list[GuardrailVerdict]:
    """One verdict of every guardrail, in the order of NAMES. `detect` None = the script decides the language alone.

    `about` is the request (or anything with its language, channel and product); its channel must be in the playbook.
    `example_words` are those of the prompt's examples.
    """
    looked_at = subject(text, about, playbook, example_words)
    details = [guardrail(looked_at) for guardrail in _CHECKS]
    details.append(language(looked_at, detect))
    return [
        GuardrailVerdict(name=name, passed=detail is None, detail=detail or "")
        for name, detail in zip(NAMES, details, strict=True)
    ]


def passed(verdicts: list[GuardrailVerdict]) -> bool:
    """Whether every guardrail passed."""
    return all(verdict.passed for verdict in verdicts)
