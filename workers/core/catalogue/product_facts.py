"""Builds the facts of a product that conditions and copy may use."""

from __future__ import annotations

import re

from schemas.catalogue import CatalogueProduct
from schemas.messages import ProductFacts
from workers.core.catalogue import links
from workers.core.playbook import markets
from workers.core.playbook.playbook import Playbook
from workers.core.profile.model import CartLine, Profile

#: A brand that may be taken from an event: a single word, such as `samsung`, which cannot be a sentence.
_ONE_WORD = re.compile(r"[\w&'-]{1,30}")


def language_of(profile: Profile, playbook: Playbook) -> tuple[str, str]:
    """Returns (language, locale) to write in: the customer's if the playbook has that language, else the playbook's first.

    If the playbook has markets, the customer's region is kept, because its law applies in every language.
    """
    locale = (profile.locale or "").replace("_", "-")
    language = locale.split("-")[0].lower()
    if language in playbook.languages:
        return language, locale
    language = playbook.languages[0]
    region = markets.region(locale) if playbook.policy.markets else ""
    return language, f"{language}-{region}" if region else language


def product_facts(line: CartLine, currency: str | None, playbook: Playbook, language: str) -> ProductFacts:
    """Returns what copy may say about a cart line: the playbook's product, else what the playbook allows of the text in events.

    Anyone's event may name a product "Verify your identity": unless allowed, no sentence of an event reaches a customer.
    """
    known: CatalogueProduct | None = playbook.products.get(line.product_id)
    if known is None:
        named = playbook.policy.undescribed_products == "named"
        return ProductFacts(
            product_id=line.product_id,
            name=line.name if named else "",
            category=line.category if named or _is_known(line.category, playbook) else "",
            brand=line.brand if named or _ONE_WORD.fullmatch(line.brand) else "",
            price=line.price,
            currency=currency,
            url=links.safe(line.url, playbook),
            image_url=links.safe(line.image_url, playbook),
            quantity=line.quantity,
        )
    return facts_of(known, language, line.quantity)


def _is_known(category: str, playbook: Playbook) -> bool:
    return category in playbook.category_names or any(
        category == product.category for product in playbook.products.values()
    )


def may_mention(product_id: str, playbook: Playbook) -> bool:
    """Returns whether messages may be about this product: the playbook describes it, or requires no description."""
    return product_id in playbook.products or playbook.policy.undescribed_products != "refuse"


def facts_of(product: CatalogueProduct, language: str, quantity: int | None = 1) -> ProductFacts:
    """Returns what copy may say about a product of the playbook in one language."""
    return ProductFacts(
        product_id=product.product_id,
        name=product.name.get(language, ""),
        category=product.category_name.get(language, product.category),
        brand=product.brand,
        facts=product.facts.get(language, []),
        price=product.price,
        reference_price=product.reference_price,
        currency=product.currency,
        url=product.url,
        image_url=product.image_url,
        quantity=quantity,
    )


def facts_by_id(playbook: Playbook, product_id: str, language: str) -> ProductFacts:
    """Returns what may be said of a product of the playbook; of one that it does not describe, nothing but its ID is known."""
    described = playbook.products.get(product_id)
    return ProductFacts(product_id=product_id) if described is None else facts_of(described, language)
