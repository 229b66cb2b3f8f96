"""Links, addresses, telephone numbers and codes: the link of a message never comes from a model."""

from __future__ import annotations

import re

from workers.core.guardrails.subject import Subject

_TLD = r"(?:com|net|org|cn|io|co|shop|store|xyz|info|biz|app|dev|top|vip|site|online|link|me|ru|de|uk|example|ly)"
PATTERNS = {
    "a link": re.compile(
        rf"\b[a-z][a-z0-9+.-]*://|\bwww\.|(?<![\w@])(?:[a-z0-9-]+\.)+{_TLD}\b(?!\w)|\bhttps?\b", re.IGNORECASE
    ),
    "an e-mail address or handle": re.compile(r"\S@\S|(?<!\w)@\w+"),
    "a telephone number": re.compile(r"(?:\+\s?)?\d(?:[\s().-]?\d){6,}|\b\d{3,4}[-\s]\d{3,4}\b"),
    "a coupon code": re.compile(
        r"\b(?=[A-Z0-9]*[A-Z])(?=[A-Z0-9]*\d)[A-Z0-9]{5,}\b|\b(?:code|coupon|promo)[:\s]+[\"']?[A-Z][A-Z0-9]{3,}\b"
        r"|(?:优惠|折扣|兑换|口令|邀请)码"
    ),
    "another way to reach someone": re.compile(
        r"(?:加|添加|扫)[^,。!?]{0,4}(?:微信|QQ|二维码)|微信号|公众号|QQ\s*\d|\bwhatsapp\b|\btelegram\b"
        r"|\btext us\b|\bcall us\b|拨打|致电",
        re.IGNORECASE,
    ),
}


def contact(subject: Subject) -> str | None:
    """A link, e-mail address, telephone number or code, grounded or not. Words of the product's name are not codes."""
    found = reach(subject.cased, subject.about.product.name)
    return f'{found[0]} ("{found[1]}") is not allowed' if found else None


def reach(text: str, name: str = "") -> tuple[str, str] | None:
    """(kind, the words found) of the first way to reach someone in a normalised text."""
    for kind, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            if kind == "a coupon code" and match.group().casefold() in name.casefold().split():
                continue
            return kind, match.group()
    return None
