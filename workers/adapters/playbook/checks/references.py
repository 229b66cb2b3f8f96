"""Checks that the parts of a playbook match: references, languages, ranges, conditions, and that no copy is missing."""

from __future__ import annotations

from workers.adapters.playbook.checks import campaigns, channels, policy, surfaces
from workers.adapters.playbook.checks.campaigns import prompts_of
from workers.adapters.playbook.checks.findings import missing_file, reference, texts, unique
from workers.adapters.playbook.documents.parts import Parts
from workers.adapters.playbook.documents.yaml_documents import Document, FieldPath
from workers.core.playbook.audiences import Condition
from workers.core.playbook.playbook import GENERIC_GROUP
from workers.core.segments import conditions


def check(parts: Parts) -> None:
    """Adds findings to `parts.problems`. Content of a broken file is not reported as missing elsewhere."""
    policy.check(parts)
    _products(parts)
    _audiences(parts)
    channels.check(parts)
    campaigns.check(parts)
    surfaces.check(parts)
    _copy_exists(parts)


def _products(parts: Parts) -> None:
    if parts.products is None:
        return
    document = parts.documents["products.yaml"]
    products = parts.products.products
    ids = [product.product_id for product in products]
    unique(document, ("products",), ids, "product_id", "product_id")
    for code, names in parts.products.categories.items():
        texts(document, ("categories", code), names, parts.languages, required=True)
    for index, product in enumerate(products):
        path: FieldPath = ("products", index)
        texts(document, (*path, "name"), product.name, parts.languages, required=True)
        texts(document, (*path, "category_name"), product.category_name, parts.languages, required=False)
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
                (*path, "currency"), f"`{product.currency or ''}` is not a currency code", "three capital letters (CNY)"
            )
        for field in ("url", "image_url"):
            if (url := getattr(product, field)) and not url.startswith("https://"):
                document.report((*path, field), f"`{url}` is not an https link", "https://...")


def _audiences(parts: Parts) -> None:
    audiences = parts.audiences
    if audiences is None:
        return
    document = parts.documents["audiences.yaml"]
    groups = [group.id for group in audiences.target_groups]
    unique(document, ("target_groups",), groups, "id", "id")
    unique(document, ("segments",), [segment.id for segment in audiences.segments], "id", "id")
    reference(document, ("default_target_group",), "target group", audiences.default_target_group, groups)
    for index, group in enumerate(audiences.target_groups):
        path: FieldPath = ("target_groups", index)
        if group.id == GENERIC_GROUP:
            document.report((*path, "id"), f"`{GENERIC_GROUP}` is reserved for texts without a group", "another id")
        texts(document, (*path, "name"), group.name, parts.languages, required=True)
        texts(document, (*path, "angle"), group.angle, parts.languages, required=True)
        _rule(document, (*path, "when"), group.when)
    for index, segment in enumerate(audiences.segments):
        texts(document, ("segments", index, "name"), segment.name, parts.languages, required=False)
        _rule(document, ("segments", index, "when"), segment.when)


def _copy_exists(parts: Parts) -> None:
    """Checks for a template for every language, group and channel that a campaign can need, and every prompt of its variants.

    Channels that send a provider's templates need no texts.
    """
    if parts.campaigns is None or parts.audiences is None:
        return
    prompts = {(file.prompt.id, file.prompt.language) for file in parts.prompts}
    templates = {(file.prompt, file.language): file for file in parts.templates}
    groups = [*(group.id for group in parts.audiences.target_groups), GENERIC_GROUP]
    for campaign in parts.campaigns.campaigns:
        for language in parts.languages:
            untemplated = [channel for channel in campaign.channels if not parts.is_templated(channel, language)]
            if campaign.channels and not untemplated:
                continue
            for prompt in prompts_of(campaign):
                if (prompt, language) not in prompts:
                    missing_file(parts.problems, f"prompts/{language}/{prompt}.j2", f"campaign `{campaign.id}`")
            file = templates.get((campaign.prompt, language))
            if file is None:
                missing_file(
                    parts.problems, f"templates/{language}/{campaign.prompt}.yaml", f"campaign `{campaign.id}`"
                )
                continue
            for channel in untemplated:
                for group in groups:
                    if group not in file.content.get(channel, {}):
                        file.document.report((channel, group), f"is missing; campaign `{campaign.id}` needs it")


def _rule(document: Document, path: FieldPath, condition: Condition) -> None:
    for inner, wrong in conditions.mistakes(condition):
        text, _, allowed = wrong.partition("; allowed: ")
        document.report((*path, *inner), text, allowed)


def _is_currency(code: str) -> bool:
    return len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()
