"""Fills slots: placeholders from a closed set, in texts written in advance, that get their values for each request.

A value is cleaned as templates clean it, so the names that a shop's events give a product cannot bring markup, links or
instructions into a text. A slot without a value makes its text unusable for that request: no sentence is sent with a gap.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from schemas.messages import MessageText, ProductFacts
from workers.core.generation.rendering import product_words, spaced
from workers.core.playbook.playbook import Playbook

#: The slots that exist. `product_label` is the name, else brand and category.
SLOTS = ("product_name", "product_label", "brand", "category", "price", "reference_price", "quantity")
_SLOT = re.compile(r"\{([a-z_]+)\}")
_EDGE = "[A-Za-z0-9]"
_BRACE = re.compile(r"[{}]")


class InvalidSlot(ValueError):
    """A text names a slot that does not exist, or has a brace that is not part of a slot."""


def slots_of(text: MessageText) -> tuple[str, ...]:
    """Returns the slots of a text, each once, in order of appearance.

    Raises InvalidSlot.

    >>> slots_of(MessageText(title="{product_name}", body="Your {product_name}, {quantity} of them."))
    ('product_name', 'quantity')
    """
    found: dict[str, None] = {}
    for field, value in _fields(text).items():
        for match in _SLOT.finditer(value):
            if match.group(1) not in SLOTS:
                raise InvalidSlot(f"{field}: unknown slot {match.group()}; allowed: {_allowed()}")
            found[match.group(1)] = None
        if brace := _BRACE.search(_SLOT.sub("", value)):
            raise InvalidSlot(f'{field}: "{brace.group()}" is not part of a slot; allowed: {_allowed()}')
    return tuple(found)


def values_for(playbook: Playbook, language: str, product: ProductFacts, locale: str = "") -> dict[str, str]:
    """Returns the value of each slot for one product in the market of `locale`; "" = not known, or not to be mentioned."""
    words = product_words(playbook, language, product, locale)
    return {
        "product_name": words.name,
        "product_label": words.label,
        "brand": words.brand,
        "category": words.category,
        "price": words.price,
        "reference_price": words.reference_price,
        "quantity": str(words.quantity),
    }


def filled(text: MessageText, values: Mapping[str, str], language: str) -> MessageText | None:
    """Returns the text with every slot filled, typeset as templates are; None = a slot has no value.

    >>> filled(MessageText(body="Your {product_name}."), {"product_name": "Smart Band"}, "en").body
    'Your Smart Band.'
    """
    fields = _fields(text)
    if not any("{" in value for value in fields.values()):
        return text
    for value in fields.values():
        if any(not values.get(match.group(1)) for match in _SLOT.finditer(value)):
            return None
    done = {name: _SLOT.sub(lambda match: values[match.group(1)], value) for name, value in fields.items()}
    return MessageText(**({name: spaced(value) for name, value in done.items()} if language == "zh" else done))


def with_name_slot(text: MessageText, product_name: str) -> MessageText:
    """Returns the text with the product's name (whole words only) replaced by a slot, so that it survives a change of name.

    >>> with_name_slot(MessageText(body="Your Smart Band, among Smart Bands."), "Smart Band").body
    'Your {product_name}, among Smart Bands.'
    """
    if not product_name:
        return text
    before, after = (_EDGE if end.isascii() and end.isalnum() else "" for end in (product_name[0], product_name[-1]))
    name = re.compile((f"(?<!{_EDGE})" if before else "") + re.escape(product_name) + (f"(?!{_EDGE})" if after else ""))
    return MessageText(**{field: name.sub("{product_name}", value) for field, value in _fields(text).items()})


def _fields(text: MessageText) -> dict[str, str]:
    return {name: value for name, value in msgspec.structs.asdict(text).items() if value}


def _allowed() -> str:
    return ", ".join("{" + slot + "}" for slot in SLOTS)
