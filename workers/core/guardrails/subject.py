"""What the guardrails look at: one text beside everything that it may claim, normalised once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Protocol

import msgspec

from schemas.messages import MessageText, ProductFacts
from workers.core.playbook import Playbook

_BETWEEN_HAN = re.compile(r"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])")


class About(Protocol):
    """What a text was asked for; a MessageRequest is one."""

    @property
    def language(self) -> str:
        """Primary tag: `zh`, `en`."""
        ...

    @property
    def channel(self) -> str:
        """Id of a channel of the playbook."""
        ...

    @property
    def product(self) -> ProductFacts:
        """The only source of claims, names and numbers."""
        ...


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """`fields` as written; `text`, `grounds` and `facts` are normalised and case-folded: FREE, Free and free are one.

    `grounds` is what the product's own data says: name, brand, category and facts; `facts` the facts alone, which
    nobody outside the playbook writes (a name may come from an event).
    """

    about: About
    playbook: Playbook
    fields: dict[str, str]
    cased: str
    text: str
    grounds: str
    facts: str
    example_words: tuple[str, ...] = ()


def subject(text: MessageText, about: About, playbook: Playbook, example_words: tuple[str, ...] = ()) -> Subject:
    """Normalises a text and its product once for all guardrails."""
    fields = {name: value for name, value in msgspec.structs.asdict(text).items() if value}
    product = about.product
    cased = _lines(fields.values())
    shown = playbook.category_names.get(product.category, {}).get(about.language, "")
    return Subject(
        about=about,
        playbook=playbook,
        fields=fields,
        cased=cased,
        text=cased.casefold(),
        grounds=_lines((product.name, product.brand, product.category, shown, *product.facts)).casefold(),
        facts=_lines(product.facts).casefold(),
        example_words=example_words,
    )


def _lines(texts: Iterable[str]) -> str:
    """Normalised one by one: the end of one and the beginning of the next are no word."""
    return "\n".join(map(normalised, texts))


def normalised(text: str) -> str:
    """NFKC, and no spaces between Chinese characters: 最 佳 hides nothing.

    >>> normalised("最 佳 ＦＲＥＥ")
    '最佳 FREE'
    """
    return _BETWEEN_HAN.sub("", unicodedata.normalize("NFKC", text)).replace("’", "'")
