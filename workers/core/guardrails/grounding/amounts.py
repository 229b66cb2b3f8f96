"""Finds amounts in a text, in digits or words, with their units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec

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
    r"(?=[\d¥$€£蓝零一二两三四五六七八九十百千万亿半]|(?<![a-z])[a-z])"  # rejects most positions of a text quickly
    r"(?:(?P<label>bluetooth|蓝牙|wi-?fi|usb|ipx?|android"
    r"|ios)\s*+(?:v\s*+)?)?(?:(?P<sign>[¥$€£])\s*+)?(?P<percent_first>百分之)?(?:"
    r"(?P<digits>\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    rf"|(?P<word>(?<![a-z])(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})(?![a-z]))"
    r"|(?P<han>[零一二两三四五六七八九十百千万亿半]+))"
    rf"(?:[\s-]*+(?:(?:full |whole |straight |多|余|整|来)[\s-]*+)?(?:{_UNIT}){_LATIN_ENDS})?"
)
#: Amounts without a unit of their own: only the number, or a label before it.
UNCOUNTED = ("", "bluetooth", "蓝牙", "wifi", "wi-fi", "usb", "ip", "ipx", "android", "ios")


#: "One day", "half an hour": everyday words rather than numbers.
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


class Amount(msgspec.Struct, frozen=True):
    """A number and what it counts: hours, CNY, percent, a label before it (bluetooth), or "" for a bare number."""

    value: float
    unit: str


def spans(text: str) -> list[tuple[int, int]]:
    """Returns (start, end) of each amount in a normalised, case-folded text, except the likes of "one day" and "half an hour"."""
    return [
        (start, start + len(written)) for _, written, start in amounts(text) if not written.startswith(_SINGLE_WORDS)
    ]


def bare_words(text: str) -> list[str]:
    """Returns every spelling of the numbers without a unit in a normalised, case-folded text.

    >>> bare_words("a choice of three sizes")
    ['three', '三']
    """
    values = bare_values(text)
    return [word for words in (_WORDS, _HAN) for word, value in words.items() if value in values]


def bare_values(text: str) -> set[float]:
    """Returns the values of number words without a unit, as in "three sizes"."""
    matches = [match for match in _TOKEN.finditer(text) if not any(match[kind] for kind in _UNITS)]
    return {_WORDS[match["word"]] for match in matches if match["word"]} | {
        _han_value(match["han"]) for match in matches if match["han"]
    }


@lru_cache(maxsize=4096)  # several guardrails need them for one text, and many texts are about the same product
def amounts(text: str) -> tuple[tuple[Amount, str, int], ...]:
    """Returns (amount, as written, position) for a normalised, case-folded text. Number words count only with a unit."""
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
    """Returns the value of a Chinese numeral up to 亿.

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
