"""Brand safety: what no shop says of anything, whatever a name or a review says. Neutral and short: a playbook's
`banned_words` are the place for a brand's own taboos."""

from __future__ import annotations

import re

from workers.core.guardrails.subject import Subject

UNSAFE = {
    "violence": r"\bkill(?:s|ed|ing)?\b(?! time)|\bmurder\w*|\bbomb(?:s|ed|ing)?\b|\bmassacre\w*"
    r"|\bterroris\w+|\bstab(?:bed|bing)?\b"
    r"|\bshoot (?:people|him|her|them|you)\b|杀(?:人|死|了|光)|谋杀|炸弹|恐怖(?:分子|袭击|主义)|血腥|屠杀|枪击",
    "sexual content": r"\bporn\w*|\bsex(?:ual\w*)?\b|\bnudes?\b|\bnaked\b|\berotic\w*|\bescorts?\b|色情"
    r"|裸(?:体|聊|照)|约炮|成人视频|性爱",
    "an insult": r"\bstupid\b|\bidiots?\b|\bmorons?\b|\bdumb\b|\blosers?\b|\bugly\b|\btrash\b|\bgarbage\b"
    r"|\bcrap\b|\bshit\w*|\bfuck\w*"
    r"|\bbitch\w*|\bbastards?\b|\bwe hate\b|\bhate you\b|\bnazi\w*|\bracis\w+|傻[子瓜逼x]|蠢|白痴|笨蛋|弱智"
    r"|脑残|垃圾|废物|滚[开蛋]|去死|他妈"
    r"|狗屎|贱人|混蛋|丑八怪|穷鬼",
    "politics": r"\bvote for\b|\belections?\b|\bpresident\b|\bgovernments?\b|\bcommunis\w+|\bdemocrats?\b"
    r"|\brepublicans?\b|\bdictator\w*"
    r"|\bregime\b|\bwars?\b|选举|投票给|总统|政府|政党|共产|民主党|共和党|游行|独裁|政权|战争",
    "self-harm": r"\bsuicid\w*|\bself-harm\w*|\b(?:hurt|harm|cut) yourself\b|自杀|自残|轻生|割腕",
    "drugs, gambling or money": r"\bcocaine\b|\bheroin\b|\bmarijuana\b|\bcasinos?\b|\bgambl\w+|\bjackpot\w*"
    r"|\bloans?\b|\bcrypto\w*|\bbitcoin\w*"
    r"|\bbank accounts?\b|毒品|赌博|赌场|博彩|下注|贷款|洗钱|代开发票|比特币|加密货币|高收益",
    "disparagement": r"\bscam\w*|\bfraud\w*|\brip-?off\b|\bfake\b|\bcounterfeit\w*|\bworthless\b"
    r"|\bterrible\b|\bawful\b|\bhorrible\b|\bworst\b"
    r"|\b(?:don't|do not|never) (?:buy|trust|order)\b|\bboycott\w*|\bst(?:ole|eal\w*)\b"
    r"|\b(?:lied|lying|liars?)\b|\bcheat\w*\b"
    r"|\bwaste of money\b|\bbankrupt\w*|\bout of business\b|\bbuy (?:it )?elsewhere\b|骗|假货|山寨|劣质|黑心"
    r"|坑[人钱爹]|(?:别|不要)(?:买|购买|相信)|差评|(?<!灿)烂"
    r"|倒闭|破产|智商税|最差",
    "danger": r"\brecall(?:s|ed)?\b|\bexplo(?:de|sion|ding)\w*|\b(?:catch|caught|on) fire\b|\btoxic\b"
    r"|\bpoison\w*|\bcancer\w*|\bradiation\b"
    r"|\bdanger\w*|\bdefect\w*|召回|爆炸|自燃|起火|有毒|致癌|辐射|危险|缺陷|中毒",
    "a threat": r"\b(?:account|order|data|cart|profile)\b.{0,24}"
    r"\b(?:suspended|closed|deleted|blocked|terminated|frozen|cancell?ed|locked|erased)\b"
    r"|\blegal action\b|\blawsuit\w*|\bsue\b|\bpolice\b|\bhack(?:s|ed|ers?|ing)\b|\bvirus\w*|\bmalware\b"
    r"|\b(?:last|final) (?:warning|notice)\b"
    r"|\bor else\b|\byou(?:'ll| will) (?:lose|regret|be sorry)\b|\bwarning:"
    r"|(?:账户|账号|订单|购物车|资料).{0,8}(?:冻结|注销|封|关闭|清空|取消|删除)"
    r"|起诉|报警|警察|病毒|黑客|后果自负|最后(?:警告|通知|通牒)|否则",
}
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in UNSAFE.items()}
_ANY = re.compile("|".join(UNSAFE.values()))


def brand_safety(subject: Subject) -> str | None:
    """Violence, sex, insults, politics, self-harm, crime, disparagement, danger and threats that the facts do not state."""
    for reading in subject.readings:
        if (found := unsafe(reading)) and found[1] not in subject.facts:
            return f'"{found[1]}" ({found[0]}) is nothing a shop says'
    return None


def unsafe(text: str) -> tuple[str, str] | None:
    """(kind, the words found) in a normalised, case-folded text.

    >>> unsafe("we are a scam")
    ('disparagement', 'scam')
    """
    if _ANY.search(text) is None:
        return None
    return next((kind, found.group()) for kind, pattern in _PATTERNS.items() if (found := pattern.search(text)))
