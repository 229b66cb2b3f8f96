"""Converts properties, products, traits and context to the types of customer.events.

A field of the contract whose value cannot be parsed is omitted (unknown); the shop's own fields stay unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import msgspec

from schemas.events import Campaign, Product, Properties
from schemas.names import normal
from schemas.values import (
    PLACEHOLDERS,
    Json,
    absent,
    currency,
    first,
    identifier,
    instant,
    integer,
    is_affirmative,
    loose_text,
    number,
    obj,
    price,
    quantity,
    setting,
    text,
)

Cleaner = Callable[[object], object | None]

#: Traits nested deeper than this, with longer names (path included), or beyond this count are omitted: a profile holds facts,
#: not documents, and flattening repeats the parents' names in every trait.
_TRAIT_LEVELS = 3
_TRAIT_NAME = 256
_TRAITS = 512


def products(value: object) -> list[Json] | None:
    """Returns product lines; `product_id` falls back to `sku` and `id`, and a line with none of them is ignored.

    An empty list means that there are no products; None: no value was given, or none that can be parsed.

    >>> products([]), products(None), products([{"name": "?"}]), products({"1": {"sku": "a"}, "3": {"sku": "b"}})
    ([], None, None, [{'sku': 'a', 'product_id': 'a'}, {'sku': 'b', 'product_id': 'b'}])
    """
    given = _lines(value)
    if not given:
        return [] if given == [] else None
    return [line for row in given if (line := product(obj(row))) is not None] or None


def _lines(value: object) -> list[object] | None:
    """Returns the lines of a list, a list as JSON text, a single product, or a PHP array with gaps (which becomes an object)."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return None
    if isinstance(value, dict):
        rows = list(value.values())
        return rows if all(isinstance(row, dict) for row in rows) else [value]
    return value if isinstance(value, list) else None


def product(row: Json) -> Json | None:
    """Returns one product line, or None if it identifies no product."""
    line = clean(row, _PRODUCT)
    product_id = line.get("product_id") or identifier(row.get("sku")) or identifier(row.get("id"))
    if product_id is None:
        return None
    line["product_id"] = product_id
    return line


def properties(raw: Json) -> Json:
    """Converts the properties of an event."""
    return clean(raw, _PROPERTIES)


def clean(raw: Json, cleaners: Mapping[str, Cleaner]) -> Json:
    """Returns `raw` with the fields of the contract converted; None and values that cannot be converted are omitted."""
    cleaned: Json = {}
    for name, value in raw.items():
        cleaner = cleaners.get(name)
        if cleaner is None:
            cleaned[name] = value
        elif value is not None and (converted := cleaner(value)) is not None:
            cleaned[name] = converted
    return cleaned


def traits(raw: Json) -> Json:
    """Flattens traits: `address: {city: x}` becomes `address.city`, a list becomes a list of texts.

    >>> traits({"age": 30, "address": {"city": "Ulm"}, "tags": ["a", 1], "odd": [{}]})
    {'age': 30, 'address.city': 'Ulm', 'tags': ['a', '1']}
    """
    flat: Json = {}
    _flatten(raw, "", 1, flat)
    return flat


def _flatten(raw: Json, prefix: str, level: int, flat: Json) -> None:
    for name, value in raw.items():
        if len(prefix) + len(name) > _TRAIT_NAME or len(flat) >= _TRAITS:
            continue
        if value is None or isinstance(value, str | int | float | bool):
            flat[prefix + name] = value
        elif isinstance(value, list):
            texts = [item_text for item in value if (item_text := loose_text(item)) is not None]
            if texts or not value:
                flat[prefix + name] = texts
        elif isinstance(value, dict) and level < _TRAIT_LEVELS:
            _flatten(obj(value), f"{prefix}{name}.", level + 1, flat)


def context(raw: Json) -> Json:
    """Converts locale, time zone, campaign and traits; other fields (device, page, ...) stay unchanged."""
    cleaned = clean(raw, _CONTEXT)
    for name in ("campaign", "traits", "consent"):
        if name in cleaned and not cleaned[name]:
            del cleaned[name]
    return cleaned


def consent(raw: Json) -> Json:
    """Returns the content of a `Consent Updated` as texts: status, channel and purpose. Each may be missing.

    Every value that could be meant as a refusal is kept: the profile interprets the texts.

    >>> consent({"status": False, "channel": ["push", "email"]}), consent({"status": {}})
    ({'status': 'denied', 'channel': 'push,email'}, {'status': 'denied'})
    """
    raw = {normal(name): value for name, value in raw.items()}
    status = first(raw, "status", "granted", "consent") if absent(raw.get("status")) else raw["status"]
    status_text = status.strip() if isinstance(status, str) else ""
    fields: Json = {"status": status_text or ("granted" if is_affirmative(status) else "denied")}
    for name, plural in (("channel", "channels"), ("purpose", "purposes")):
        given = first(raw, name, plural)
        names = (
            [item_text for item in given if (item_text := text(item))]
            if isinstance(given, list)
            else [text(given) or ""]
        )
        if not isinstance(given, list) and not absent(given) and not names[0]:
            names = ["?"]  # the value is not a name: a refusal of it refuses everything
        fields[name] = ",".join(names)
    return {name: value for name, value in fields.items() if value}


def _campaign(value: object) -> Json:
    return clean(obj(value), _CAMPAIGN)


def _consent(value: object) -> Json:
    """Converts `categoryPreferences` to booleans: anything but a clear yes is a no, as in `Consent Updated`."""
    fields = dict(obj(value))
    spellings = [fields.pop(name, None) for name in ("categoryPreferences", "category_preferences")]
    given = next((obj(preferences) for preferences in spellings if preferences), {})
    preferences: Json = {name.strip(): is_affirmative(answer) for name, answer in given.items() if not absent(name)}
    return {**fields, "categoryPreferences": preferences} if preferences else fields


def _flat_traits(value: object) -> Json:
    return traits(obj(value))


def _cleaners(struct: type[msgspec.Struct]) -> dict[str, Cleaner]:
    """Returns a converter for each field of a struct, by its type, so that new fields of the contract are converted too."""
    by_type: dict[type, Cleaner] = {
        msgspec.inspect.StrType: loose_text,
        msgspec.inspect.FloatType: number,
        msgspec.inspect.IntType: integer,
        msgspec.inspect.DateTimeType: instant,
        msgspec.inspect.ListType: products,
    }
    cleaners: dict[str, Cleaner] = {}
    described = msgspec.inspect.type_info(struct)
    if not isinstance(described, msgspec.inspect.StructType):
        raise TypeError(f"{struct} is not a struct")
    for field in described.fields:
        options = field.type.types if isinstance(field.type, msgspec.inspect.UnionType) else (field.type,)
        kind = next(option for option in options if not isinstance(option, msgspec.inspect.NoneType))
        cleaners[field.encode_name] = identifier if field.name.endswith("_id") else by_type[type(kind)]
    return cleaners


def _numbered(value: object) -> str | None:
    """Returns the ID of a cart or an order. Numbering starts at 1: shops write 0 if there is no cart or order."""
    found = identifier(value)
    return None if found in _NO_NUMBER else found


_NO_NUMBER = PLACEHOLDERS | {"0"}


_MONEY: dict[str, Cleaner] = {"price": price, "quantity": quantity, "currency": currency}
_PRODUCT = _cleaners(Product) | _MONEY
_PROPERTIES = _cleaners(Properties) | _MONEY | dict.fromkeys(("cart_id", "checkout_id", "order_id"), _numbered)
_CAMPAIGN = _cleaners(Campaign)
_CONTEXT: dict[str, Cleaner] = {
    "locale": setting,
    "timezone": setting,
    "campaign": _campaign,
    "traits": _flat_traits,
    "consent": _consent,
}


def needs_no_cleaning(properties: Properties) -> bool:
    """Returns whether properties of the right types also have valid values (see `values.price` ...)."""
    if not _is_clean(properties) or (properties.currency is not None and not _is_currency(properties.currency)):
        return False
    if properties.order_id in _NO_NUMBER or properties.cart_id in _NO_NUMBER or properties.checkout_id in _NO_NUMBER:
        return False
    return not properties.products or all(map(_is_clean, properties.products))


def _is_clean(line: Product | Properties) -> bool:
    unit_price, pieces = line.price, line.quantity
    return (
        (unit_price is None or unit_price > 0)
        and (pieces is None or pieces >= 0)
        and (line.product_id is None or line.product_id not in PLACEHOLDERS)
    )


@lru_cache(maxsize=1024)
def _is_currency(code: str) -> bool:
    return len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()
