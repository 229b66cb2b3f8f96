"""Runs every guardrail on a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from schemas.messages import GuardrailVerdict, MessageText
from workers.core.guardrails.checks.brand_safety import brand_safety
from workers.core.guardrails.checks.claims import claims, overstated
from workers.core.guardrails.checks.contact import contact
from workers.core.guardrails.checks.duplicate import duplicate
from workers.core.guardrails.checks.emoji import emoji
from workers.core.guardrails.checks.form import length, markup, repetition, structure, too_long
from workers.core.guardrails.checks.language import language
from workers.core.guardrails.checks.market import market
from workers.core.guardrails.checks.model_talk import meta
from workers.core.guardrails.checks.names import banned_words, examples, names
from workers.core.guardrails.checks.numbers import numbers, odd_amount
from workers.core.guardrails.checks.obfuscation import disguise
from workers.core.guardrails.checks.offers import offers
from workers.core.guardrails.checks.phishing import account, order_state, payment
from workers.core.guardrails.checks.privacy import leaks, personal_data
from workers.core.guardrails.checks.relevance import relevance
from workers.core.guardrails.checks.surveillance import sensitive, tracking
from workers.core.guardrails.checks.unsupported import NAME as UNSUPPORTED
from workers.core.guardrails.checks.unsupported import unsupported
from workers.core.guardrails.checks.voice import voice
from workers.core.guardrails.grounding.subject import About, Subject, subject
from workers.core.guardrails.models import NO_MODELS, Models
from workers.core.guardrails.trusted_input import trusted
from workers.core.playbook.playbook import Playbook
from workers.core.text.sanitize import visible

#: In the order in which reasons are reported; checks that find that a text is not copy at all come first.
_CHECKS: tuple[Callable[[Subject], str | None], ...] = (
    structure,
    length,
    meta,
    leaks,
    markup,
    disguise,
    contact,
    personal_data,
    payment,
    account,
    order_state,
    tracking,
    sensitive,
    brand_safety,
    banned_words,
    numbers,
    claims,
    offers,
    market,
    voice,
    names,
    examples,
    relevance,
    repetition,
    emoji,
    duplicate,
)
#: Longer texts get the other guardrails only if the channel allows that length [characters of all fields].
LONGEST_MESSAGE = 2_000
NAMES: tuple[str, ...] = (*(guardrail.__name__ for guardrail in _CHECKS), language.__name__, UNSUPPORTED)
#: The guardrails that reject claims not stated in the product's own data.
GROUNDING: tuple[str, ...] = tuple(
    guardrail.__name__ for guardrail in (banned_words, numbers, claims, offers, market, names, relevance, unsupported)
)


def check(
    text: MessageText,
    about: About,
    playbook: Playbook,
    models: Models = NO_MODELS,
    example_words: tuple[str, ...] = (),
    sketches: Sequence[list[int]] = (),
) -> list[GuardrailVerdict]:
    """Returns one verdict per guardrail, in the order of NAMES. See Models for what is missing without one.

    `about` is the request (or any object with its language, channel and product); its channel must be in the playbook.
    `example_words` come from the prompt's examples, `sketches` from the customer's last messages (core.text.near_duplicates). A
    product name counts as the product's own data only if it contains nothing but a name (trusted_input.py). A detail is one
    visible line of at most 200 characters.

    A text that is too long for its channel and longer than LONGEST_MESSAGE gets only the verdict of `length`: no channel can
    send it, so the other checks are not worth the time.
    """
    fields = {name: value for name, value in msgspec.structs.asdict(text).items() if value}
    if sum(map(len, fields.values())) > LONGEST_MESSAGE and (detail := too_long(fields, about, playbook)) is not None:
        return [GuardrailVerdict(name=length.__name__, passed=False, detail=_one_line(detail))]
    checked = subject(text, trusted(about, playbook), playbook, example_words, sketches)
    if models.claims is not None:
        checked = msgspec.structs.replace(checked, is_judged=True)
    details = [guardrail(checked) for guardrail in _CHECKS]
    details.append(language(checked, models.language))
    hints: dict[str, str] = {}
    if models.claims is not None:
        objections = {numbers.__name__: odd_amount(checked), overstated.__name__: overstated(checked)}
        hints = {name: detail for name, detail in objections.items() if detail is not None}
    verdicts = [
        GuardrailVerdict(name=name, passed=detail is None, detail=_one_line(detail))
        for name, detail in zip(NAMES, (*details, None), strict=True)
    ]
    claim = unsupported(checked, models.claims, hints)
    verdicts[-1] = msgspec.structs.replace(claim, detail=_one_line(claim.detail))
    return verdicts


def _one_line(detail: str | None) -> str:
    return " ".join(visible(detail).split())[:200] if detail else ""


def market_verdict(text: MessageText, about: About, playbook: Playbook) -> GuardrailVerdict:
    """Returns the verdict of the `market` guardrail alone, for a text that passed the others in another market."""
    detail = market(subject(text, trusted(about, playbook), playbook))
    return GuardrailVerdict(name=market.__name__, passed=detail is None, detail=detail or "")


def passed(verdicts: list[GuardrailVerdict]) -> bool:
    """Returns whether every guardrail passed."""
    return all(verdict.passed for verdict in verdicts)


def rejections(verdicts: list[GuardrailVerdict]) -> list[GuardrailVerdict]:
    """Returns the verdicts that reject. A text that is merely doubtful is neither rejected nor passed: what people wrote or
    approved may be sent, a model's text may not without them.
    """
    return [verdict for verdict in verdicts if not verdict.passed and not verdict.doubtful]
