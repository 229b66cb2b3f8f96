"""Checks what a text says about a lower price against the price and the lowest price of the last 30 days."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import msgspec

from schemas.messages import ProductFacts
from workers.core.guardrails.matching.pattern_table import PatternTable
from workers.core.guardrails.packs import price_rules
from workers.core.playbook.markets import market_of
from workers.core.playbook.policy import Policy

#: Matches complete numbers only, without backtracking: otherwise a long run of digits would be matched again from each of its
#: positions.
_NUMBER = r"(?<!\d)((?>\d+(?:,\d{3}){1,6}(?:\.\d+)?|\d+(?:\.\d+)?))"
_SIGNED = r"(?:(?:[¥$€£]|cny|rmb|usd|eur|gbp)\s*+)?"
_SIGN = r"(?:[¥$€£]|cny|rmb|usd|eur|gbp)?\s*+"
_MONEY = (
    r"(?:[¥$€£]\s*\d|(?:cny|rmb|usd|eur|gbp) \d|\d[\d.,]{0,24}\s*(?:cny|rmb|yuan|usd|dollars?|eur|euros?|gbp|pounds?"
    r"|元|块))"
)
_PERCENT = r"(?:%|percent|per cent)"
_ZHE = r"(?:\d{1,4}(?:\.\d{1,4})?|[一二三四五六七八九]{1,2})\s*折(?![叠腾磨射返就起])"
#: Any word that announces a lower price than before, including a sale (Commission notice 2021/C 526/02, 1.1).
ANNOUNCED = PatternTable.of(
    rf"\b(?:was|were|previously|formerly|originally|used to (?:be|cost)|instead of|rather than|regularly)"
    rf" (?:only |just )?{_MONEY}"
    r"|\b(?:was|were) (?:only |just )?\d[\d.,]*\b.{0,20}\bnow\b.{0,12}\d"
    rf"|\d\s*{_PERCENT} (?:off|less|cheaper|lower|discount|reduction)\b|\d\s*%-?off\b|{_MONEY} (?:off|less|cheaper)\b"
    r"|\bdiscount\w*|\bhalf[- ]price\b|\b(?:marked|knocked) down\b|\bmark-downs?\b|\bmarkdowns\b|\bon sale\b"
    r"|\bsale (?:price|now on)\b"
    r"|\b(?:the|our|a|summer|autumn|winter|spring|flash|clearance) sale\b|\b(?:special|limited) offers?\b|\bpromotions?\b"
    r"|\bprice[- ](?:drop|cut|reduction)s?\b|\bprices? (?:has |have |is |are |was |were |just )*"
    r"(?:dropped|fell|down|cut|reduced|lowered)\b"
    r"|\b(?:reduced|lowered|lower|slashed|cut) (?:in )?prices?\b|\b(?:now |is )?reduced (?:from|to|by)\b|\bnow reduced\b"
    r"|\blowest (?:price )?(?:of|in|over) the (?:last|past|previous) 30 days\b|30\s*[天日]内?的?最低价?"
    r"|\b(?:rrp|msrp|list price|old price|original price|regular price)\b"
    rf"|\bsav(?:e|es|ing|ings) (?:of |you )?(?:big\b|money\b|up to\b|{_MONEY}|\d+\s*{_PERCENT})"
    rf"|{_ZHE}|打折|折扣|降价|减价|特价|特惠|优惠|促销|大促|立减|直降|立省|省\s*[¥\d]|让利|甩卖|半价|原价|划线价"
    rf"|市场价|专柜价|吊牌价"
    r"|(?:价[^,。!?]{0,6})降[至到了]|降[至到]\s?(?:[¥$€£]|\d[\d.,]*\s*(?:元|块))|价格(?:更低|下调|跳水|直降)|便宜了?\s*\d"
)
#: Words used around a lower price, allowed where one may be announced.
OF_PRICES = re.compile(
    r"\b(?:sav(?:e|es|ing|ings)|off|less|down|lower|lowest|reduced|reduction|discount\w*|sale|was|were|before|previously|now"
    r"|(?:last|past|previous) 30 days|30 days|price|prices|per cent|percent)\b"
    r"|现价|原价|立减|直降|立省|降价|减价|特价|优惠|折|省|降|减|价|最低|内|天内|之前|此前"
)
_OFF = re.compile(
    rf"{_NUMBER}\s*{_PERCENT}(?: (?:off|less|cheaper|lower|discount|reduction)\b|-?off\b)"
    rf"|(?:sav(?:e|es|ing|ings)|reduced by|down by|cut by|lower by|discount of|立减|直降|立省|降价?了?|省了?|便宜了?|优惠)"
    rf"\s*(?:of |you )?{_NUMBER}\s*{_PERCENT}"
)
_ANY_PERCENT = re.compile(rf"{_NUMBER}\s*{_PERCENT}|百分之[一二两三四五六七八九十百]+")
_FOLD = re.compile(r"((?<!\d)\d+(?:\.\d+)?|[一二三四五六七八九]{1,2})\s*折(?![叠腾磨射返])")
_HALF = re.compile(r"\bhalf[- ]price\b|半价")
_SAVED = re.compile(
    rf"(?:\b(?:sav(?:e|es|ing|ings)|reduced by|down by|cut by|lower by|discount of) (?:of |you )?"
    rf"|(?:立减|直降|立省|省|便宜|优惠|降价?)了?\s*+)"
    rf"{_SIGN}{_NUMBER}(?![\d.,]*\s*(?:{_PERCENT}|折|hours?|minutes?|days?|小时|分钟|天|次|个))"
    rf"|{_SIGNED}{_NUMBER}\s*(?:cny|rmb|yuan|usd|dollars?|eur|euros?|gbp|pounds?)? (?:off|less|cheaper)\b"
)
_WAS = re.compile(
    r"(?:\b(?:was|were|previously|formerly|originally|instead of|rather than|regularly|(?:reduced|down|cut|lowered) from"
    r"|rrp|msrp|(?:list|old|original|regular) price(?: of)?)\b|原价|此前|之前|划线价|市场价|专柜价|吊牌价|从)"
    rf"\s*(?:only |just |为|是|的)?\s*{_SIGN}{_NUMBER}"
)
_NOW = re.compile(
    rf"(?:\b(?:now|reduced to|down to|cut to)\b|现价|现在|现仅|只要|仅需|降[至到]|到手价?)\s*"
    rf"(?:only |just |at |for |为|是|只要|仅需)?\s*{_SIGN}{_NUMBER}"
)
_DIGITS = re.compile(_NUMBER)
_HAN = dict(zip("一二三四五六七八九", range(1, 10), strict=True))
_CENT = 0.005


class Reduction(msgspec.Struct, frozen=True, kw_only=True):
    """A price below the lowest of the last 30 days. Amounts are in `currency`, `percent` of the reference price."""

    price: float
    reference_price: float
    currency: str

    @property
    def saving(self) -> float:
        """The difference to the reference price."""
        return self.reference_price - self.price

    @property
    def percent(self) -> float:
        """The saving as a percentage of the reference price."""
        return 100.0 * self.saving / self.reference_price

    @property
    def whole_percent(self) -> int:
        """`percent` rounded to a tenth, then down: a text never promises more than the real saving.

        >>> Reduction(price=299, reference_price=369, currency="CNY").whole_percent  # of 18.97
        19
        """
        return math.floor(round(self.percent, 1))

    def amounts(self) -> str:
        """Returns every number that a text may state about the reduction, as words that the `numbers` guardrail can parse."""
        shares = sorted({self.whole_percent, math.floor(self.percent), round(self.percent, 1)})
        folds = sorted({round((100 - share) / 10, 2) for share in shares})
        values = [self.reference_price, self.saving, math.floor(self.saving)]
        money = [f"{amount(value)} {self.currency}" for value in values]
        return "; ".join(
            ["30 days", *money, *(f"{amount(share)}%" for share in shares), *(amount(fold) for fold in folds)]
        )


def amount(value: float) -> str:
    """Formats a number as people write it.

    >>> amount(369.0), amount(19.9), amount(1234567.0)
    ('369', '19.9', '1234567')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")


def reduction(product: ProductFacts) -> Reduction | None:
    """Returns the reduction implied by price and reference price; None = there is none."""
    price, reference = product.price, product.reference_price
    if price is None or reference is None or not 0 < price < reference:
        return None
    return Reduction(price=price, reference_price=reference, currency=product.currency or "")


def announceable(policy: Policy, language: str, locale: str, product: ProductFacts) -> Reduction | None:
    """Returns the reduction if a rule pack of the market regulates how to announce one; None = it must not be mentioned."""
    lower = reduction(product)
    market = market_of(policy, language, locale) if lower is not None else None
    return lower if market is not None and price_rules(market.rule_packs) else None


def mistake(text: str, facts: str, lower: Reduction | None, *, states_prior: bool) -> tuple[str, str] | None:
    """Returns (the words, what is wrong) if a normalised, case-folded text announces a lower price incorrectly."""
    announced = ANNOUNCED.search(text)
    if announced is None:
        return None
    if lower is None:
        return announced.group(), "there is no lower price: the product has no reference price above its price"
    for value, words in _percents(text, facts):
        if value is None or not lower.percent - 1 < value <= lower.percent + 0.05:
            return words, f"the saving is {lower.whole_percent}% of {amount(lower.reference_price)}"
    for value, words in _numbers(_SAVED, text):
        if not lower.saving - 1 < value <= lower.saving + _CENT:
            return words, f"the saving is {amount(lower.saving)}"
    for value, words in _numbers(_WAS, text):
        if _same(value, lower.price) or _same(value, lower.saving):
            return words, f"the prior price was {amount(lower.reference_price)}"
    for value, words in _numbers(_NOW, text):
        if _same(value, lower.reference_price) or _same(value, lower.saving):
            return words, f"the current price is {amount(lower.price)}"
    stated = (float(found.group(1).replace(",", "")) for found in _DIGITS.finditer(text))
    if states_prior and not any(_same(value, lower.reference_price) for value in stated):
        return announced.group(), f"the prior price, {amount(lower.reference_price)}, is not stated"
    return None


def _percents(text: str, facts: str) -> Iterator[tuple[float | None, str]]:
    """Yields (share off, words) for every discount on the price, and (None, words) for percentages of something unknown."""
    of_price = [found.span() for found in _OFF.finditer(text)]
    for found in _OFF.finditer(text):
        yield float((found.group(1) or found.group(2)).replace(",", "")), found.group()
    for found in _ANY_PERCENT.finditer(text):
        inside = any(start <= found.start() < end for start, end in of_price)
        if not inside and found.group() not in facts:
            yield None, found.group()
    for found in _FOLD.finditer(text):
        yield 100.0 - 10.0 * _fold(found.group(1)), found.group()
    if half := _HALF.search(text):
        yield 50.0, half.group()


def _fold(written: str) -> float:
    """Returns the tenths of the price that remain: 8.5, 85 and 八五 are all 8.5."""
    if written[0] in _HAN:
        return sum(_HAN[character] * 10.0**-place for place, character in enumerate(written))
    value = float(written)
    return value / 10 if value >= 10 else value


def _numbers(pattern: re.Pattern[str], text: str) -> Iterator[tuple[float, str]]:
    for found in pattern.finditer(text):
        written = next(group for group in found.groups() if group)
        yield float(written.replace(",", "")), found.group()


def _same(one: float, other: float) -> bool:
    return abs(one - other) < _CENT
