"""Rejects discounts, gifts, urgency and stock claims that the facts do not state."""

from __future__ import annotations

from workers.core.guardrails.grounding.concepts import Concepts
from workers.core.guardrails.grounding.prices import ANNOUNCED
from workers.core.guardrails.grounding.subject import Subject

OFFERS = Concepts(
    {
        "discount": r"\bd\W?i\W?s\W?c\W?o\W?u\W?n\W?t|\bc\W?o\W?u\W?p\W?o\W?n|\d\s*off\b|\bper ?cent off\b"
        r"|\bhalf[ -]?(?:off|price)|\bsale\b"
        r"|\bmoney off\b|\bknock\w* .{0,12}off\b|\bprices? (?:slashed|cut|down|reduced)|\bcut[- ]price"
        r"|\bmark(?:ed)?[- ]?down|\bclearance\b"
        r"|\btwo for one|\b2 for 1\b|\bbogo\b|\bbuy one\b"
        r"|\bfor (?:only|just) (?:a |one )?\w* ?(?:dollar|euro|pound|yuan|cent|buck)s?\b|\bbucks?\b"
        r"|%\s*off\b|\b(?:on|for|big|flash|summer|winter|our|the|a) sale\b"
        r"|\bsales? (?:price|event|ends?)\b"
        r"|\bcoupons?\b|\bpromo(?:tions?|tional| codes?)?\b|\bvouchers?\b|\brebates?\b|cash ?back"
        r"|\b(?:special|exclusive|great|limited|amazing|our|an|this) offer\b|\bdeals\b(?! with)|\b(?:great|best|special|hot"
        r"|a|this) deal\b"
        r"|(?:low|lowest|best|great|special|half|reduced|unbeatable|amazing) prices?\b|price (?:drop|cut)"
        r"|\bsave (?:\$|¥|\d|money|big|up to)"
        r"|\baffordabl\w*|\bcheap\w*|\bbargains?\b|折扣|打折|\d折|(?<!折)[一二三四五六七八九]折(?![就一叠起])"
        r"|特价|优惠|特惠|降价|立减"
        r"|满减|直降|促销|大促"
        r"|返现|返利|补贴|让利|清仓|甩卖|骨折价|跳楼价|白菜价|亏本|薅羊毛|打[对半]折|价格?减半|减价|降了价"
        r"|减\d|满\d(?!\d*\s*[岁月天年周])|[立直]省|省\d|福利|[一二三四五六七八九十百两]块[一二三四五六七八九半]"
        r"|红包|(?:代金|优惠|抵用)券|领券|半价|低价|底价|划算|便宜|超值|性价比"
        r"|省钱",
        "free": r"(?<![-\w])(?<!feel )(?<!you )(?<!hands )(?<!wire )(?<!distraction )(?<!noise )(?<!stress )free\b"
        r"(?! (?:from|yourself|your|up|and easy|spirit))(?!-)|免费|包邮|免邮|零元|白送",
        "gift": r"\b(?:bonus|giveaway|complimentary|gratis|prizes?|winners?|lottery|raffle|sweepstakes)\b"
        r"|\byou(?:'ve| have)? won\b(?!')"
        r"|\b(?:at )?no (?:cost|charge)\b|\bon (?:us|the house)\b|\bcosts? (?:you )?nothing\b|\bzero cost\b|\bcash\b|中奖"
        r"|抽奖|奖金|奖品|大奖|现金|0元|[买购][一1二两2]送|不要钱|不花钱|白拿|\bgift (?:with|card|included)"
        r"|\bcomes? with (?:a |an |its |one |two |three |\d )?(?:gift|bonus)\b|buy one"
        r"|买[一两二三\d][^,。!?]{0,3}[得送赠]|two for one|\bbogo\b"
        r"|赠送|赠品|附赠|买一送一"
        "|送好礼|有礼|好礼",
        "urgency": r"\b(?:price|offer)\b[^.!?]{0,40}\bends?\b|limited[- ]?time|\bnow or never\b"
        r"|\b(?:act|buy|order|reply|respond|click) (?:immediately|at once|right now|today)"
        r"|\burgent\w*|\basap\b"
        r"|\bbefore midnight\b|\bclock is ticking\b|\bwon't last\b|\bgoing fast\b|\bhours? left\b"
        r"|\bdeadline\b|\bminutes? left\b|\bimmediately\b"
        r"|活动[^,。!?]{0,8}(?:结束|截止)|错过(?:就)?再等|速抢|快抢|秒没(?!动|有)|手慢无|马上(?:失效|失去|涨价)"
        r"|截止|倒数|明天(?:就)?(?:涨价|没|恢复)"
        r"|今晚(?:就)?(?:结束|截止|没)|仅限今|最后\S{0,3}小时|立即行动|紧急|火速"
        r"|(?<!in a )(?<!no )(?<!any )\bhurry\b|last chance"
        r"|\bact (?:now|fast)\b|\bdon't (?:miss|wait)\b"
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
        r"|last (?:ones?|few|pieces?|pairs?) (?:left|in stock|remaining)\b"
        r"|\b(?:the|our|these are the) last (?:ones|few|pairs?)\b(?! (?:per|of))"
        r"|\b(?:get|grab|catch|snap up|buy|order|secure|only|one of) (?:the |our )last\b|\blast (?:one|pair|piece)(?=[,!:])"
        r"|going fast"
        r"|(?:almost|nearly) (?:out|gone)"
        r"|剩下?(?:最后)?[一二两三四五六七八九十几\d]+(?=[件套台名席份组副把对](?!西)|个(?:名额|位|[了,!。]))|剩(?:最后|不多"
        r"|得不多)|\breserved for you\b|库存|现货|缺货"
        r"|售罄|售完|卖完|仅剩|所剩|限量|限定|预留",
    }
)


def offers(subject: Subject) -> str | None:
    """Rejects an offer, time pressure or a stock level that the product's facts do not state."""
    # A lower price that the market allows to be announced is grounded; the `market` guardrail checks its wording.
    readings = (text if subject.reduction is None else ANNOUNCED.without(text) for text in subject.readings)
    found = next(filter(None, (OFFERS.ungrounded(reading, subject.facts) for reading in readings)), None)
    return f'"{found[1]}" ({found[0]}) is not in the product facts' if found else None
