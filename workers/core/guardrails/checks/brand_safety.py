"""Rejects words that no shop should use, even if a product name or review contains them.

Neutral and short: a brand's own taboos belong in the playbook's `banned_words`.
"""

from __future__ import annotations

from workers.core.guardrails.grounding.subject import Subject
from workers.core.guardrails.matching.pattern_table import PatternTable

#: Kind → (whole words in Latin script, Chinese words).
UNSAFE = {
    "violence": (
        (
            r"kill(?:s|ed|ing)?(?! time)|murder\w*|bomb(?:s|ed|ing)?|massacre\w*|terroris\w+|stab(?:bed|bing)?"
            r"|shoot (?:people|him|her|them|you)"
        ),
        r"杀[人死了光]|谋杀|炸弹|恐怖(?:分子|袭击|主义)|血腥|屠杀|枪击",
    ),
    "sexual content": (
        r"porn\w*|sex(?:ual\w*)?|nudes?|naked|erotic\w*|escorts?",
        r"色情|裸[体聊照]|约炮|成人视频|性爱",
    ),
    "an insult": (
        (
            r"stupid|idiots?|morons?|dumb(?!bell)|(?<!no )losers?|ugly|trash|garbage|crap|shit\w*|fuck\w*"
            r"|bitch\w*|bastards?|we hate|hate you"
            r"|nazi\w*|racis\w+"
        ),
        (
            r"傻[子瓜逼x]|蠢|白痴|笨蛋|弱智|脑残|(?<![倒扔])垃圾(?![桶袋箱分车处])|废物|滚[开蛋]|去死|他妈|狗屎|贱人"
            r"|混蛋|丑八怪|穷鬼"
        ),
    ),
    "politics": (
        r"vote for|elections?|president|governments?|communis\w+|democrats?|republicans?|dictator\w*|regime|wars?",
        r"选举|投票给|总统|政府|政党|共产|民主党|共和党|游行|独裁|政权|战争",
    ),
    "self-harm": (r"suicid\w*|self-harm\w*|(?:hurt|harm|cut) yourself", r"自杀|自残|轻生|割腕"),
    "drugs, gambling or money": (
        r"cocaine|heroin|marijuana|casinos?|gambl\w+|jackpot\w*|loans?|crypto\w*|bitcoin\w*|bank accounts?",
        r"毒品|赌博|赌场|博彩|下注|贷款|洗钱|代开发票|比特币|加密货币|高收益",
    ),
    "disparagement": (
        (
            r"scam\w*|fraud\w*|rip-?off|fake|counterfeit\w*|worthless|terrible|awful|horrible|worst|boycott\w*|st(?:ole|eal\w*)"
            r"|(?:don't|do not|never) (?:buy|trust|order)|lied to|lying to|liars?|cheat(?:s|ers?|ed)?"
            r"|waste of money|bankrupt\w*|out of business"
            r"|buy (?:it )?elsewhere"
        ),
        (
            r"骗|假货|山寨|劣质|黑心|坑[人钱爹]|(?:别|不要)(?:购买|相信)|(?<![就先])(?:别|不要)买(?!错)|差评"
            r"|(?<!灿)烂|倒闭|破产|智商税|最差"
        ),
    ),
    "danger": (
        r"recall(?:s|ed)?|explo[ds]\w+|(?:catch|caught|on) fire|toxic|poison\w*|cancer\w*|radiation|danger\w*|defect\w*",
        r"召回|爆炸|自燃|起火|有毒|致癌|辐射|危险|缺陷|中毒",
    ),
    "a threat": (
        (
            r"(?:account|order|data|cart|profile)\b.{0,24}\b(?:suspended|closed|deleted|blocked|terminated"
            r"|frozen|cancell?ed|locked)"
            r"|legal action|lawsuit\w*|sue|police|hack(?:s|ed|ers?|ing)|virus\w*|malware|(?:last|final) (?:warning|notice)"
            r"|or else|you(?:'ll| will) (?:lose|regret|be sorry)|warning(?=:)"
        ),
        (
            r"(?:账户|账号|订单|购物车|资料).{0,8}(?:冻结|注销|封|关闭|清空|取消|删除)|起诉|报警|警察|病毒|黑客|后果自负"
            r"|最后(?:警告|通知|通牒)|否则"
        ),
    ),
}
_SCREEN = PatternTable({kind: rf"\b(?:{latin})\b|{han}" for kind, (latin, han) in UNSAFE.items()})


def brand_safety(subject: Subject) -> str | None:
    """Rejects violence, sex, insults, politics, self-harm, crime, disparagement, danger and threats not stated in the facts."""
    for reading in subject.readings:
        if (found := unsafe(reading)) and found[1] not in subject.facts:
            return f'"{found[1]}" ({found[0]}) does not belong in a shop\'s copy'
    return None


def unsafe(text: str) -> tuple[str, str] | None:
    """Returns (kind, the matched words) for a normalised, case-folded text; None = it is safe.

    >>> unsafe("we are a scam")
    ('disparagement', 'scam')
    """
    found = _SCREEN.first(text)
    return None if found is None else (found[0], found[1].group())
