"""Numbers are grounded: every amount in a text, in digits or words, must be an amount of the product's own data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from schemas.messages import ProductFacts
from workers.core.guardrails.grounding.amount_use import LONGEST_CLAUSE, misused
from workers.core.guardrails.matching.pattern_table import Screen
from workers.core.guardrails.subject import Subject

_UNITS = {
    "time": r"(?:个)?小时|个?钟头|hours?|hrs?|h|天|日|days?|周|个?星期|weeks?|个月|months?|年|years?|分钟|minutes?"
    "|mins?|秒(?:钟)?|seconds?|secs?",
    "percent": r"%|percent|per cent|成",
    "money": r"元|块钱|rmb|cny|yuan|usd|dollars?|eur|euros?|gbp|pounds?|jpy|yen|[¥$€£](?!\d)",
    "times": r"倍|x\b|times|-?fold",
    "measure": r"mah|毫安时?|kg|千克|公斤|mg|g|克|mm|毫米|cm|厘米|km|公里|miles?|米|metres?|meters?|inch(?:es)?"
    "|英寸|khz|hz|db|分贝|gb|tb|mb|瓦|伏|级|代",
}
_HOURS = (
    (r"个?小时|个?钟头|h(?:ou)?rs?|h", 1.0),
    (r"天|日|days?", 24.0),
    (r"周|个?星期|weeks?", 168.0),
    (r"个月|months?", 720.0),
    (r"年|years?", 8760.0),
    (r"分钟|min(?:ute)?s?", 1 / 60),
    (r"秒钟?|sec(?:ond)?s?", 1 / 3600),
)
_CURRENCIES = {
    "CNY": ("¥", "￥", "元", "块钱", "rmb", "cny", "yuan"),
    "USD": ("$", "usd", "dollar", "dollars"),
    "EUR": ("€", "eur", "euro", "euros"),
    "GBP": ("£", "gbp", "pound", "pounds"),
    "JPY": ("jpy", "yen"),
}
#: "Under 300 yuan" is true of a price of 299: a round number above it, at most this share away.
_LONGEST_BELOW = 20  # characters
_BELOW, _NEAR = re.compile(r"(?:less than|under|below|不到|低于)\s?[a-z¥€$£]{0,4}\s?$"), 0.1
_TO_TWELVE = "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve"
_WORDS = {word: float(value) for value, word in enumerate(_TO_TWELVE.split("|"))}
_WORDS |= {
    "half": 0.5,
    "fifteen": 15.0,
    "twenty": 20.0,
    "twenty-four": 24.0,
    "thirty": 30.0,
    "forty": 40.0,
    "fifty": 50.0,
}
_WORDS |= {
    "sixty": 60.0,
    "seventy": 70.0,
    "eighty": 80.0,
    "ninety": 90.0,
    "hundred": 100.0,
    "thousand": 1e3,
    "million": 1e6,
}
_HAN = dict(zip("零一二三四五六七八九", map(float, range(10)), strict=True)) | {"两": 2.0, "半": 0.5}
_HAN_TENS = {"十": 10.0, "百": 100.0, "千": 1e3, "万": 1e4, "亿": 1e8}

_UNIT = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _UNITS.items())
_LATIN_ENDS = r"(?![a-z])"
_TOKEN = re.compile(
    r"(?=[\d¥$€£蓝零一二两三四五六七八九十百千万亿半]|(?<![a-z])[a-z])"  # a quick no for most places of a text
    r"(?:(?P<label>bluetooth|蓝牙|wi-?fi|usb|ipx?|android"
    r"|ios)\s*+(?:v\s*+)?)?(?:(?P<sign>[¥$€£])\s*+)?(?P<percent_first>百分之)?(?:"
    r"(?P<digits>\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    rf"|(?P<word>(?<![a-z])(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})(?![a-z]))"
    r"|(?P<han>[零一二两三四五六七八九十百千万亿半]+))"
    rf"(?:[\s-]*+(?:(?:full |whole |straight |多|余|整|来)[\s-]*+)?(?:{_UNIT}){_LATIN_ENDS})?"
)
#: Amounts without a unit of their own: nothing before the number, or a label.
_UNCOUNTED = ("", "bluetooth", "蓝牙", "wifi", "wi-fi", "usb", "ip", "ipx", "android", "ios")
#: Amounts in words that are no numeral.
_VAGUE = Screen.of(
    r"\ban? (?:hour|minute|day|month|year) (?:on|of|to|at) (?:the |a |full )?(?:charg|batter|power)"
    r"|charg\w{0,8}[^,.]{0,20}\ban? (?:hour|minute)\b"
    r"|\b(?:weeks? and a half|(?:for|lasts?|within|in|after) (?:a|one|another) (?:month|year|decade)|fortnights?"
    r"|couple of (?:days|weeks|hours|months)|few (?:days|weeks|hours|months)"
    r"|for (?:weeks|months|years|decades|ages|ever|life|a lifetime)\b|for days (?:on end|at|without|and)"
    r"|(?:weeks|months|years) (?:of|on))|半个?月|大半个?月|好几(?:周|个)|十天半月|数[天周日]"
)
#: One day, half an hour: single words of the language more than numbers.
_SINGLE_WORDS = (
    "一天",
    "一日",
    "一周",
    "一年",
    "一月",
    "一个星期",
    "一个小时",
    "一小时",
    "一分钟",
    "一个月",
    "半",
    "one ",
    "half ",
)
#: "One week" is an idiom, unless it is said of the battery.
_POWER = re.compile(r"续航|电|充|待机|[能够可]用|撑|batter|charg|power|last")
_CLAUSE_END = re.compile(r"[,，。.!！?？;；\n]")


class Amount(msgspec.Struct, frozen=True):
    """A number and what it counts: hours, CNY, percent, the label before it (bluetooth), or "" for a bare number."""

    value: float
    unit: str


def numbers(subject: Subject) -> str | None:
    """The first amount that neither facts, name, price nor quantity state. 1 week is 7 days; a bare 1 is no claim."""
    if (vague := _VAGUE.search(subject.text)) and _POWER.search(subject.text) and vague.group() not in subject.facts:
        return f'"{vague.group()}" is not in the product facts'
    found = _amounts(subject.text)
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
            if amount.unit not in _UNCOUNTED and (
                wrong := misused(subject.text, written, start, _stating(amount, subject.facts))
            ):
                return f'"{wrong}" is not what the product facts say of "{written}"'
            continue
        if _is_just_below(amount, product, subject.text[max(0, start - _LONGEST_BELOW) : start]):
            continue
        if amount.unit == "hours" and not any(c.isdigit() for c in written) and _is_idiom(subject.text, written, start):
            continue
        return f'"{written}" is not in the product facts'
    return None


@lru_cache(maxsize=1024)  # many texts are about one product
def _stated(grounds: str) -> tuple[frozenset[Amount], frozenset[float]]:
    """The amounts that the product's own data states, and the values of those that count no unit."""
    known = frozenset(amount for amount, _, _ in _amounts(grounds))
    return known, frozenset(amount.value for amount in known if amount.unit in _UNCOUNTED) | _bare_values(grounds)


def _is_just_below(amount: Amount, product: ProductFacts, before: str) -> bool:
    """Whether the price lies just below a round amount of which the text says so: under 300 yuan, not 299."""
    if product.price is None or amount.unit != product.currency or _BELOW.search(before) is None:
        return False
    return 0 < amount.value - product.price <= _NEAR * product.price


def spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of every amount in a normalised, case-folded text that `numbers` judges. One day, half an hour: no."""
    return [
        (start, start + len(written)) for _, written, start in _amounts(text) if not written.startswith(_SINGLE_WORDS)
    ]


def bare_words(text: str) -> list[str]:
    """Every way to write the numbers that count no unit in a normalised, case-folded text.

    >>> bare_words("a choice of three sizes")
    ['three', '三']
    """
    values = _bare_values(text)
    return [word for words in (_WORDS, _HAN) for word, value in words.items() if value in values]


def _bare_values(text: str) -> set[float]:
    """The numbers in words that have no unit: three sizes."""
    matches = [match for match in _TOKEN.finditer(text) if not any(match[kind] for kind in _UNITS)]
    return {_WORDS[match["word"]] for match in matches if match["word"]} | {
        _han_value(match["han"]) for match in matches if match["han"]
    }


def _stating(amount: Amount, facts: str) -> str:
    """The facts that state an amount."""
    return "\n".join(fact for fact in facts.split("\n") if any(amount == known for known, _, _ in _amounts(fact)))


@lru_cache(maxsize=4096)  # several guardrails ask for those of one text, and many texts are about one product
def _amounts(text: str) -> tuple[tuple[Amount, str, int], ...]:
    """(amount, as written, where) of a normalised, case-folded text. Number words count only with a unit."""
    return tuple(_found(text))


def _found(text: str) -> Iterator[tuple[Amount, str, int]]:
    for match in _TOKEN.finditer(text):
        groups = match.groupdict()
        kind = next((name for name in _UNITS if groups[name] is not None), None)
        written = match.group().rstrip()
        if groups["digits"]:
            value = float(groups["digits"].replace(",", ""))
        elif kind is None and not groups["percent_first"]:
            continue
        elif groups["word"]:
            value = _WORDS[groups["word"]]
        else:
            value = _han_value(groups["han"])
        unit = groups["label"] or ""
        if groups["percent_first"] or kind == "percent":
            unit = "percent"
        elif groups["sign"] or kind == "money":
            sign = groups["sign"] or groups["money"]
            unit = next((code for code, signs in _CURRENCIES.items() if sign in signs), sign)
        elif kind == "time":
            unit, value = "hours", round(value * _hours(groups["time"]), 6)
        elif kind is not None:
            unit = f"{groups[kind]}".strip()
        yield Amount(value, unit), written.lstrip(), match.end() - len(match.group().lstrip())


def _hours(unit: str) -> float:
    return next(factor for pattern, factor in _HOURS if re.fullmatch(pattern, unit))


def _han_value(text: str) -> float:
    """A Chinese numeral up to 亿.

    >>> _han_value("二十"), _han_value("十五"), _han_value("三百零二")
    (20.0, 15.0, 302.0)
    """
    total = current = 0.0
    for character in text:
        if character in _HAN:
            current = current * 10 + _HAN[character] if current and character != "半" else current + _HAN[character]
        else:
            unit = _HAN_TENS[character]
            if unit >= 1e4:
                total, current = (total + current or 1.0) * unit, 0.0
            else:
                total, current = total + (current or 1.0) * unit, 0.0
    return total + current


def _is_idiom(text: str, written: str, start: int) -> bool:
    """One day, a week in words, in a clause that does not speak of power."""
    if not written.startswith(("一", "半", "one", "half")) or written[:2] in ("一百", "一千", "一万", "一十"):
        return False
    first, last = max(0, start - LONGEST_CLAUSE), start + LONGEST_CLAUSE
    before = max((match.end() for match in _CLAUSE_END.finditer(text, first, start)), default=first)
    after = _CLAUSE_END.search(text, start, last)
    return _POWER.search(text[before : after.start() if after else last]) is None
