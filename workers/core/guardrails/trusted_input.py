"""Decides which product and customer data may be shown to a model, written in a template, or used to ground a claim.

Names, brands and categories may come from events, which untrusted clients can send. A value that carries more than a name is
dropped entirely: no prompt or template contains it, and no guardrail treats it as the product's own data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from schemas.messages import ProductFacts
from workers.core.common.memoize import memoize_by_identity
from workers.core.guardrails.checks.brand_safety import unsafe
from workers.core.guardrails.checks.contact import contact_detail
from workers.core.guardrails.checks.model_talk import META, ROLE
from workers.core.guardrails.checks.names import banned_by
from workers.core.guardrails.checks.obfuscation import disguised
from workers.core.guardrails.checks.offers import OFFERS
from workers.core.guardrails.checks.privacy import PERSONAL
from workers.core.guardrails.grounding.subject import About
from workers.core.guardrails.packs import breach
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Policy
from workers.core.text.confusables import LEET, as_read
from workers.core.text.normalize import normalised
from workers.core.text.sanitize import INPUT_FACTOR, clean, visible

MAX_NAME_CHARS = 60
MAX_WORD_CHARS = 30
_MAX_CATEGORY_CHARS = 80
#: Claims a name cannot support (prices, approvals, others' opinions, services), and requests addressed to a model.
_MORE_THAN_A_NAME = re.compile(
    r"[¥$€£]\s?\d"
    r"|\d\s?(?:元|块钱|rmb\b|cny\b|usd\b|eur\b|gbp\b|yuan\b|dollars?\b|euros?\b|bucks\b|%|per ?cent\b|折|off\b)"
    r"|百分之"
    r"|\bcertified\b|\bfda\b|\bapproved\b|\bclinical\w*|\bdoctors? (?:recommend|approv|prescri)\w*"
    r"|\brecommended by\b|\bbest[- ]?sell\w*"
    r"|\baward\w*|\bwarranty\b|\bmoney[- ]back\b|\brefund\w*|\bshipping\b|\bno\. ?1\b|#1\b|\btop ?1\b"
    r"|\bnumber 1\b|\bbetter than\b"
    r"|\b(?:answer|reply|respond|write|translate)\b.{0,20}\b(?:in|into|to|only|with)\b"
    r"|\b(?:repeat|reveal|print|output|show)\b.{0,20}\b(?:instructions?|prompt|words?|above|rules?)\b"
    r"|(?:输出|回复|回答|重复|复述|翻译)[^,。]{0,6}(?:你|指令|中文|英文|英语|内容|只)|[用以](?:中文|英文|英语|日语)(?:回答|回复)"
    r"|认证|医生推荐|专家推荐|热销|畅销|爆款|好评|包退|退款|保修|第1|top1"
)
#: Marks of a prompt's own structure, in a text without surrounding spaces: lines, delimiters, labels, lists.
_STRUCTURE = re.compile(
    r"[\n\r\v\f\x85\u2028\u2029]|<{2}|>{2}|={3}|<(?:\||/?s>)|\|>|\[/?inst\]|#{2}|[;；]|<\w+[\s=/]|\bon[a-z]+\s*=|\{[{%#]|\$\{"
    r"|\b(?:system|user|assistant|human|facts?|tone|product|instructions?|rules?|note)\s*[:：]"
    r"|(?:系统|用户|助手|特点|语气|产品|名称|类别|标题|正文|目标人群|指令|规则|注意)\s*[:：]",
    re.IGNORECASE,
)


class Trusted(msgspec.Struct, frozen=True, kw_only=True):
    """A request with only the harmless part of its product data (About)."""

    language: str
    channel: str
    product: ProductFacts
    locale: str
    context: dict[str, str]


def trusted(about: About, playbook: Playbook) -> Trusted:
    """Returns the request with its product's name, brand and category truncated as in prompts, or "" if untrusted.

    A `Trusted` is returned as it is: a caller that checks several texts of one request cleans its product once.
    """
    if isinstance(about, Trusted):
        return about
    product, policy = about.product, playbook.policy
    category = product.category
    if category not in playbook.category_names:
        category = trusted_text(re.sub(r"[._/>]+", " ", category), _MAX_CATEGORY_CHARS, policy)
    return Trusted(
        language=about.language,
        channel=about.channel,
        product=msgspec.structs.replace(
            product,
            name=trusted_text(product.name, MAX_NAME_CHARS, policy),
            brand=trusted_text(product.brand, MAX_WORD_CHARS, policy),
            category=category,
        ),
        locale=about.locale,
        context=about.context,
    )


def trusted_text(text: str, max_chars: int, policy: Policy) -> str:
    """Returns `clean(text)`, or "" if it contains a link, code, instruction, structure, offer, promise, insult, disguise, a
    banned word, or a word that the rules of any market forbid.

    >>> trusted_text("Galaxy S10 (128 GB)", 60, Policy()), trusted_text("Visit www.evil.com now", 60, Policy())
    ('Galaxy S10 (128 GB)', '')
    """
    return _trusted_text(policy, text[: INPUT_FACTOR * max_chars], max_chars)


@memoize_by_identity
def _trusted_text(policy: Policy, text: str, max_chars: int) -> str:
    kept = clean(text, max_chars)
    if not kept or disguised(kept) or _STRUCTURE.search(normalised(text[: 2 * max_chars]).strip()):
        return ""
    rules = dict.fromkeys(pack for market in policy.markets for pack in market.rule_packs)
    for reading in _readings(text, kept, max_chars):
        folded = reading.casefold()
        if (
            contact_detail(reading, kept)
            or META.search(folded)
            or ROLE.search(folded)
            or OFFERS.ungrounded(folded, "")
            or _MORE_THAN_A_NAME.search(folded)
            or PERSONAL.search(folded)
            or unsafe(folded)
            or banned_by(policy).search(folded)
            or breach(rules, folded)
        ):
            return ""
    return kept


def context_value(text: str, max_chars: int) -> str:
    """Cleans a customer's action or text for the prompt's data block; "" if it has contact or personal data, or unsafe words."""
    kept = clean(text, max_chars)
    for reading in _readings(text, kept, max_chars):
        folded = reading.casefold()
        if contact_detail(reading) or PERSONAL.search(folded) or unsafe(folded):
            return ""
    return kept


def _readings(text: str, kept: str, max_chars: int) -> Iterator[str]:
    """Yields the readings of a text: as kept, before markup was removed, with look-alikes folded, with digits read as letters."""
    plain = normalised(kept)
    before = normalised(visible(text[: INPUT_FACTOR * max_chars])[: 2 * max_chars])
    yield plain
    for other in (before, as_read(plain), as_read(before), plain.casefold().translate(LEET)):
        if other != plain:
            yield other
