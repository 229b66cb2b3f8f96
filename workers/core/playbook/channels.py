"""The structs of channels.yaml: how customers are reached, what fits in each channel, and the texts registered with a provider.

`core/text/length_limits.py` combines the limits; `core/publishing/provider_templates.py` fills in a provider's text.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from workers.core.playbook.base import Id, Strict, Texts

Count = Annotated[int, Meta(ge=1)]
CountOrZero = Annotated[int, Meta(ge=0)]
#: The emoji that a text may have where the playbook does not say.
MAX_EMOJI = 2


class Maximum(Strict, frozen=True, kw_only=True):
    """The maximum length of a text; None = no limit in that unit.

    Characters are code points, bytes are UTF-8. A wide character (Chinese, most emoji) takes two columns.
    """

    max_chars: Count | None = None
    max_bytes: Count | None = None
    max_columns: Count | None = None


class FieldLimit(Maximum, frozen=True, kw_only=True):
    """The length limits of one text field. `max_segments`: for the body of an SMS, see core.text.sms."""

    min_chars: Count = 1
    max_segments: Count | None = None


class Vendor(Strict, frozen=True, kw_only=True):
    """The limits of one push service. `payload_bytes`: of the whole notification. `languages`: those of the customers it
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
        """Returns the limit of one field; None = there is none."""
        return {"title": self.title, "body": self.body}.get(name)


#: The source of a provider template parameter's value.
Source = Literal["product.name", "product.category", "product.price", "group.name", "campaign.cta"]


class Param(Strict, frozen=True, kw_only=True):
    """One parameter of a provider template: exactly one of `source` and `fixed`."""

    source: Source | None = None
    fixed: str = ""
    max_chars: Count


class ProviderTemplate(Strict, frozen=True, kw_only=True):
    """A text that is registered with a provider, which fills in the parameters. `campaigns` None = all.

    `text` is for human readers: the provider's wording, with `{name}`, `${name}` or `{{name.DATA}}` for each parameter.
    """

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
    language: str
    text: Annotated[str, Meta(min_length=1)]
    campaigns: list[Id] | None = None
    params: dict[str, Param] = {}


class Channel(Strict, frozen=True, kw_only=True):
    """One way to reach a customer. `fields` are the fields of MessageText that it has, with their limits per language.

    `rate_per_s`: maximum messages per second over the whole installation; the others wait. None = no limit. `suffix`: what
    publishing appends to the body, per language; it counts towards the limits. `max_emoji`: of a text, in all fields together;
    0 = none. `vendors`: the push services that deliver. In a language with `provider_templates` only those are sent: no text is
    generated.
    """

    id: Id
    fields: dict[str, dict[str, FieldLimit]] = {}
    list_id: str = ""
    unsubscribe_url: str = ""
    rate_per_s: Annotated[float, Meta(gt=0)] | None = None
    suffix: Texts = {}
    max_emoji: CountOrZero = MAX_EMOJI
    vendors: dict[str, Vendor] = {}
    provider_templates: list[ProviderTemplate] = []

    def is_templated(self, language: str) -> bool:
        """Returns whether messages in this language are a provider's templates, so that no copy is generated for them."""
        return any(template.language == language for template in self.provider_templates)
