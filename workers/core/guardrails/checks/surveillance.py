"""Rejects texts that show the customer what was observed about them, or what was inferred from it."""

from __future__ import annotations

import re

from workers.core.guardrails.grounding.subject import Subject
from workers.core.guardrails.matching.pattern_table import PatternTable

_TIMES = (
    r"(?:\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|a dozen"
    r"|so many|countless)"
)
TRACKING = PatternTable.of(
    r"\bwe(?:'ve| have)? (?:just )?(?:saw|seen|watched|been watching|tracked|followed|spotted"
    r"|recorded|logged) (?:that )?(?:you|where|when|how (?:long|often|many)|your)\b"
    r"|\bwe(?: can| could)? (?:see|know|knew) (?:where|when|how (?:long|often|many \w{1,12})|what) (?:you|your)\b"
    r"|\bwe(?:'ve| have)? noticed (?:that )?(?:you (?:were|are|spent|kept|stayed|came|opened"
    r"|scroll\w{0,4}|paus\w{0,3}|live|work|pass\w{0,3}|searched|stopp\w{0,3})|your (?:phone"
    r"|device|location|screen))\b"
    rf"|\byou(?:'ve| have)? (?:looked|viewed|visited|opened|checked|browsed|clicked|scrolled"
    rf"|hovered|returned|come back|came back|been (?:here|back))\b[^.!?]{{0,40}}\b{_TIMES} (?:times"
    rf"|visits)\b"
    rf"|\byou(?:'ve| have)? (?:spent|stayed|lingered|paused|looked)\b[^.!?]{{0,30}}\b{_TIMES} (?:minutes"
    rf"|hours|seconds)\b"
    r"|\b(?:based on|from|thanks to|according to|we have) your (?:location|searches|calendar|screen time)\b"
    r"|\byour (?:whereabouts|browsing (?:history|habits|data)|search history|ip address|call history|private messages)\b"
    r"|\b(?:near|at|outside|around|by) your (?:home|house|flat|apartment|office|workplace"
    r"|gym|school)\b[^.!?]{0,20}\b(?:yesterday|today|this morning|last night|tonight|at \d)"
    r"|\byou were (?:at|in|near|on|outside) [^.!?]{1,40}\b(?:yesterday|today|this morning"
    r"|last night|tonight|at \d|lately|earlier)\b"
    r"|(?:我们|系统|后台)?(?:看到|发现|注意到|知道|监测到|检测到|记录到|得知|追踪到|定位到"
    r"|观察到|监控到)(?:了)?[你您](?:们)?(?:在|刚|昨|今|凌晨|深夜|曾|经常|每天|总|的?(?:位置"
    r"|手机|浏览|搜索|定位|行踪|设备)|看了|搜|停留|反复)"
    r"|[你您][^,。!?]{0,10}(?:看了|浏览了|点开了?|停留了|打开了?|搜索了|翻了"
    r"|盯着)[^,。!?]{0,10}(?:[二两三四五六七八九十\d]{1,3}(?:次"
    r"|遍|回|分钟|小时|秒)|无数次)"
    r"|[你您]的?(?:位置信息|定位信息|行踪|浏览记录|搜索记录|聊天记录|通讯录|通话记录)"
    r"|[你您]家附近|(?:昨[天晚日]|今[天早晨]|前天|刚才|刚刚)[你您](?:在|路过|经过|去了|到过)"
    r"|[你您](?:昨|今|凌晨|刚才|刚刚)[^,。!?]{0,8}(?:在|路过|经过|去了)[^,。!?]{0,12}(?:附近"
    r"|商场|公司|医院|小区|学校|门口|地铁)"
)
#: Private matters, in words that are about the reader; those of the product's facts may be named.
_MATTERS = (
    r"pregnan\w{1,4}|diagnos\w{1,3}|illness|disease|disabilit\w{1,4}|disabled|depress\w{1,4}"
    r"|anxiety|obes\w{1,3}|overweight|diabet\w{1,3}|cancer|infertil\w{1,3}|menopaus\w{1,3}"
    r"|insomnia"
    r"|religion|religious|church|mosque|muslim|christian|jewish|hindu|buddhist|catholic|atheist"
    r"|divorc\w{1,3}|break-?up|widow\w{0,3}|lonely|salary|income|debts?|credit score"
    r"|unemploy\w{1,4}|bankrupt\w{0,3}"
    r"|sexual\w{0,4}|gay|lesbian|ethnicity|immigrant|medication|prescriptions?"
    r"|therap(?:y|ist)|hair loss|bald\w{0,4}|wrinkles|acne|ageing|aging"
)
#: What the facts must name where a text names it: private matters, and parts and values of the body.
_MATTER = re.compile(
    rf"{_MATTERS}|back|knees?|joints|hips?|heart|eyesight|hearing|blood (?:pressure|sugar)|cholesterol|allergies"
    rf"|asthma|arthritis"
    r"|怀孕|备孕|孕期|产后|高血压|糖尿病|血压|血糖|血脂|抑郁|焦虑|失眠|肥胖|脱发|更年期|皱纹|老年|关节炎?|腰椎"
    r"|颈椎|过敏|哮喘|手术|孕妇"
)
SENSITIVE = PatternTable.of(
    r"\b(?:now that|since|because|as|if|while|when|knowing|given that) you(?:'re| are|'ve been| have been) "
    rf"(?:\w{{1,10}} ){{0,2}}(?:{_MATTERS}|expecting|single|broke|elderly|retired|poor|rich|wealthy|old|sick|ill|fat)\b"
    rf"|\byour (?:\w{{1,10}} )?(?:{_MATTERS}|due date|age|weight (?:problem|issue|gain"
    rf"|loss)|health (?:condition|problem|issue)s?)\b"
    r"|\b(?:after|since|during|through|following) (?:the|your) (?:divorce|break-?up|loss"
    r"|surgery|operation|treatment|diagnosis|chemo\w{0,8}|miscarriage|layoff|bereavement)\b"
    r"|\byour (?:bad|aching|sore|weak|poor|painful) (?:back|knees?|joints|hips?|heart"
    r"|eyesight|hearing)\b|\byour (?:blood (?:pressure|sugar)|cholesterol|joints|allergies"
    r"|asthma|arthritis)\b"
    r"|\bas an? (?:new |single |expecting |expectant |recent |young |stay-at-home )?(?:mum"
    r"|mom|mother|dad|father|parent|widow|widower|retiree|pensioner|divorcee|patient"
    r"|believer|immigrant|veteran)\b"
    r"|\b(?:money|budget|things) (?:is|are|must be|may be|has been|have been) (?:tight"
    r"|short)\b|\bon (?:a|your) (?:tight|small|limited|low) (?:budget|income|salary|pension)\b"
    r"|\bliving (?:alone|on benefits)\b"
    r"|\b(?:during|for|this|your) (?:ramadan|lent|shabbat|sabbath|diwali|eid)\b|\bbaby(?:'s)? (?:is )?(?:due"
    r"|on the way)\b|\btrying (?:for a baby|to conceive|to lose weight)\b|\bweight (?:you want"
    r"|you need) to lose\b"
    r"|\bpeople like you\b"
    r"|\bat your age\b|\b(?:someone|people|a person|a woman|a man|women|men) (?:of )?your (?:age"
    r"|size|weight|income|faith|means)\b|\bcongratulations on (?:the|your) (?:baby|pregnancy"
    r"|engagement|wedding|divorce|promotion)\b"
    r"|[你您](?:正在|现在|最近|已经|刚|正|是|有|的|这个|身为|作为|既然)?[^,。!?]{0,5}(?:怀孕"
    r"|备孕|孕期|怀着|预产期|产后|离婚|离异|单身|失恋|分手|失业|负债|欠债|高血压|糖尿病"
    r"|抑郁|焦虑症|失眠|肥胖|发福|脱发|秃|更年期|绝经|残疾|癌|病情|确诊"
    r"|信仰|信教|佛教|基督|穆斯林|宗教|同性恋|性取向|工资|月薪|收入不高|收入水平|经济压力|手头紧|皱纹|老年)"
    r"|(?:怀孕|备孕|离婚|离异|单身|失恋|分手|失业|负债|抑郁|焦虑|失眠|肥胖|脱发|生病|患病)(?:中)?的[你您]"
    r"|[你您]这(?:个)?(?:年纪|年龄|岁数|体型|身材|收入)|(?:[你您]|您家|你家)[^,。!?]{0,6}(?:血压"
    r"|血糖|血脂|关节|腰椎|颈椎|腰不好|膝盖不好|眼睛不好|过敏体质|哮喘|关节炎|手术|化疗|治疗"
    r"|服药|吃药|病史)|(?:手术|化疗|住院|病)后的[你您]|(?:独居|离家|新手(?:爸爸|妈妈)|准妈妈"
    r"|准爸爸|单亲|空巢|退休)(?:的|后的)?[你您]|[你您](?:一个人住|独居|退休|刚退休|快要?当(?:妈"
    r"|爸)|就要当(?:妈|爸)|坐月子)|宝宝(?:快|就要|即将)(?:出生|到来)|斋月|做礼拜|手头(?:不宽裕"
    r"|拮据)|生活拮据|还房贷|还贷|上了年纪|[你您]年纪|作为(?:一[名位个])?(?:孕妇"
    r"|单身|离异|穆斯林|基督徒|佛教徒|老年人|病人|患者)|恭喜[你您](?:怀孕|当妈|当爸|离婚"
    r"|订婚|结婚|升职)"
)


def tracking(subject: Subject) -> str | None:
    """Rejects a text that tells customers where they were, what they looked at how often, or that they were watched."""
    found = next(filter(None, map(TRACKING.search, subject.readings)), None)
    return f'"{found.group()}" tells customers that they are observed' if found else None


def sensitive(subject: Subject) -> str | None:
    """Rejects an inference about a private matter: health, religion, family, money, age; the facts' own words may be used."""
    for text in subject.readings:
        for _, found in SENSITIVE.every(text):
            matter = _MATTER.search(found.group())
            if matter is None or matter.group() not in subject.facts:
                return f'"{found.group()}" speaks of a private matter of the customer'
    return None
