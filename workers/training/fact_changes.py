"""Changes one fact so that what a sentence says of it turns from true to false, or from false to true."""

from __future__ import annotations

import random
import re

NUMBER = re.compile(r"\d+(?:\.\d+)?")

#: (pattern, replacement) that turns a fact into its opposite; the first that matches is taken. In both directions.
_OPPOSITES: dict[str, list[tuple[re.Pattern[str], str]]] = {
    "en": [
        (re.compile(pattern, re.IGNORECASE), replacement)
        for pattern, replacement in (
            (r"^not (?:suitable|intended|made|meant|recommended) for ", "Suitable for "),
            (r"^not for ", "For "),
            (r"^for ", "Not for "),
            (r"^(?:suitable|made|recommended) for ", "Not suitable for "),
            (r"^no (?=\w)", "With "),
            (r"^without (?:any )?", "With "),
            (r"^with (?:an? )?", "Without "),
            (r"^contains (?:no|neither) ", "Contains "),
            (r"^contains ", "Contains no "),
            (r"\bnot included\b", "included"),
            (r"\bincluded\b", "not included"),
            (r"\b(?:cannot|can't|can not) be\b", "can be"),
            (r"\bcan be\b", "cannot be"),
            (r"\bis not\b", "is"),
            (r"\bare not\b", "are"),
            (r"\bdoes not (\w+)", r"does \1"),
            (r"\bnot (dishwasher|machine|microwave|oven|water|child|freezer)", r"\1"),
            (r"^(dishwasher|microwave|oven|freezer)[ -](safe|proof)", r"Not \1 \2"),
            (r"\bmachine[ -]washable", "not machine washable"),
            (r"^washable", "Not washable"),
            (r"\bnot (?=\w)", ""),
            (r"\b(\w+)-free\b", r"contains \1"),
            (
                r"^(removable|rechargeable|foldable|adjustable|stackable|refillable|reusable|waterproof|replaceable)",
                r"Not \1",
            ),
        )
    ],
    "zh": [
        (re.compile(pattern), replacement)
        for pattern, replacement in (
            (r"不(适合|适用|可|能|含|支持|附|带|建议|防|需|要|用于|会|添加)", r"\1"),
            (r"无需", "需要"),
            (r"无法", "可以"),
            (r"^无(?!线)", "有"),
            (r"非(?!常|洲)", ""),
            (r"未", "已"),
            (r"没有", "有"),
            (r"(适合|适用于|支持|附带|附|可以|可拆|可折叠|可机洗|可充电|含|带|防水|需)", r"不\1"),
        )
    ],
}

#: Words of which one can stand for another in a fact.
_KINDS: dict[str, list[str]] = {
    "en": [
        "steel aluminium brass wood oak beech bamboo plastic glass ceramic porcelain",
        "cotton linen wool silk leather polyester nylon fleece velvet cork rubber silicone",
        "black white red blue green yellow grey brown pink orange purple silver gold",
        "portugal italy germany japan china france spain sweden poland india denmark",
        "apple orange lemon strawberry mango vanilla chocolate mint cherry peach coconut lavender rose",
        "monday tuesday wednesday thursday friday saturday sunday",
        "left right front back top bottom inside outside",
        "children adults beginners professionals",
        "morning evening night noon",
        "warm cold dry wet",
    ],
    "zh": [
        "不锈钢 铝合金 黄铜 实木 橡木 榉木 竹 塑料 玻璃 陶瓷",
        "棉 亚麻 羊毛 真丝 皮革 涤纶 尼龙 软木 橡胶 硅胶",
        "黑色 白色 红色 蓝色 绿色 黄色 灰色 棕色 粉色 橙色 紫色",
        "葡萄牙 意大利 德国 日本 法国 西班牙 瑞典 波兰 印度 丹麦",
        "苹果味 橙子 柠檬 草莓 芒果 香草 巧克力 薄荷 樱桃 桃子 椰子 薰衣草 玫瑰",
        "周一 周二 周三 周四 周五 周六 周日",
        "左 右",
        "早上 晚上 中午",
        "儿童 成人 新手",
    ],
}


def opposite(fact: str, lang: str) -> str | None:
    """Returns the fact denied, or a denied fact affirmed; None = no rule applies.

    >>> opposite("Not for the dishwasher", "en"), opposite("附收纳袋", "zh"), opposite("Weighs 210 g", "en")
    ('For the dishwasher', '不附收纳袋', None)
    """
    for pattern, replacement in _OPPOSITES[lang]:
        changed, count = pattern.subn(replacement, fact, count=1)
        if count and changed.strip():
            return changed[:1].upper() + changed[1:]
    return None


def other_kind(fact: str, sentence: str, lang: str, rng: random.Random) -> str | None:
    """Returns the fact with another material, colour, place ... in place of one that the sentence names; None = it names none."""
    for group in _KINDS[lang]:
        words = group.split()
        for word in words:
            pattern = rf"\b{word}\b" if lang == "en" else word
            if re.search(pattern, fact, re.IGNORECASE) and re.search(pattern, sentence, re.IGNORECASE):
                return re.sub(
                    pattern, rng.choice([other for other in words if other != word]), fact, flags=re.IGNORECASE
                )
    return None


def other_number(fact: str, sentence: str, rng: random.Random) -> str | None:
    """Returns the fact with another number in place of one that the sentence states; None = there is none."""
    stated = set(NUMBER.findall(sentence))
    numbers = [match for match in NUMBER.finditer(fact) if match[0] in stated]
    if not numbers:
        return None
    match = rng.choice(numbers)
    return fact[: match.start()] + _another(match[0], rng) + fact[match.end() :]


def swapped_numbers(fact: str, sentence: str) -> str | None:
    """Returns the fact with its two numbers exchanged, if the sentence states at least one of them; else None."""
    numbers = list(NUMBER.finditer(fact))
    if (
        len(numbers) != 2
        or numbers[0][0] == numbers[1][0]
        or not {n[0] for n in numbers} & set(NUMBER.findall(sentence))
    ):
        return None
    first, second = numbers
    between = fact[first.end() : second.start()]
    return fact[: first.start()] + second[0] + between + first[0] + fact[second.end() :]


def number_of(fact: str, sentence: str) -> str | None:
    """Returns the fact with the sentence's number in place of its own; None unless each has exactly one."""
    of_fact, of_sentence = NUMBER.findall(fact), NUMBER.findall(sentence)
    if len(of_fact) != 1 or len(of_sentence) != 1 or of_fact == of_sentence:
        return None
    return NUMBER.sub(of_sentence[0], fact)


def _another(number: str, rng: random.Random) -> str:
    value = float(number)
    decimals = len(number.partition(".")[2])
    other = f"{value * rng.choice((0.25, 0.5, 0.6, 0.75, 1.25, 1.5, 2, 3, 4)):.{decimals}f}"
    return other if other != number and float(other) > 0 else f"{value + rng.randint(1, 4):.{decimals}f}"
