"""Requires every amount in a text, in digits or words, to be an amount of the product's own data."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from schemas.messages import ProductFacts
from workers.core.guardrails.grounding.amount_use import LONGEST_CLAUSE, misused
from workers.core.guardrails.grounding.amounts import CURRENCIES, UNCOUNTED, Amount, amounts, bare_values, number
from workers.core.guardrails.grounding.subject import Subject
from workers.core.guardrails.matching.pattern_table import PatternTable

#: "Under 300 yuan" holds for a price of 299: a round number above the price, within this share of it.
_LONGEST_BELOW = 20  # characters
_BELOW, _NEAR = re.compile(r"(?:less than|under|below|不到|低于)\s?[a-z¥€$£]{0,4}\s?$"), 0.1

_ORDER_BEFORE = re.compile(r"第$|\d[:.]$")
_CLOCK_AFTER = re.compile(r"\s?(?:[ap]\.?m\b|o'clock|:\d\d|点)")
_ABOUT_BEFORE = re.compile(
    r"(?:\b(?:about|around|roughly|nearly|almost|approximately|just (?:under|over|short of)|(?:a )?(?:bit|touch|little|shade"
    r"|hair) (?:more than|less than|over|under|below|above)"
    r"|a little|close to|some|barely|not quite|less than|under|short of|or so)"
    r"|约|大约|大概|差不多|将近|接近|近|不到|几乎|快|也就|顶多)[\s]*(?:an? )?$"
)
_ABOUT_AFTER = re.compile(r"\s?(?:左右|上下|出头|不到|的样子|or so\b|ish\b|多一点|多点)")
#: "Six or seven", "twenty-odd".
_ABOUT_WITHIN = re.compile(r"[一二三四五六七八九两]{2}|来|多")
#: What is never rounded: plain numbers, shares and money.
_EXACT = ("", "percent", "times", *CURRENCIES)
_NEVER_LOOSE = ("percent", *CURRENCIES)
#: What a fact may state once for two numbers.
_MEASURED = ("hours", "g", "mm", "ml", "inch", "degrees", "gb", "w", "db", "oz")
_HEDGED, _IN_WORDS, _WRITTEN = 0.1, 0.05, 0.005

#: Amounts in words that are not numerals.
_VAGUE = PatternTable.of(
    r"\ban? (?:hour|minute|day|month|year) (?:on|of|to|at) (?:the |a |full )?(?:charg|batter|power)"
    r"|charg\w{0,8}[^,.]{0,20}\ban? (?:hour|minute)\b"
    r"|\b(?:weeks? and a half|(?:for|lasts?|within|in|after) (?:a|one|another) (?:month|year|decade)|fortnights?"
    r"|couple of (?:days|weeks|hours|months)|few (?:days|weeks|hours|months)"
    r"|for (?:weeks|months|years|decades|ages|ever|life|a lifetime)\b|for days (?:on end|at|without|and)"
    r"|(?:weeks|months|years) (?:of|on))|半个?月|大半个?月|好几(?:周|个)|十天半月|数[天周日]"
)
#: "One week" is an idiom, unless it refers to the battery.
_POWER = re.compile(r"续航|电|充|待机|[能够可]用|撑|batter|charg|power|last")
_CLAUSE_END = re.compile(r"[,，。.!！?？;；\n]")


def numbers(subject: Subject) -> str | None:
    """Rejects the first amount not stated by facts, name, price or quantity. 1 week equals 7 days; a bare 1 is not a claim.

    Where a claim checker judges the sentences, only money and shares are rejected; other amounts are evidence (`odd_amount`).
    """
    return _objection(subject, _NEVER_LOOSE) if subject.is_judged else odd_amount(subject)


def odd_amount(subject: Subject) -> str | None:
    """Returns what is wrong with the first amount that the product's own data does not state."""
    if (vague := _VAGUE.search(subject.text)) and _POWER.search(subject.text) and vague.group() not in subject.facts:
        return f'"{vague.group()}" is not in the product facts'
    return _objection(subject, None)


def _objection(subject: Subject, units: Collection[str] | None) -> str | None:
    """Returns the objection to the first wrong amount in one of `units`; None = any unit."""
    found = [one for one in amounts(subject.text) if units is None or one[0].unit in units]
    if not found:
        return None
    product = subject.about.product
    stated, uncounted = _stated(subject.grounds)
    known, bare = set(stated), set(uncounted)
    if product.price is not None:
        known.add(Amount(product.price, product.currency or ""))
        bare.add(product.price)
    if product.quantity is not None:
        bare.add(float(product.quantity))
    for amount, written, start in found:
        if amount in known or (not amount.unit and (amount.value in bare or amount.value == 1)):
            if amount.unit not in UNCOUNTED and (
                wrong := misused(subject.text, written, start, _stating(amount, subject.facts))
            ):
                return f'"{wrong}" is not what the product facts say about "{written}"'
            continue
        if _is_just_below(amount, product, subject.text[max(0, start - _LONGEST_BELOW) : start]):
            continue
        if amount.unit in _MEASURED and number(written) in uncounted:  # "60 to 63 cm" states 60 cm
            continue
        if _tells_when(subject.text, start, written) or _is_about(amount, subject.text, written, start, known):
            continue
        if amount.unit == "hours" and not any(c.isdigit() for c in written) and _is_idiom(subject.text, written, start):
            continue
        return f'"{written}" is not in the product facts'
    return None


def _tells_when(text: str, start: int, written: str) -> bool:
    """Returns whether the number is a time of day or a place in an order: 6:10, 7 p.m., 第二天."""
    return _ORDER_BEFORE.search(text[max(0, start - 3) : start]) is not None or (
        _CLOCK_AFTER.match(text, start + len(written)) is not None
    )


def _is_about(amount: Amount, text: str, written: str, start: int, known: set[Amount]) -> bool:
    """Returns whether a fact states nearly this amount, and the text says "about", or writes it in words, as people round."""
    if amount.unit in _EXACT:
        return False
    after = text[start + len(written) : start + len(written) + 8]
    before = text[max(0, start - 24) : start]
    hedged = _ABOUT_BEFORE.search(before) or _ABOUT_AFTER.match(after) or _ABOUT_WITHIN.search(written)
    tolerance = _HEDGED if hedged else _IN_WORDS if not any(map(str.isdigit, written)) else _WRITTEN
    return any(
        one.unit == amount.unit and abs(one.value - amount.value) <= tolerance * max(one.value, amount.value)
        for one in known
    )


@lru_cache(maxsize=1024)  # many texts are about the same product
def _stated(grounds: str) -> tuple[frozenset[Amount], frozenset[float]]:
    """Returns the amounts stated in the product's own data, and the values of those without a unit."""
    known = frozenset(amount for amount, _, _ in amounts(grounds))
    return known, frozenset(amount.value for amount in known if amount.unit in UNCOUNTED) | bare_values(grounds)


def _is_just_below(amount: Amount, product: ProductFacts, before: str) -> bool:
    """Returns whether the text says "under" a round amount just above the price: "under 300 yuan" for 299."""
    if product.price is None or amount.unit != product.currency or _BELOW.search(before) is None:
        return False
    return 0 < amount.value - product.price <= _NEAR * product.price


def _stating(amount: Amount, facts: str) -> str:
    """Returns the facts that state an amount."""
    return "\n".join(fact for fact in facts.split("\n") if any(amount == known for known, _, _ in amounts(fact)))


def _is_idiom(text: str, written: str, start: int) -> bool:
    """Returns whether the amount is "one day" or "a week" in words, in a clause that does not mention power."""
    if not written.startswith(("一", "半", "one", "half")) or written[:2] in ("一百", "一千", "一万", "一十"):
        return False
    first, last = max(0, start - LONGEST_CLAUSE), start + LONGEST_CLAUSE
    before = max((match.end() for match in _CLAUSE_END.finditer(text, first, start)), default=first)
    after = _CLAUSE_END.search(text, start, last)
    return _POWER.search(text[before : after.start() if after else last]) is None
