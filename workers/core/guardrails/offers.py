"""Discounts, gifts, urgency and stock: only where the facts state them."""

from __future__ import annotations

from workers.core.guardrails.concepts import concepts, ungrounded
from workers.core.guardrails.subject import Subject

OFFERS = concepts(
    {
        "discount": r"\bdiscount\w*|%\s*off\b|\b(?:on|for|big|flash|summer|winter|our|the|a) sale\b"
        r"|\bsales? (?:price|event|ends?)\b"
        r"|\bcoupons?\b|\bpromo(?:tions?|tional| codes?)?\b|\bvouchers?\b|\brebates?\b|cash ?back"
        r"|\b(?:special|exclusive|great|limited|amazing|our|an|this) offer\b|\bdeals\b|\b(?:great|best|special|hot"
        r"|a|this) deal\b"
        r"|(?:low|lowest|best|great|special|half|reduced|unbeatable|amazing) prices?\b|price (?:drop|cut)"
        r"|\bsave (?:\$|¥|\d|money|big|up to)"
        r"|\baffordabl\w*|\bcheap\w*|\bbargains?\b|折扣|打折|\d折|[一二三四五六七八九]折|特价|优惠|特惠|降价|立减"
        r"|满减|直降|促销|大促"
        r"|返现|红包|(?:代金|优惠|抵用)券|领券|半价|低价|底价|划算|便宜|超值|性价比|省钱",
        "free": r"(?<![-\w])(?<!feel )(?<!you )(?<!hands )(?<!wire )(?<!distraction )(?<!noise )(?<!stress )free\b"
        r"(?! (?:from|yourself|your|up|and easy|spirit))(?!-)|免费|包邮|免邮|零元|白送",
        "gift": r"\bcomes? with (?:a|an|its|one|two|three|\d)\b|buy one|买[一两二三\d][^,。!?]{0,3}[得送赠]"
        r"|two for one|\bbogo\b|on (?:us|the house)\b|\b(?:bonus|giveaway|complimentary)\b|\bgift (?:with|card"
        r"|included)|赠送|赠品|附赠|买一送一"
        "|送好礼|有礼|好礼",
        "urgency": r"limited[- ]?time|(?<!in a )(?<!no )(?<!any )hurry\b|last chance|\bact (?:now|fast)\b|\bdon't (?:miss|wait)\b"
        r"|\bmiss out\b|before (?:it's|it is|they're"
        r"|they are) (?:gone|too late)|\b(?:today|tonight) only\b|\bends? (?:today|soon|tonight)\b|\bexpir(?:es?"
        r"|ing)\b|final hours?"
        r"|(?:offer|price|valid|available|only|just|open|ends?) (?:until|till)\b|(?:before|until|by) (?:midnight"
        r"|the end of)"
        r"|(?:now|today) or never|last (?:day|days|hours?|call)\b(?! of)|running (?:out|low)|\bsoon gone\b"
        r"|time is (?:short|limited)|限时|最后(?:机会|一天|一刻|时刻|\d)|倒计时|抢购"
        r"|抢先|马上抢|手慢|赶紧|赶快"
        r"|错过(?:不再|就|后悔|可惜)|别错过|不容错过|切勿错过|先到先得|仅此一|今日止|即将(?:结束|截止|恢复)|过期",
        "stock": r"\bin stock\b|out of stock|\bsold out\b|\bsell(?:s|ing)? (?:out|fast)\b|\bonly (?:a )?(?:few"
        r"|\d+) (?:left|remain)\w*|almost gone"
        r"|limited (?:stock|edition|quantit\w+|suppl\w+|availability)|while (?:supplies|stocks?) lasts?"
        r"|(?:few|two|three|five|ten|\d+) (?:are |is )?left\b(?! off| in| behind| to)|\bonly [^.!?]{0,16} left\b"
        r"|last (?:one|ones|few|pieces?|pairs?)\b|going fast"
        r"|(?:almost|nearly) (?:out|gone)|剩下?[一二两三四五六七八九十几\d]|\breserved for you\b|库存|现货|缺货"
        r"|售罄|售完|卖完|仅剩|所剩|限量|限定|预留",
    }
)


def offers(subject: Subject) -> str | None:
    """An offer, a pressure of time or a state of stock that the product's facts do not state."""
    found = ungrounded(OFFERS, subject.text, subject.facts)
    return f'"{found[1]}" ({found[0]}) is not in the product facts' if found else None
