"""Folds look-alike letters into the text that a reader sees, for matching only, never for sending.

The table is a small part of Unicode's confusables (UTS 39): characters easily mistaken for Latin letters, and the traditional
forms of the Chinese characters used in the guardrails' own patterns.
"""

from __future__ import annotations

import re
import unicodedata

_PAIRS = (
    # Cyrillic, Greek, Armenian
    ("аАсСԁԀеЕёЁɡНһіІїЇјЈӏӀКкМмоОрРԛѕЅТтуУүҮѵԝхХВьЬ", "aAcCdDeEeEgHhiIiIjJlIKkMmoOpPqsSTtyYyYvwxXBbB"),
    ("αΑΒεΕΖΗηιΙκΚΜνΝοΟρΡΤτυΥχΧγωςօց", "aABeEZHniIkKMvNoOpPTtuYxXywcog"),
    # Latin letters: small capitals, dotless or struck through
    ("ıɑɩᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢłŁøØđ", "iaiabcdefghijklmnoprstuvwyzlLoOd"),
    # dots, slashes, colons, dashes
    ("·•‧∙⋅・｡․⁄∕⧸╱∶ː꞉‐‑‒–−", "........////:::-----"),
    # traditional Chinese
    (
        "優價費時贈減滿購買領劵紅獎療癒診斷絕對號電話鏈鍊點維碼殺詐騙選舉總統黨獨賭毀傷險陳張劉楊趙黃吳",
        "优价费时赠减满购买领券红奖疗愈诊断绝对号电话链链点维码杀诈骗选举总统党独赌毁伤险陈张刘杨赵黄吴",
    ),
)
#: First letters of the alphabets without a compatibility form: circled, squared, and regional indicators.
_ALPHABETS = (0x1F150, 0x1F170, 0x1F1E6)
_TABLE = {ord(seen): plain for odd, plains in _PAIRS for seen, plain in zip(odd, plains, strict=True)}
_TABLE |= {first + place: chr(65 + place) for first in _ALPHABETS for place in range(26)}
_INVISIBLE = ("Mn", "Me", "Cc", "Cf", "Co", "Cs", "Cn")
_USUAL = re.compile(r"[\n\x20-\x7e\u3001-\u303f\u3400-\u9fff\uff01-\uff0f\uff1a-\uff1f\u2018-\u201d\u2026]*")
_BETWEEN_HAN = re.compile(
    r"(?<=[\u3400-\u9fff])(?:[^\w\n,，.。、!！?？:：;；…—\"“”'‘’《》（）()]+|\.+)(?=[\u3400-\u9fff])"
)
#: Digits and signs that stand for letters in a name that mixes both: D1SC0UNT.
LEET = str.maketrans("013457$@!|", "oieastsail")


def as_read(text: str) -> str:
    """Folds look-alikes and removes marks, invisible characters, and everything but punctuation between Chinese characters.

    >>> as_read("frее ѕаlе")  # with Cyrillic letters
    'free sale'
    >>> as_read("优☆惠"), as_read("优惠"), as_read("e\\u200bvi\\u0301l．com")
    ('优惠', '优惠', 'evil.com')
    """
    is_usual = _USUAL.fullmatch(text) is not None
    if is_usual and text.isascii():
        return text
    if not is_usual:
        apart = unicodedata.normalize("NFKD", text)
        text = unicodedata.normalize(
            "NFC", "".join(c for c in apart if unicodedata.category(c) not in _INVISIBLE or c == "\n")
        )
    return _BETWEEN_HAN.sub("", text.translate(_TABLE))
