"""Checks that provider templates of channels.yaml use only names that exist, can be filled, and can be chosen."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product as product_of
from typing import get_args

from msgspec.structs import replace

from schemas.messages import ProductFacts
from workers.adapters.playbook.checks.findings import reference, unique
from workers.adapters.playbook.documents.parts import Parts
from workers.adapters.playbook.documents.yaml_documents import Document, FieldPath
from workers.core.catalogue.product_facts import facts_of
from workers.core.playbook.campaigns import Campaign
from workers.core.playbook.channels import Channel, Param, ProviderTemplate, Source
from workers.core.playbook.playbook import Playbook
from workers.core.publishing import provider_templates
from workers.core.publishing.provider_templates import Filled

_SOURCES = ", ".join(get_args(Source))
#: The sample product of a playbook that knows products from events only.
_ANY = ProductFacts(product_id="any", name="A", category="A", price=1.0, currency="CNY")
#: Product fields that events may omit.
_FEWER_FIELDS: tuple[dict[str, str | None], ...] = (
    {"name": ""},
    {"price": None},
    {"name": "", "price": None},
    {"name": "", "category": ""},
)


def check(parts: Parts, document: Document, path: FieldPath, channel: Channel) -> None:
    """Checks one channel's provider templates as far as is possible without filling them."""
    at = (*path, "provider_templates")
    unique(document, at, [template.id for template in channel.provider_templates], "id", "id")
    campaigns = parts.campaigns.campaigns if parts.campaigns else []
    for index, template in enumerate(channel.provider_templates):
        _template(parts, document, (*at, index), template)
    for campaign, language in product_of(campaigns, parts.languages):
        if channel.id in campaign.channels and channel.is_templated(language):
            mine = [template for template in channel.provider_templates if template.language == language]
            if not any(_is_for(template, campaign) for template in mine):
                document.report(
                    at, f"campaign `{campaign.id}` has no template in {language}", "a template for each campaign"
                )


def check_filled(playbook: Playbook, parts: Parts) -> None:
    """Fills every template with every product; reports customers who would get nothing, and templates that are never used."""
    document = parts.documents["channels.yaml"]
    for index, channel in enumerate(playbook.channels.values()):
        at: FieldPath = ("channels", index, "provider_templates")
        for campaign, language in product_of(playbook.campaigns.values(), playbook.languages):
            if channel.id in campaign.channels and channel.is_templated(language):
                found = provider_templates.choose(playbook, channel, campaign, language, None, _ANY)
                if not isinstance(found, Filled):
                    wrong = f"campaign `{campaign.id}` has no template in {language} for customers who refused personalisation"
                    document.report(at, f"{wrong}: {found[1]}", "a final template with only `fixed` and campaign.cta")
        for number, template in enumerate(channel.provider_templates):
            if why := _never_chosen(playbook, channel, template):
                document.report((*at, number), f"is never chosen: {why}", "a template that some customer can get")


def previews(playbook: Playbook) -> Iterator[str]:
    """Yields each provider template as the first eligible customer would see it."""
    for channel in playbook.channels.values():
        for template in channel.provider_templates:
            filled = (
                provider_templates.values(playbook, channel, template, *situation)
                for situation in _situations(playbook, template)
            )
            params = next((params for params in filled if not isinstance(params, str)), {})
            yield f"{channel.id} {template.id} {template.language}: {provider_templates.preview(template, params)}"


def _template(parts: Parts, document: Document, path: FieldPath, template: ProviderTemplate) -> None:
    reference(document, (*path, "language"), "language", template.language, parts.languages)
    if template.campaigns is not None and parts.campaigns is not None:
        known = [campaign.id for campaign in parts.campaigns.campaigns]
        for index, campaign in enumerate(template.campaigns):
            reference(document, (*path, "campaigns", index), "campaign", campaign, known)
        if not template.campaigns:
            document.report((*path, "campaigns"), "is empty", "at least one campaign; omit the field for all campaigns")
    for name, param in template.params.items():
        _param(document, (*path, "params", name), param)
    named = provider_templates.placeholders(template.text)
    for name in named:
        reference(document, (*path, "text"), "parameter", name, template.params)
    for name in template.params:
        if name not in named:
            document.report((*path, "params", name), "is not used in the text", f"{{{name}}} in `text`")


def _param(document: Document, path: FieldPath, param: Param) -> None:
    if param.source is None and not param.fixed.strip():
        document.report(path, "has no source", f"source: {_SOURCES}; or fixed: some text")
    elif param.source is not None and param.fixed:
        document.report(path, "has two sources", "`source` or `fixed`")
    elif len(param.fixed) > param.max_chars:
        document.report((*path, "fixed"), f"has {len(param.fixed)} characters", f"max_chars: {param.max_chars}")


def _never_chosen(playbook: Playbook, channel: Channel, template: ProviderTemplate) -> str | None:
    """Returns the reason why no customer gets a template; None if some do."""
    why = overtaken = ""
    for campaign, group, product in _situations(playbook, template):
        found = provider_templates.choose(playbook, channel, campaign, template.language, group, product)
        if isinstance(found, Filled) and found.template_id == template.id:
            return None
        own = provider_templates.values(playbook, channel, template, campaign, group, product)
        if isinstance(own, str):
            why = why or own
        elif isinstance(found, Filled):
            overtaken = f"`{found.template_id}` always matches first"
    return overtaken or why or "no campaign uses it"


def _situations(playbook: Playbook, template: ProviderTemplate) -> Iterator[tuple[Campaign, str | None, ProductFacts]]:
    """Returns all combinations of campaign, group and product.

    Includes products with fewer fields, and None as the group of customers whose data may not be used.
    """
    campaigns = [campaign for campaign in playbook.campaigns.values() if _is_for(template, campaign)]
    products = [facts_of(product, template.language) for product in playbook.products.values()] or [_ANY]
    products += [replace(product, **fewer) for fewer in _FEWER_FIELDS for product in products]
    groups = [*(group.id for group in playbook.audiences.target_groups), None]
    return product_of(campaigns, groups, products)


def _is_for(template: ProviderTemplate, campaign: Campaign) -> bool:
    return template.campaigns is None or campaign.id in template.campaigns
