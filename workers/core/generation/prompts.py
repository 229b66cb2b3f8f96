"""Renders a request as the turns of a chat; answer_parsing parses the answer.

The static part comes first and the customer-specific part last, so that a server's prefix cache covers what requests share.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import zip_longest

import msgspec
from jinja2 import meta

from schemas.messages import MessageRequest, ProductFacts
from workers.core.common.memoize import memoize_by_identity
from workers.core.generation.llm import ChatMessage
from workers.core.generation.rendering import ENVIRONMENT, compiled, product_words
from workers.core.guardrails.trusted_input import context_value
from workers.core.playbook.channels import Channel
from workers.core.playbook.playbook import Playbook
from workers.core.text import length_limits

ROLES = ("system", "user", "assistant")
_TURN = re.compile(r"^=== *([a-z]+) *===[ \t]*\n", re.MULTILINE)
_MAX_CONTEXT = 8
#: Variables that do not depend on one customer or product.
_SHARED = frozenset(("language", "channel", "fields", "group", "trigger", "goal", "tone", "voice"))


class Field(msgspec.Struct, frozen=True):
    """One field of the channel, with its length limits in the language of the request [characters]."""

    name: str
    min_chars: int
    max_chars: int


def render(playbook: Playbook, request: MessageRequest) -> tuple[ChatMessage, ...]:
    """Returns the turns of a request. Its prompt, language and channel must be in the playbook (the loader checks that).

    Raises jinja2.TemplateError only for a playbook that was not checked.
    """
    prompt = playbook.prompts[request.prompt, request.language]
    values = variables(
        playbook,
        language=request.language,
        locale=request.locale,
        channel=request.channel,
        target_group=request.target_group,
        campaign_id=request.campaign_id,
        product=request.product,
        tone=request.tone,
        context=request.context,
    )
    shared = (request.language, request.channel, request.target_group, request.campaign_id, request.tone)
    return tuple(
        ChatMessage(
            turn.role,
            _shared_turn(playbook, turn.source, *shared)
            if _variables_of(turn.source) <= _SHARED
            else compiled(turn.source).render(values).strip(),
        )
        for turn in turns(prompt.source)
    )


@lru_cache(maxsize=1024)
def _variables_of(source: str) -> frozenset[str]:
    """Returns the variables that a turn uses."""
    return frozenset(meta.find_undeclared_variables(ENVIRONMENT.parse(source)))


@memoize_by_identity
def _shared_turn(
    playbook: Playbook, source: str, language: str, channel: str, target_group: str, campaign_id: str, tone: str | None
) -> str:
    """Returns a turn that is the same for many customers, rendered once for all of them."""
    return (
        compiled(source).render(_shared_variables(playbook, language, channel, target_group, campaign_id, tone)).strip()
    )


class Turn(msgspec.Struct, frozen=True):
    """One turn of a prompt: its Jinja source, and the line of the source at which its text begins (from 1)."""

    role: str
    source: str
    line: int


class InvalidTurn(ValueError):
    """A prompt is not divided into turns correctly; `line` is counted from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@lru_cache(maxsize=1024)
def turns(source: str) -> tuple[Turn, ...]:
    """Returns the turns of a prompt. Split before rendering, so that no value can open a turn.

    Raises InvalidTurn.
    """
    heads = list(_TURN.finditer(source))
    if source[: heads[0].start() if heads else None].strip():
        raise InvalidTurn(
            1, "there is text before the first turn; allowed: === system ===, === user ===, === assistant ==="
        )
    found = []
    for head, following in zip_longest(heads, heads[1:]):
        line = source.count("\n", 0, head.start()) + 1
        if head.group(1) not in ROLES:
            raise InvalidTurn(line, f"`{head.group(1)}` is not a role; allowed: {', '.join(ROLES)}")
        end = following.start() if following else len(source)
        found.append(Turn(head.group(1), source[head.end() : end], line + 1))
    if not found or found[-1].role != "user":
        raise InvalidTurn(found[-1].line - 1 if found else 1, "the last turn is not the user's; allowed: === user ===")
    return tuple(found)


def variables(
    playbook: Playbook,
    *,
    language: str,
    channel: str,
    target_group: str,
    campaign_id: str,
    product: ProductFacts,
    tone: str | None = None,
    locale: str = "",
    context: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """Returns the variables of a prompt: language, channel, fields, group, trigger, goal, product, tone, voice, customer.

    A variable that the playbook no longer contains (it changed while a request was open) is empty.
    """
    return {
        **_shared_variables(playbook, language, channel, target_group, campaign_id, tone),
        "product": product_words(playbook, language, product, locale),
        "customer": [
            {"name": context_value(name, 40), "value": context_value(value, 80)}
            for name, value in sorted((context or {}).items())[:_MAX_CONTEXT]
        ],
    }


@memoize_by_identity
def _shared_variables(
    playbook: Playbook, language: str, channel: str, target_group: str, campaign_id: str, tone: str | None
) -> dict[str, object]:
    """Returns the variables of `_SHARED`."""
    chosen = playbook.tones.get(tone or "")
    group = next((group for group in playbook.audiences.target_groups if group.id == target_group), None)
    campaign = playbook.campaigns.get(campaign_id)
    return {
        "language": language,
        "channel": channel,
        "fields": fields(playbook.channels[channel], language),
        "group": {
            "id": group.id if group else "",
            "name": group.name.get(language, "") if group else "",
            "angle": group.angle.get(language, "") if group else "",
        },
        "trigger": campaign.trigger.__struct_config__.tag if campaign else "",
        "goal": campaign.goal.get(language, "") if campaign else "",
        "tone": {"id": chosen.id if chosen else "", "hint": chosen.hint.get(language, "") if chosen else ""},
        "voice": playbook.policy.voice.hint.get(language, ""),
    }


def fields(channel: Channel, language: str) -> list[Field]:
    """Returns the channel's fields in the playbook's order; those without a limit in this language are left out."""
    return [
        Field(name, limit[language].min_chars, room.chars)
        for name, limit in channel.fields.items()
        if (room := length_limits.room(channel, name, language)) is not None
    ]


def schema_for(channel: Channel, language: str) -> dict[str, object]:
    """Returns a JSON Schema of the channel's fields; `maxLength` keeps even a small model within the limits."""
    allowed = fields(channel, language)
    return {
        "type": "object",
        "properties": {
            field.name: {"type": "string", "minLength": field.min_chars, "maxLength": field.max_chars}
            for field in allowed
        },
        "required": [field.name for field in allowed],
        "additionalProperties": False,
    }
