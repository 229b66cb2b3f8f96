"""The input of the guardrails: one text with all the data that may ground its claims, normalised once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import msgspec

from schemas.messages import MessageText, ProductFacts
from workers.core.guardrails.grounding.prices import ANNOUNCED, Reduction, announceable
from workers.core.playbook.markets import market_of
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Market
from workers.core.text.confusables import as_read
from workers.core.text.normalize import normalised


class About(Protocol):
    """The request for a text; a MessageRequest is one."""

    @property
    def language(self) -> str:
        """Primary language tag: `zh`, `en`."""
        ...

    @property
    def locale(self) -> str:
        """BCP 47; its region determines the market ("" = the language's default)."""
        ...

    @property
    def channel(self) -> str:
        """ID of a channel of the playbook."""
        ...

    @property
    def product(self) -> ProductFacts:
        """The only source of claims, names and numbers."""
        ...

    @property
    def context(self) -> dict[str, str]:
        """What the customer did or wrote, by name; copy must not quote it."""
        ...


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """`fields` are as written, `lines` normalised; `text`, `grounds` and `facts` are case-folded too: FREE, Free and free
    match.

    `grounds` is the product's own data: name, brand, category and facts; `facts` are the facts alone, which only the playbook
    supplies (a name may come from an event). `reduction` is the lower price that the text may announce; its amounts ground a
    text that does. `readings` is `text` plus, where letters are disguised, the text as a reader sees it; forbidden words must
    not occur in any of them. `is_judged`: a claim checker judges the sentences too.
    """

    about: About
    playbook: Playbook
    fields: dict[str, str]
    lines: dict[str, str]
    cased: str
    text: str
    grounds: str
    facts: str
    readings: tuple[str, ...]
    example_words: tuple[str, ...] = ()
    sketches: Sequence[list[int]] = ()
    market: Market | None = None
    reduction: Reduction | None = None
    is_judged: bool = False


def subject(
    text: MessageText,
    about: About,
    playbook: Playbook,
    example_words: tuple[str, ...] = (),
    sketches: Sequence[list[int]] = (),
) -> Subject:
    """Normalises a text and its product once for all guardrails."""
    fields = {name: value for name, value in msgspec.structs.asdict(text).items() if value}
    product = about.product
    lines = {name: normalised(value) for name, value in fields.items()}
    cased = "\n".join(lines.values())
    category_name = playbook.category_names.get(product.category, {}).get(about.language, "")
    grounds = _own_data((product.name, product.brand, product.category, category_name, *product.facts))
    folded, as_seen = cased.casefold(), as_read(cased).casefold()
    lower = announceable(playbook.policy, about.language, about.locale, product)
    if lower is not None and ANNOUNCED.search(folded):
        grounds += "\n" + lower.amounts()
    return Subject(
        about=about,
        playbook=playbook,
        fields=fields,
        lines=lines,
        cased=cased,
        text=folded,
        grounds=grounds.casefold(),
        facts=_own_data(tuple(product.facts)).casefold(),
        readings=(folded,) if as_seen == folded else (folded, as_seen),
        example_words=example_words,
        sketches=sketches,
        market=market_of(playbook.policy, about.language, about.locale),
        reduction=lower,
    )


@lru_cache(maxsize=1024)  # many texts are about the same product
def _own_data(texts: tuple[str, ...]) -> str:
    """Normalises each text separately, so that the end of one and the beginning of the next do not form a word."""
    return "\n".join(map(normalised, texts))
