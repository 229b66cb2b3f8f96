"""Defines dialogue.messages and dialogue.replies."""

from __future__ import annotations

from typing import Literal

from schemas.base import FIRST_VERSION, Identifier, Instant, Wire, always
from schemas.messages import GuardrailVerdict, LlmUsage


class DialogueMessage(Wire, frozen=True, kw_only=True):
    """dialogue.messages: a customer's message to the shop."""

    dialogue_message_id: Identifier
    conversation_id: Identifier
    user_id: Identifier
    body: str
    channel: str = ""
    locale: str | None = None
    in_reply_to: str | None = None
    sent_at: Instant
    schema_version: int = always(FIRST_VERSION)


class DialogueReply(Wire, frozen=True, kw_only=True):
    """dialogue.replies: the reply to a customer; `handover` requests that a person takes over."""

    reply_id: Identifier
    dialogue_message_id: Identifier
    conversation_id: Identifier
    user_id: Identifier
    body: str
    locale: str = ""
    generated_by: Literal["llm", "template"]
    handover: bool = False
    product_ids: list[str] = []
    verdicts: list[GuardrailVerdict] = []
    usage: LlmUsage = LlmUsage()
    ai_generated: bool = True
    replied_at: Instant
    schema_version: int = always(FIRST_VERSION)
