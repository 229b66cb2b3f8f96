"""channels.yaml as structs: the ways to reach a customer, what fits on each, and the texts that a provider has registered.

How the limits work together is in `core/text/length_limits.py`, how a provider's text is filled in
`core/publishing/provider_templates.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from workers.core.playbook.base import Id, Strict, Texts

Count = Annotated[int, Meta(ge=1)]


class Maximum(Strict, frozen=True, kw_only=True):
    """At most so much of a text; None = no limit of that unit.

    Characters are code points, bytes those of UTF-8. In columns a wide character (Chinese, most emoji) counts two.
    """

    max_chars: Count | None = None
    max_bytes: Count | None = None
    max_columns: Count | None = None


class FieldLimit(Maximum, frozen=True, kw_only=True):
    """How long one text field may be. `max_segments`: for the body of an SMS, see core.text.sms."""

    min_chars: Count = 1
    max_segments: Count | None = None


class Vendor(Strict, frozen=True, kw_only=True):
    """What one push service takes. `payload_bytes`: of the whole notification. `languages`: those of the customers whom it
    reaches, [] = all.
    """

    title: Maximum | None = None
    body: Maximum | None = None
    payload_bytes: Count | None = None
    languages: list[str] = []

    def reaches(self, language: str) -> bool:
        """Returns whether texts of this language go through this service."""
        return not self.languages or language in self.languages

    def maximum(self, name: str) -> Maximum | None:
        """The limit of one field; None = there is none."""
        return {"title": self.title, "body": self.body}.get(name)


#: Where the value of a provider template's parameter comes from.
Source = Literal["product.name", "product.category", "product.price", "group.name", "campaign.cta"]


class Param(Strict, frozen=True, kw_only=True):
    """One parameter of a provider template: exactly one of `source` and `fixed`."""

    source: Source | None = None
    fixed: str = ""
    max_chars: Count


class ProviderTemplate(Strict, frozen=True, kw_only=True):
    """A text that is registered with a provider, who puts the parameters in. `campaigns` None = all.

    `text` is for people to read: the provider's words, with `{name}`, `${name}` or `{{name.DATA}}` for each parameter.
    """

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    language: str
    text: Annotated[str, Meta(min_length=1)]
    campaigns: list[Id] | None = None
    params: dict[str, Param] = {}


class Channel(Strict, frozen=True, kw_only=True):
    """One way to reach a customer. `fields` are those of MessageText that it has, with their limits per language.

    `rate_per_s`: at most so many messages a second over the whole installation; the rest wait their turn. None = no limit.
    `suffix`: what publishing appends to the body, per language; its length is part of the limits. `vendors`: the push
    services that deliver. In a language that has `provider_templates` nothing else is sent: no text is written.
    """

    id: Id
    fields: dict[str, dict[str, FieldLimit]] = {}
    list_id: str = ""
    unsubscribe_url: str = ""
    rate_per_s: Annotated[float, Meta(gt=0)] | None = None
    suffix: Texts = {}
    vendors: dict[str, Vendor] = {}
    provider_templates: list[ProviderTemplate] = []

    def is_templated(self, language: str) -> bool:
        """Returns whether messages in this language are a provider's templates, so that nobody writes words for them."""
        return any(template.language == language for template in self.provider_templates)
