"""Selects and fills texts registered with a provider (marketing SMS in China, WeChat subscription messages).

No text is generated: the first template of campaign and language is used whose values are all present, short enough and harmless.
Values may come from events, so they are untrusted.
"""

from __future__ import annotations

import re
from math import isfinite

import msgspec

from schemas.messages import MessageText, ProductFacts
from workers.core.generation.rendering import product_words
from workers.core.generation.templates import TextContext
from workers.core.guardrails.check import check
from workers.core.playbook.campaigns import Campaign
from workers.core.playbook.channels import Channel, Param, ProviderTemplate
from workers.core.playbook.playbook import GENERIC_GROUP, Playbook
from workers.core.profile.model import OpenRequest
from workers.core.text.sanitize import clean
from workers.core.triggers.base import Objection

#: Guardrails for a single value; the others judge a whole text.
_GUARDS = frozenset(("meta", "markup", "contact", "banned_words", "offers", "market", "voice", "emoji"))
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\.DATA\s*\}\}|\$?\{\s*(\w+)\s*\}")
_CURRENCY = re.compile("[A-Z]{3}")
_MAX_REASONS = 3


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """A provider template with its values."""

    template_id: str
    params: dict[str, str]


def fill(playbook: Playbook, opened: OpenRequest) -> Filled | Objection | None:
    """Returns the template to send for a request, or why none can be sent; None = the channel and language use generated texts.

    The campaign must be in the playbook.
    """
    channel = playbook.channels.get(opened.channel)
    if channel is None or not channel.is_templated(opened.language):
        return None
    campaign = playbook.campaigns[opened.campaign_id]
    personal = opened.personalised and opened.target_group != GENERIC_GROUP
    group = opened.target_group if personal else None
    return choose(playbook, channel, campaign, opened.language, group, opened.product)


def choose(
    playbook: Playbook,
    channel: Channel,
    campaign: Campaign,
    language: str,
    target_group: str | None,
    product: ProductFacts,
) -> Filled | Objection:
    """Returns the first template that fits. `target_group` None = no data of customer or product may be used.

    If there is no template at all, the objection is `stale`: the playbook has changed. If the values fit none, it is `guardrail`.
    """
    reasons = []
    for template in channel.provider_templates:
        if template.language != language or (template.campaigns is not None and campaign.id not in template.campaigns):
            continue
        params = values(playbook, channel, template, campaign, target_group, product)
        if not isinstance(params, str):
            return Filled(template_id=template.id, params=params)
        reasons.append(f"{template.id}: {params}")
    if not reasons:
        return "stale", f"{channel.id} has no provider template in {language} for {campaign.id}"
    more = f"; and {len(reasons) - _MAX_REASONS} more" if len(reasons) > _MAX_REASONS else ""
    return "guardrail", "no provider template fits: " + "; ".join(reasons[:_MAX_REASONS]) + more


def values(
    playbook: Playbook,
    channel: Channel,
    template: ProviderTemplate,
    campaign: Campaign,
    target_group: str | None,
    product: ProductFacts,
) -> dict[str, str] | str:
    """Returns the value of every parameter, or (a str) why the template does not fit. Values are never shortened to fit."""
    about = TextContext(language=template.language, channel=channel.id, product=product)
    found = {}
    for name, param in template.params.items():
        value = _value(playbook, param, campaign, template.language, target_group, product)
        if not value:
            return f"{name} is empty ({param.source or 'fixed'})"
        if len(value) > param.max_chars:
            return f"{name} has {len(value)} characters ({param.source or 'fixed'}), allowed are {param.max_chars}"
        if param.source != "product.price":  # the contact guardrail would take a long number for a telephone number
            for verdict in check(MessageText(body=value), about, playbook):
                if verdict.name in _GUARDS and not verdict.passed:
                    return f"{name} breaks the guardrail {verdict.name}: {verdict.detail}"
        found[name] = value
    return found


def placeholders(text: str) -> list[str]:
    """Returns the parameters named in a provider's text, each once.

    >>> placeholders("您的${item}与{1}：{{thing2.DATA}}，{ item }")
    ['item', '1', 'thing2']
    """
    return list(dict.fromkeys(found.group(1) or found.group(2) for found in _PLACEHOLDER.finditer(text)))


def preview(template: ProviderTemplate, params: dict[str, str]) -> str:
    """Returns the text as a customer would read it; for display only, never sent."""
    return _PLACEHOLDER.sub(lambda found: params.get(found.group(1) or found.group(2), found.group()), template.text)


def _value(
    playbook: Playbook,
    param: Param,
    campaign: Campaign,
    language: str,
    target_group: str | None,
    product: ProductFacts,
) -> str:
    """Returns the value of a parameter; "" = there is none, or it may not be used."""
    if param.source == "campaign.cta":
        return _cleaned(campaign.cta.get(language, ""))
    if param.source is None:
        return _cleaned(param.fixed)
    if target_group is None:
        return ""
    match param.source:
        case "product.name":
            return _cleaned(product.name) if product_words(playbook, language, product).name else ""
        case "product.category":
            return product_words(playbook, language, product).category
        case "product.price":
            return _price(product, language)
        case "group.name":
            names = {group.id: group.name for group in playbook.audiences.target_groups}
            return _cleaned(names.get(target_group, {}).get(language, ""))


def _cleaned(text: str) -> str:
    """Cleans a value without a length limit: a truncated value would be a different value."""
    return clean(text, len(text))


def _price(product: ProductFacts, language: str) -> str:
    """Formats a price exact to the cent, never rounded to fewer digits; "" = no valid price.

    >>> _price(ProductFacts(product_id="a", price=1299.5, currency="CNY"), "zh")
    '1299.50元'
    >>> _price(ProductFacts(product_id="a", price=299.0, currency="CNY"), "en")
    '299 CNY'
    """
    price, currency = product.price, product.currency or ""
    if price is None or not isfinite(price) or price <= 0 or not _CURRENCY.fullmatch(currency):
        return ""
    amount = f"{price:.2f}".removesuffix(".00")
    return f"{amount}元" if (language, currency) == ("zh", "CNY") else f"{amount} {currency}"
