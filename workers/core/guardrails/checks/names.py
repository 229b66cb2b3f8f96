"""Rejects the playbook's banned words, and brands, products and people that the product's own data does not name."""

from __future__ import annotations

import re
from functools import lru_cache

from ahocorasick_rs import AhoCorasick

from workers.core.common.memoize import memoize_by_identity
from workers.core.guardrails.grounding.subject import Subject
from workers.core.guardrails.matching.pattern_table import PatternTable
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Policy
from workers.core.text.normalize import normalised

_BRANDS = PatternTable.of(
    r"\b(?:apple|airpods|iphone|ipad|samsung|galaxy|sony|bose|fitbit|garmin|huawei|xiaomi|redmi|honor|oppo|vivo"
    r"|jbl|beats|sennheiser|philips"
    r"|panasonic|lenovo|asus|acer|google|pixel|microsoft|amazon|nike|adidas|casio|polar|whoop|anker|jabra|nokia"
    r"|motorola|oneplus|realme)\b"
    r"|苹果(?=手机|电脑|手表|耳机|平板|公司|官方|同款|用户|系统)|(?:适配|兼容|支持|媲美|比)苹果|三星|索尼|华为"
    r"|小米|荣耀|佳明|飞利浦|松下|联想|耐克|阿迪达斯|卡西欧|森海塞尔|谷歌|微软|亚马逊|淘宝|京东|拼多多|抖音"
)
_WORDS_TOO = frozenset({"apple", "beats", "galaxy", "honor", "pixel", "polar"})
_PERSON = PatternTable.of(r"[\u3400-\u9fff]{1,3}(?:先生|女士|小姐|太太)|\b(?:mr|mrs|ms|dr)\.? [a-z]+")
_GREETING = re.compile(r"\b(?:Hi|Hello|Hey|Dear)[ ,]+([A-Z][a-z]+)\b")
_ANYONE = frozenset({"there", "friend", "friends", "you", "again", "customer", "customers", "everyone", "all", "team"})
_WORD = re.compile(r"[A-Z][A-Za-z]+(?:['-][A-Za-z]+)*")
#: A sentence or quotation may begin after these, and after any non-ASCII character.
_BEFORE_SENTENCES = frozenset('.!?:\n"(-')
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_DAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_FAMILY = "grand(?:ma|pa|dad|mum|mom)|grann(?:y|ies)|nan|mum|mom|dad|aunt(?:ie|y)?|uncle"
#: Languages, peoples and what is called after them; whether a product comes from there is another guardrail's question.
_PEOPLES = (
    "english|british|scottish|irish|welsh|french|german|italian|spanish|portuguese|dutch|belgian|swiss|austrian|danish|swedish"
    "|norwegian|finnish|nordic|scandinavian|greek|turkish|polish|czech|russian|chinese|japanese|korean|indian|thai|american"
    "|canadian|mexican|brazilian|african|european|asian|australian|mediterranean|atlantic|pacific|arctic|alpine"
)
_COMMON = re.compile(
    rf"(?:(?:{_MONTHS}|{_DAYS}|{_FAMILY}|easter|christmas|halloween)(?:'?s)?|(?:{_PEOPLES})(?:-\w+)?"
    r"|bluetooth|wi-?fi|leds?|aaa?s|diy(?:ers)?|celsius|fahrenheit|milky|i'm|i'll|i've|i'd|ok|ai)"
)


def banned_words(subject: Subject) -> str | None:
    """Rejects a word that the playbook's policy bans in any of its languages."""
    banned = banned_by(subject.playbook.policy)
    found = next(filter(None, map(banned.search, subject.readings)), None)
    return f'"{found.group()}" is a banned word' if found else None


@memoize_by_identity
def banned_by(policy: Policy) -> PatternTable:
    """Returns the policy's banned words of all languages as one table."""
    return whole_words(tuple(word for _, words in sorted(policy.banned_words.items()) for word in words))


@lru_cache(maxsize=64)
def whole_words(words: tuple[str, ...]) -> PatternTable:
    """Builds a table for normalised, case-folded text: Latin words match whole, Chinese words anywhere."""
    folded = sorted({normalised(word).casefold() for word in words}, key=len, reverse=True)
    return PatternTable({word: _whole(word) for word in folded})


def _whole(word: str) -> str:
    """Returns a pattern for one word or phrase, with a word boundary at each end that is a Latin letter or digit."""
    before, after = (r"\b" if end.isascii() and end.isalnum() else "" for end in (word[:1], word[-1:]))
    return before + r"\s+".join(map(re.escape, word.split())) + after


def examples(subject: Subject) -> str | None:
    """Rejects words from the prompt's own examples, because small models tend to copy them."""
    found = whole_words(subject.example_words).search(subject.text)
    return (
        f'"{found.group()}" comes from the example, not from this product'
        if found and found.group() not in subject.grounds
        else None
    )


def names(subject: Subject) -> str | None:
    """Rejects a brand, another product of the playbook, a person, or (in English) a capitalised name of unknown origin."""
    for _, found in _BRANDS.every(subject.text):
        if found.group() not in subject.grounds and not _is_plain_word(found.group(), subject.cased):
            return f'"{found.group()}" is not this product'
    if person := _PERSON.search(subject.text):
        return f'"{person.group()}" names a person'
    for greeted in _GREETING.finditer(subject.cased):
        if greeted.group(1).casefold() not in _ANYONE and greeted.group(1).casefold() not in subject.grounds:
            return f'"{greeted.group()}" names a person'
    for name in _product_names(subject.playbook, subject.about.language).find_matches_as_strings(
        subject.text, overlapping=True
    ):
        if name not in subject.grounds:
            return f'"{name}" is another product'
    if subject.about.language == "en":
        for line in subject.lines.values():
            if (unknown := _unknown_name(line, subject.grounds)) and not _is_title_case(line):
                return f'"{unknown}" is not a name of this product'
    return None


def _is_plain_word(brand: str, cased: str) -> bool:
    """Returns whether a brand's name is written as the word that it also is: an apple, an honor, a galaxy."""
    return brand in _WORDS_TOO and re.search(rf"\b{brand}\b", cased) is not None


@memoize_by_identity
def _product_names(playbook: Playbook, language: str) -> AhoCorasick:
    """Matches all product names in one pass over a text, however many the playbook has."""
    names = (product.name.get(language, "") for product in playbook.products.values())
    return AhoCorasick(sorted({normalised(name).casefold() for name in names if name}))


def _is_title_case(text: str) -> bool:
    """Returns whether every longer word is capitalised; capitals then say nothing about names."""
    longer = [word for word in re.findall(r"[A-Za-z]+", text) if len(word) > 3]
    return all(word[0].isupper() for word in longer)


def _is_of(word: str, grounds: str) -> bool:
    """Returns whether the product's data has the word, also as the plural or genitive of one of its words: two Alders."""
    stem = word.removesuffix("'s")
    return stem in grounds or (stem.endswith("s") and re.search(rf"\b{re.escape(stem[:-1])}\b", grounds) is not None)


def _unknown_name(text: str, grounds: str) -> str | None:
    """Returns the first capitalised word inside a sentence that is not in the product's data. SHOUTED words are not names."""
    for match in _WORD.finditer(text):
        word = match.group()
        if word.isupper() or _COMMON.fullmatch(word.casefold()) or _is_of(word.casefold(), grounds):
            continue
        at = match.start() - 1
        while at >= 0 and text[at] in " \t":
            at -= 1
        before = text[at] if at >= 0 else ""
        if before and before.isascii() and before not in _BEFORE_SENTENCES:
            return word
    return None
