"""Whether the parts of a playbook fit together: references, languages, ranges, rules, and no copy is missing."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from schemas.messages import MessageText
from schemas.topics import CHANNELS
from workers.adapters.playbook_parts import Parts
from workers.adapters.yaml_documents import Document, FieldPath, Problem
from workers.adapters.yaml_structs import did_you_mean
from workers.core import rules
from workers.core.playbook import GENERIC_GROUP, Condition, Texts

_MAX_PRODUCT_ID = 256


def check(parts: Parts) -> None:
    """Reports into `parts.problems`. What a broken file would have said is not missed elsewhere."""
    _policy(parts)
    _products(parts)
    _audiences(parts)
    _channels(parts)
    _campaigns(parts)
    _copy_exists(parts)


def reference(document: Document, path: FieldPath, kind: str, name: str, known: Iterable[str]) -> None:
    """Reports a name that is not among the known ones."""
    known = list(known)
    if name not in known:
        wrong = f"{kind} `{name}` is not known" + did_you_mean(name, known)
        document.report(path, wrong, ", ".join(known) or f"(there is no {kind})")


def _policy(parts: Parts) -> None:
    policy = parts.policy
    if policy is None:
        return
    document = parts.documents["policy.yaml"]
    _unique(document, ("languages",), policy.languages, "language")
    _texts(document, ("ai_label",), policy.ai_label, parts.languages, required=True)
    for language in policy.banned_words:
        reference(document, ("banned_words", language), "language", language, parts.languages)
    for index, cap in enumerate(policy.caps):
        if cap.channel is not None and parts.channels is not None:
            channels = [channel.id for channel in parts.channels.channels]
            reference(document, ("caps", index, "channel"), "channel", cap.channel, channels)


def _products(parts: Parts) -> None:
    if parts.products is None:
        return
    document = parts.documents["products.yaml"]
    products = parts.products.products
    ids = [product.product_id for product in products]
    _unique(document, ("products",), ids, "product_id", "product_id")
    for code, names in parts.products.categories.items():
        _texts(document, ("categories", code), names, parts.languages, required=True)
    for index, product in enumerate(products):
        path: FieldPath = ("products", index)
        _texts(document, (*path, "name"), product.name, parts.languages, required=True)
        _texts(document, (*path, "category_name"), product.category_name, parts.languages, required=False)
        for language in product.facts:
            reference(document, (*path, "facts", language), "language", language, parts.languages)
        if product.facts and (missing := [language for language in parts.languages if language not in product.facts]):
            document.report(
                (*path, "facts"), f"{', '.join(missing)} is missing", "facts in " + ", ".join(parts.languages)
            )
        for number, other in enumerate(product.accessory_of):
            reference(document, (*path, "accessory_of", number), "product", other, ids)
        for field in ("price", "reference_price", "stock"):
            value = getattr(product, field)
            if value is not None and value < 0:
                document.report((*path, field), f"{value:g} is out of range", "0 or more")
        if product.price is not None and (product.currency is None or not _is_currency(product.currency)):
            document.report(
                (*path, "currency"), f"`{product.currency or ''}` is no currency", "three capital letters (CNY)"
            )
        for field in ("url", "image_url"):
            if (url := getattr(product, field)) and not url.startswith("https://"):
                document.report((*path, field), f"`{url}` is no safe link", "https://...")


def _audiences(parts: Parts) -> None:
    audiences = parts.audiences
    if audiences is None:
        return
    document = parts.documents["audiences.yaml"]
    groups = [group.id for group in audiences.target_groups]
    _unique(document, ("target_groups",), groups, "id", "id")
    _unique(document, ("segments",), [segment.id for segment in audiences.segments], "id", "id")
    reference(document, ("default_target_group",), "target group", audiences.default_target_group, groups)
    for index, group in enumerate(audiences.target_groups):
        path: FieldPath = ("target_groups", index)
        if group.id == GENERIC_GROUP:
            document.report((*path, "id"), f"`{GENERIC_GROUP}` is kept for texts without any group", "another id")
        _texts(document, (*path, "name"), group.name, parts.languages, required=True)
        _texts(document, (*path, "angle"), group.angle, parts.languages, required=True)
        _rule(document, (*path, "when"), group.when)
    for index, segment in enumerate(audiences.segments):
        _texts(document, ("segments", index, "name"), segment.name, parts.languages, required=False)
        _rule(document, ("segments", index, "when"), segment.when)


def _channels(parts: Parts) -> None:
    if parts.channels is None:
        return
    document = parts.documents["channels.yaml"]
    _unique(document, ("channels",), [channel.id for channel in parts.channels.channels], "id", "id")
    known = [field.name for field in msgspec.structs.fields(MessageText)]
    for index, channel in enumerate(parts.channels.channels):
        path: FieldPath = ("channels", index)
        reference(document, (*path, "id"), "channel", channel.id, CHANNELS)
        if "body" not in channel.fields:
            document.report((*path, "fields"), "`body` is missing", ", ".join(known))
        for name, limits in channel.fields.items():
            at = (*path, "fields", name)
            reference(document, at, "field", name, known)
            for language, limit in limits.items():
                reference(document, (*at, language), "language", language, parts.languages)
                if not 1 <= limit.min_chars <= limit.max_chars:
                    document.report((*at, language), "the limits are out of order", "1 <= min_chars <= max_chars")
            if missing := [language for language in parts.languages if language not in limits]:
                document.report(at, f"{', '.join(missing)} is missing", "limits in " + ", ".join(parts.languages))


def _campaigns(parts: Parts) -> None:
    if parts.campaigns is None:
        return
    document = parts.documents["campaigns.yaml"]
    _unique(document, ("campaigns",), [campaign.id for campaign in parts.campaigns.campaigns], "id", "id")
    prompts = sorted({file.prompt.id for file in parts.prompts})
    for index, campaign in enumerate(parts.campaigns.campaigns):
        path: FieldPath = ("campaigns", index)
        for field in ("name", "goal"):
            _texts(document, (*path, field), getattr(campaign, field), parts.languages, required=True)
        _texts(document, (*path, "cta"), campaign.cta, parts.languages, required=False)
        reference(document, (*path, "prompt"), "prompt", campaign.prompt, prompts)
        if not campaign.channels:
            document.report((*path, "channels"), "is empty", "at least one channel")
        _unique(document, (*path, "channels"), campaign.channels, "channel")
        if parts.channels is not None:
            for number, channel in enumerate(campaign.channels):
                reference(
                    document, (*path, "channels", number), "channel", channel, [c.id for c in parts.channels.channels]
                )
        if campaign.ttl_s <= campaign.deadline_s:
            document.report(
                (*path, "ttl_s"), f"{campaign.ttl_s:g} ends before the deadline", f"more than {campaign.deadline_s:g}"
            )


def _copy_exists(parts: Parts) -> None:
    """A prompt and a template for every language, group and channel that a campaign can need."""
    if parts.campaigns is None or parts.audiences is None:
        return
    prompts = {(file.prompt.id, file.prompt.language) for file in parts.prompts}
    templates = {(file.prompt, file.language): file for file in parts.templates}
    groups = [*(group.id for group in parts.audiences.target_groups), GENERIC_GROUP]
    for campaign in parts.campaigns.campaigns:
        for language in parts.languages:
            if (campaign.prompt, language) not in prompts:
                _missing(parts, f"prompts/{language}/{campaign.prompt}.j2", campaign.id)
            file = templates.get((campaign.prompt, language))
            if file is None:
                _missing(parts, f"templates/{language}/{campaign.prompt}.yaml", campaign.id)
                continue
            for channel in campaign.channels:
                for group in groups:
                    if group not in file.content.get(channel, {}):
                        file.document.report((channel, group), f"is missing; campaign `{campaign.id}` needs it")


def _missing(parts: Parts, file: str, campaign: str) -> None:
    if not any(problem.file == file for problem in parts.problems):  # else it is there, and broken
        parts.problems.append(Problem(file, 1, "", f"the file is missing; campaign `{campaign}` needs it"))


def _texts(document: Document, path: FieldPath, texts: Texts, languages: list[str], *, required: bool) -> None:
    for language, text in texts.items():
        reference(document, (*path, language), "language", language, languages)
        if not text.strip():
            document.report((*path, language), "is empty", "text")
    missing = [language for language in languages if language not in texts]
    if missing and (required or texts):
        document.report(path, f"{', '.join(missing)} is missing", "texts in " + ", ".join(languages))


def _rule(document: Document, path: FieldPath, condition: Condition) -> None:
    for inner, wrong in rules.mistakes(condition):
        text, _, allowed = wrong.partition("; allowed: ")
        document.report((*path, *inner), text, allowed)


def _unique(document: Document, path: FieldPath, names: list[str], kind: str, field: str = "") -> None:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in first:
            at = (*path, index, field) if field else (*path, index)
            document.report(at, f"{kind} `{name}` stands twice (also at {path[-1]}[{first[name]}])", "each once")
        first.setdefault(name, index)


def _is_currency(code: str) -> bool:
    return len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()
