"""Defines catalogue.products: the products, and the claims that copy may make about them."""

from __future__ import annotations

from schemas.base import FIRST_VERSION, Identifier, Instant, Wire, always


class CatalogueProduct(Wire, frozen=True, kw_only=True):
    """One product. Texts are per language (`zh`, `en`); `facts` are the only claims that copy may make.

    `stock` None = not tracked. `reference_price` is the lowest price of the last 30 days (EU price indication).
    """

    product_id: Identifier
    sku: str = ""
    name: dict[str, str] = {}
    category: str = ""
    category_name: dict[str, str] = {}
    brand: str = ""
    facts: dict[str, list[str]] = {}
    tags: list[str] = []
    price: float | None = None
    reference_price: float | None = None
    currency: str | None = None
    url: str = ""
    image_url: str = ""
    stock: int | None = None
    accessory_of: list[str] = []
    updated_at: Instant | None = None
    schema_version: int = always(FIRST_VERSION)
