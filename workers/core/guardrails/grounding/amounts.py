"""Finds amounts in a text, in digits or words, with their units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec

_UNITS = {
    "time": r"个?小时|个?钟头|hours?|hrs?|h|天|日|days?|周|个?星期|weeks?|个月|months?|年|years?|分钟|minutes?"
    "|mins?|秒(?:钟)?|seconds?|secs?",
    "percent": r"%|percent|per cent|成(?![为了本品员熟功年人绩就长都])",
    "money": r"元|块钱|rmb|cny|yuan|usd|dollars?|eur|euros?|gbp|pounds?|jpy|yen|[¥$€£](?!\d)",
    "times": r"倍|x\b|times|-?fold",
    "measure": r"mah|毫安时?|kilograms?|kilos?|kg|千克|公斤|milligrams?|mg|grams?|grammes?|g|克|斤"
    r"|millimet(?:re|er)s?|mm|毫米|centimet(?:re|er)s?|cm|厘米|公分|kilomet(?:re|er)s?|km|公里|千米|miles?|米|met(?:re|er)s?|m"
    r"|inch(?:es)?|英寸|寸|feet|foot|ft|英尺|millilit(?:re|er)s?|ml|毫升|lit(?:re|er)s?|l|升|ounces?|oz"
    r"|khz|mhz|ghz|hz|decibels?|db|分贝|gigabytes?|gb|terabytes?|tb|megabytes?|mb"
    r"|kilowatts?|kw|千瓦|watts?|w|瓦|volts?|v|伏|degrees?|°c?|℃|摄氏度|级|代",
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
#: Spellings of a unit → (its base unit, how many of those it is).
_MEASURES = (
    (r"milligrams?|mg", "g", 0.001),
    (r"grams?|grammes?|g|克", "g", 1.0),
    (r"kilograms?|kilos?|kg|千克|公斤", "g", 1000.0),
    (r"斤", "g", 500.0),
    (r"ounces?|oz", "oz", 1.0),
    (r"millimet(?:re|er)s?|mm|毫米", "mm", 1.0),
    (r"centimet(?:re|er)s?|cm|厘米|公分", "mm", 10.0),
    (r"met(?:re|er)s?|m|米", "mm", 1000.0),
    (r"kilomet(?:re|er)s?|km|公里|千米", "mm", 1e6),
    (r"inch(?:es)?|英寸|寸", "inch", 1.0),
    (r"feet|foot|ft|英尺", "inch", 12.0),
    (r"miles?", "mile", 1.0),
    (r"millilit(?:re|er)s?|ml|毫升", "ml", 1.0),
    (r"lit(?:re|er)s?|l|升", "ml", 1000.0),
    (r"decibels?|db|分贝", "db", 1.0),
    (r"megabytes?|mb", "gb", 0.001),
    (r"gigabytes?|gb", "gb", 1.0),
    (r"terabytes?|tb", "gb", 1000.0),
    (r"watts?|w|瓦", "w", 1.0),
    (r"kilowatts?|kw|千瓦", "w", 1000.0),
    (r"volts?|v|伏", "v", 1.0),
    (r"degrees?|°c?|℃|摄氏度", "degrees", 1.0),
    (r"毫安时?", "mah", 1.0),
)
CURRENCIES = {
    "CNY": ("¥", "￥", "元", "块钱", "rmb", "cny", "yuan"),
    "USD": ("$", "usd", "dollar", "dollars"),
    "EUR": ("€", "eur", "euro", "euros"),
    "GBP": ("£", "gbp", "pound", "pounds"),
    "JPY": ("jpy", "yen"),
}


_SMALL = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    "|nineteen"
)
_WORDS = {word: float(value) for value, word in enumerate(_SMALL.split("|"))}
_WORDS |= {
    word: 10.0 * value
    for value, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
_WORDS |= {"half": 0.5, "quarter": 0.25, "dozen": 12.0}
_LARGE = {"hundred": 100.0, "thousand": 1e3, "million": 1e6}
_WORDS |= _LARGE
_HAN = dict(zip("零一二三四五六七八九", map(float, range(10)), strict=True)) | {"两": 2.0, "半": 0.5}
_HAN_TENS = {"十": 10.0, "百": 100.0, "千": 1e3, "万": 1e4, "亿": 1e8}
_UNIT = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _UNITS.items())
_LATIN_ENDS = r"(?![a-z])"
_WORD = "|".join(sorted(_WORDS, key=len, reverse=True))
_TOKEN = re.compile(
    r"(?=[\d¥$€£蓝零一二两三四五六七八九十百千万亿半]|(?<![a-z])[a-z])"  # rejects most positions of a text quickly
    r"(?:(?P<label>bluetooth|蓝牙|wi-?fi|usb|ipx?|android"
    r"|ios)\s*+(?:v\s*+)?)?(?:(?P<sign>[¥$€£])\s*+)?(?P<percent_first>百分之)?(?:"
    r"(?P<digits>\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
    rf"|(?P<word>(?<![a-z])(?:{_WORD})(?:(?:-|\s|\sand\s)(?:{_WORD}))*+(?![a-z]))"
    r"|(?P<han>[零一二两三四五六七八九十百千万亿半]+))"
    r"(?:(?P<and_a_half>\sand\sa\shalf)(?![a-z]))?"
    r"(?:(?:[\s-]|个(?=半))*+(?P<half_before>半(?=[个小天年]))?(?:(?:of an? |an? |full |whole |straight |多|余|整|来)[\s-]*+)?"
    rf"(?:{_UNIT}){_LATIN_ENDS}(?P<half_after>半| and a half(?![a-z]))?"
    rf"(?P<tenths>(?<=米)[一二两三四五六七八九]{{1,2}}(?!米))?)?"
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
            value = _word_value(groups["word"])
        else:
            value = _han_value(groups["han"])
        if groups["and_a_half"] or groups["half_before"] or groups["half_after"]:
            value += 0.5
        if groups["tenths"]:
            value += sum(_HAN[digit] / 10**place for place, digit in enumerate(groups["tenths"], 1))
        unit = groups["label"] or ""
        if groups["percent_first"] or kind == "percent":
            unit, value = "percent", value * 10 if groups["percent"] == "成" else value
        elif groups["sign"] or kind == "money":
            sign = groups["sign"] or groups["money"]
            unit = next((code for code, signs in CURRENCIES.items() if sign in signs), sign)
        elif kind == "time":
            unit, value = "hours", round(value * _hours(groups["time"]), 6)
        elif kind == "measure":
            unit, value = _measure(groups["measure"], value)
        elif kind is not None:
            unit = f"{groups[kind]}".strip()
        yield Amount(value, unit), written.lstrip(), match.end() - len(match.group().lstrip())


def number(written: str) -> float | None:
    """Returns the number of an amount as it is written, whatever its unit; None = it has none.

    >>> number("three kilos"), number("1.5 h")
    (3.0, 1.5)
    """
    match = _TOKEN.match(written)
    if match is None:
        return None
    if match["digits"]:
        return float(match["digits"].replace(",", ""))
    return _word_value(match["word"]) if match["word"] else _han_value(match["han"])


def _measure(unit: str, value: float) -> tuple[str, float]:
    """Returns (base unit, value in it); a unit that has no other spelling is its own base."""
    for pattern, base, factor in _MEASURES:
        if re.fullmatch(pattern, unit):
            return base, round(value * factor, 6)
    return unit, value


def _word_value(text: str) -> float:
    """Returns the value of an English numeral.

    >>> _word_value("thirty-six"), _word_value("two hundred and ten"), _word_value("half a dozen".replace(" a ", " "))
    (36.0, 210.0, 6.0)
    """
    total = current = 0.0
    for word in re.split(r"-|\s", text):
        value = _WORDS.get(word)
        if value is None:  # and
            continue
        if word in _LARGE or word == "dozen":
            current = (current or 1.0) * value
            if value >= 1e3:
                total, current = total + current, 0.0
        else:
            current += value
    return total + current


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
