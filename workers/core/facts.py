"""What the rules of a playbook and the words of a message may know of a customer and a product."""

from __future__ import annotations

from schemas.base import TraitValue
from schemas.catalogue import CatalogueProduct
from schemas.messages import ProductFacts
from workers.core import decay
from workers.core.playbook import Playbook
from workers.core.profile import CartLine, Profile
from workers.core.rules import Lookup

_DAY_S = 86_400.0


def lookup(profile: Profile, now_s: float) -> Lookup:
    """The fields that a playbook condition can name (see playbook.Condition), read from one profile at one time."""

    def value(root: str, name: str) -> TraitValue:
        match root:
            case "traits":
                return profile.traits.get(name)
            case "count":
                return profile.counts.get(name, 0)
            case "decayed":
                return decay.value(profile.decayed.get(name, 0.0), profile.landmark, now_s)
            case "interest":
                return decay.value(profile.interests.get(name, 0.0), profile.landmark, now_s)
            case "orders":
                return profile.orders
            case "revenue":
                return sum(profile.revenue.values())
            case "days_since_last_order":
                return None if profile.last_order_at is None else (now_s - profile.last_order_at) / _DAY_S
            case "days_since_last_seen":
                return (now_s - profile.last_seen) / _DAY_S
            case "price_max":
                return profile.price_max
            case "locale":
                return profile.locale
            case "language":
                return profile.locale.replace("_", "-").split("-")[0].lower() if profile.locale else None
            case "timezone":
                return profile.timezone
            case _:
                return None

    return value


def language_of(profile: Profile, playbook: Playbook) -> tuple[str, str]:
    """(language, locale) to write in: the customer's if the playbook speaks it, else the playbook's first."""
    locale = (profile.locale or "").replace("_", "-")
    language = locale.split("-")[0].lower()
    if language in playbook.languages:
        return language, locale
    return playbook.languages[0], playbook.languages[0]


def product_facts(line: CartLine, currency: str | None, playbook: Playbook, language: str) -> ProductFacts:
    """What copy may say of a cart line: the playbook's product, else only what the events told."""
    known: CatalogueProduct | None = playbook.products.get(line.product_id)
    if known is None:
        return ProductFacts(
            product_id=line.product_id,
            name=line.name,
            category=line.category,
            brand=line.brand,
            price=line.price,
            currency=currency,
            url=line.url,
            image_url=line.image_url,
            quantity=line.quantity,
        )
    return ProductFacts(
        product_id=known.product_id,
        name=known.name.get(language, ""),
        category=known.category_name.get(language, known.category),
        brand=known.brand,
        facts=known.facts.get(language, []),
        price=known.price,
        currency=known.currency,
        url=known.url,
        image_url=known.image_url,
        quantity=line.quantity,
    )
