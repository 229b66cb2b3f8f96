"""Rejects links, addresses, telephone numbers and codes: a message's link never comes from a model."""

from __future__ import annotations

import re
from functools import lru_cache

from workers.core.guardrails.grounding.subject import Subject
from workers.core.guardrails.matching.pattern_table import PatternTable

#: Top-level domains that are not ordinary words match even apart from their dot (`evil . com`); those that are match only where
#: no sentence begins.
_APART = r"(?:com|net|org|cn|io|xyz|ru|biz|vip|cc)"
_WORDS = r"(?-i:in|to|so|us|work|win|fun|web|page|pro|name|group|space|world|zone|click|loan|club|test)"
_TLD = (
    rf"(?:{_APART}|{_WORDS}|co|shop|store|info|app|dev|top|site|online|live|link|me|de|uk|fr|eu|jp|kr|hk|tw|tk|tv|ws|gg|ly|ai"
    r"|pw|icu|cloud|bid|mobi|asia|ltd|tech|website|zip|mov|example|onion|рф|中国|公司|网络|网址|网店|商城|在线|集团)"
)
#: The last label of a domain name before its top-level domain. It starts with a letter or digit, is not part of an e-mail
#: address, and is tried only from its beginning.
_LABEL = r"(?<![\w-])(?:(?<!@)(?=[^\W_])|(?=[\w-]*-[^\W_]))[\w-]++"
_DOT = r"(?:[\[({<]?\s?(?:\bdot\b|[.。])\s?[\])}>]?|点)"
_DIGIT_WORD = r"\b(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)\b"
_CODE = "a coupon code"


#: Matched against the case-folded text.
_FOLDED = PatternTable(
    {
        "a link": (
            r"\w\s?:\s?[/\\]{2}|(?<!\w)//?\w{2,}|\\\\\w|\bh\W{0,2}[tx]\W{0,2}[tx]\W{0,2}ps?\b|\bw\W?w\W?w\b"
            r"|\bxn--|%[0-9a-f]{2}|[?&]\w+="
            r"|\b(?:javascript|vbscript|mailto|tel)\s?:|\bdata:\w+/"
            rf"|[^\W_](?=[\s\[({{<.。点])\s?{_DOT}\s?{_APART}(?![a-z0-9-])|\w\.\w{{2,}}/\w"
            r"|\b\d{1,3}(?:\s?[.。]\s?\d{1,3}){3}\b|\b0x[0-9a-f]{4,}|\b(?:[0-9a-f]{1,4}:){3,}|::[0-9a-f]"
            r"|\blink in (?:our |the |my )?(?:bio|profile)|(?:复制|点击|打开)[^,。!?]{0,6}(?:链接|网址|浏览器)"
            r"|\bqr\b|扫一扫|扫码|二维码"
        ),
        "an e-mail address or handle": (
            r"\S@\S|(?<!\w)@\w+|[\[({]\s?at\s?[\])}]|\w at \w+(?: dot |\.)\w|艾特\s?\w|发(?:邮件|邮箱)"
            r"|\be-?mail (?:me|us)\b"
        ),
        "a telephone number": (
            rf"(?:\+\s?)?\d(?:[\s().,_*/·-]{{0,2}}\d){{6,}}|\b\d{{3,4}}[-\s]\d{{3,4}}\b"
            rf"|(?:{_DIGIT_WORD}[\s,.-]{{0,2}}){{5,}}"
            r"|(?:[零〇一二三四五六七八九幺壹贰叁肆伍陆柒捌玖][\s-]?){6,}"
        ),
        "another way to reach someone": (
            r"(?:加|添加|扫|搜)[^,。!?]{0,4}(?:微信|qq|群|公众号)|微信\s?[:：号]|微信\s?[a-z0-9_-]{3}|公众号"
            r"|qq\s*(?:号|群|[:：]|\d)"
            r"|(?<![a-z])(?:v|vx|wx|wei|we)[ -]?(?:信|xin\b|chat\b)|薇信|(?<!权)威信|[vw薇]\s?❤"
            r"|[加+]\s?(?:vx?|wx|薇|威|微|我)(?![a-z])"
            r"|(?<![a-z0-9])[vw]x(?![a-z])|扣扣|企鹅号|电报群|纸飞机|私信|私聊|联系(?:方式|客服|我)|小红书|微博"
            r"|\b(?:whats ?app|tele ?gram|discord|instagram|snapchat|skype|facebook|tik ?tok|line id)\b"
            r"|\b(?:text|call|phone|dm|pm) (?:us|me)\b|\bcall now\b"
            r"|\b(?:add|find|follow|message|contact) (?:us|me) (?:on|at|in|via)\b"
            r"|拨打|致电|来电咨询|热线"
        ),
    }
)
#: Matched against the text as written.
_CASED = PatternTable(
    {
        "a link": rf"(?i:{_LABEL}\.{_TLD}(?![a-z0-9-]))",
        _CODE: (
            r"\b(?=[A-Z0-9]*[A-Z])(?=[A-Z0-9]*\d)[A-Z0-9]{5,}\b|\b[A-Za-z]{2,}[-_]?\d{2,}\b|\b[A-Z]{4,}\b"
            r"|\b[A-Z]{2,}[-_][A-Z0-9]{2,}\b"
        ),
        "a code to type in": (
            r"\b(?i:code|coupon|promo|voucher|password)(?i:\s(?:is|word))?[:\s]+[\"']?[A-Z][A-Z0-9]{3,}\b"
            r"|\b(?i:save|sale|deal|promo|welcome|free|gift|bonus|discount|extra)[-_]?\d{1,3}(?!\d)"
            r"|\b\d{1,2}(?:OFF|off)\b"
            r"|\b(?=\w*[a-z])(?=\w*[A-Z])(?=\w*\d)[\w+/]{14,}=*|\b[A-Za-z]{24,}\b|\w{4}=="
            r"|(?:优惠|折扣|兑换|口令|邀请|激活|验证)码|暗号|口令"
        ),
    }
)
_TOKEN = re.compile(r"[\w-]+")


def contact(subject: Subject) -> str | None:
    """Rejects links, e-mail addresses, telephone numbers and codes, grounded or not. The product's own words are not codes."""
    for reading in (subject.cased, *subject.readings[1:]):
        if found := contact_detail(reading, subject.grounds):
            return f'{found[0]} ("{found[1]}") is not allowed'
    return None


def contact_detail(text: str, known: str = "") -> tuple[str, str] | None:
    """Returns (kind, the matched words) of the first contact detail in a normalised text. Words in `known` are not codes."""
    if found := _FOLDED.first(text.casefold()):
        return found[0], found[1].group()
    for kind, match in _CASED.every(text):
        if kind != _CODE or match.group().casefold() not in _words(known):
            return kind, match.group()
    return None


@lru_cache(maxsize=1024)  # many texts are about the same product
def _words(known: str) -> frozenset[str]:
    return frozenset(_TOKEN.findall(known.casefold()))
