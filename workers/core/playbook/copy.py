"""The structs of a playbook's copy: surfaces, prompts, templates."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from workers.core.playbook.base import Id, Texts
from workers.core.playbook.base import Strict as _Strict
from workers.core.playbook.channels import MAX_EMOJI, CountOrZero, FieldLimit


class Surface(_Strict, frozen=True, kw_only=True):
    """A place for copy that is not a message to a customer: a product page, an ad. `fields` and `max_emoji` as in a channel.

    `prompt` names the prompts and templates of this surface; campaigns cannot use them.
    """

    id: Id
    name: Texts
    prompt: Id
    fields: dict[str, dict[str, FieldLimit]]
    max_emoji: CountOrZero = MAX_EMOJI


class Decoding(_Strict, frozen=True, kw_only=True):
    """Sampling parameters of one prompt, from the head of its file between two lines `---`.

    `samples` answers are requested in one call, and the first that passes is used; `frequency_penalty` above 0 keeps a small
    model from repeating itself. `example_words` are words of the prompt's examples that must not occur in an answer (the
    example's product). `model` names a LoRA adapter on the server; a server without it uses its base model.
    """

    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.7
    top_p: Annotated[float, Meta(gt=0, le=1)] = 0.95
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] = 0.0
    samples: Annotated[int, Meta(ge=1, le=8)] = 1
    max_tokens: Annotated[int, Meta(ge=16, le=4096)] = 240
    example_words: list[str] = []
    model: Annotated[str, Meta(max_length=200)] = ""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt in one language: Jinja source, and the version stamped on the texts it produces.

    Lines `=== system ===`, `=== user ===`, `=== assistant ===` split the source into turns.
    """

    id: str
    language: str
    source: str
    version: str
    decoding: Decoding = Decoding()


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """Hand-written copy in one language, used when no generated text passes. Jinja sources by MessageText field.

    `target_group` None = the generic template, for customers who refused personalisation.
    """

    prompt: str
    language: str
    target_group: str | None
    channel: str
    fields: dict[str, str]
    version: str
