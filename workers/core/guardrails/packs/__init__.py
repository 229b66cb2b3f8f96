"""The shipped rule packs, and the check of a text against some of them. They help a marketer; they are not legal advice."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import msgspec

from workers.core.guardrails.matching.pattern_table import PatternTable
from workers.core.guardrails.packs import cn, eu, gb, medical, us
from workers.core.guardrails.packs.rules import Pack, PriceRule, Rule

__all__ = ["PACKS", "Breach", "breach", "price_rules"]

#: This many leading characters of the words must occur in the facts: "guarantee" covers "guaranteed", but "free shipping"
#: does not cover "free gift".
_STEM = 9
#: id → pack.
PACKS: dict[str, Pack] = {
    pack.id: pack for pack in (cn.ADVERTISING, cn.PRICES, medical.NO_MEDICAL, eu.PRICES, gb.CAP, us.FTC)
}


class Breach(msgspec.Struct, frozen=True):
    """A rule that a text breaks (`pack.rule`), and the words that break it."""

    rule: str
    words: str
    reason: str

    def __str__(self) -> str:
        return f'"{self.words}": {self.reason} ({self.rule})'


def breach(pack_ids: Iterable[str], text: str, facts: str = "") -> Breach | None:
    """Returns the first rule that a normalised, case-folded text breaks; `facts` are the product's own, case-folded too.

    >>> breach(["cn_advertising"], "国家级品质").rule
    'cn_advertising.superlative'
    >>> breach(["cn_advertising"], "最后一步,最长 7 天") is None
    True
    """
    rules, screen = _rules(tuple(pack_ids))
    for name, found in screen.found(text):
        rule = rules[name]
        if not (rule.unless_stated and found.group()[:_STEM] in facts):
            return Breach(name, found.group(), rule.reason)
    return None


def price_rules(pack_ids: Iterable[str]) -> list[tuple[str, PriceRule]]:
    """Returns (`pack.rule`, rule) of each pack that regulates how a lower price may be announced."""
    return [(f"{pack.id}.{pack.prices.id}", pack.prices) for pack in map(PACKS.__getitem__, pack_ids) if pack.prices]


@lru_cache(maxsize=64)
def _rules(pack_ids: tuple[str, ...]) -> tuple[dict[str, Rule], PatternTable]:
    rules = {f"{pack.id}.{rule.id}": rule for pack in map(PACKS.__getitem__, pack_ids) for rule in pack.rules}
    return rules, PatternTable({name: rule.pattern for name, rule in rules.items()})
