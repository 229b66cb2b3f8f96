"""Rejects personal data, and passages copied from the customer or the prompt."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from workers.core.common.memoize import memoize_by_identity
from workers.core.guardrails.grounding.subject import Subject
from workers.core.guardrails.matching.pattern_table import PatternTable
from workers.core.playbook.playbook import Playbook
from workers.core.text.normalize import normalised

#: Family names that do not begin a common word; the frequent ones that do (高, 方, 周 ...) would reject good copy.
_FAMILY = (
    "王李张刘陈杨赵吴徐孙朱郭罗郑梁宋唐邓冯韩曹彭蔡潘袁蒋杜苏魏吕丁沈姚卢傅姜崔谭廖汪陆贾韦邱邹孟秦薛阎尹段贺邵钱覃郝龚"
)
_NO_NAME = "王者|徐徐|陆续|陈列|段落|贺岁|张开|张弛|汪汪|韩式|韩系|韩版|唐装|宋式|苏打|孙子"
PERSONAL = PatternTable.of(
    r"\b(?:order|tracking|card|account|passport|id|phone|customer|member) ?(?:no\b\.?|numbers?\b|#|id\b)"
    r"|\bcard ending\b"
    r"|\bcredit card\b|\byour pass(?:word|code)s?\b(?! manager)|\bpin code\b|\bsocial security\b|\bssn\b|\bdate of birth\b"
    r"|\bborn (?:on|in)\b"
    r"|\bhome address\b|\b(?:he|she) (?:lives?|bought)\b|\blives at\b|\bwho lives in\b"
    r"|\d{1,9} \w{1,40} (?:street|st|avenue|road|lane|drive)\b"
    r"|身份证|护照(?=号|在|信息|照片)|卡号|订单(?:号|编号)|单号|[您你]的?密码|密码(?=是|在|为)|(?:输入|填写|提供"
    r"|告知|发送)密码|验证码|住址|家住|(?:[您你他她]|先生|女士|小姐|阿姨|叔叔|同学|老师|师傅)住在|手机号"
    r"|电话(?:是|号)|生日是|出生(?:日期|年月|于|在)"
    r"|收货(?:地址|人)"
    r"|[\u3400-\u9fff]{2}(?<![城都超股门])[省市][\u3400-\u9fff]{1,6}[区县路街镇]"
    r"|[\u3400-\u9fff](?:路|街|弄|小区|栋)\d+"
    rf"|(?<![\u3400-\u9fff])(?!{_NO_NAME})[{_FAMILY}][\u3400-\u9fff]{{1,2}}(?=[,:!]|你好|您好|也?(?:刚|昨天|喜欢|推荐)|说)"
    rf"|(?!{_NO_NAME})[{_FAMILY}][\u3400-\u9fff]{{1,2}}(?:也?(?:买|订购|下单|收藏)了|的(?:订单|地址|电话|账户|账号|购物车))"
    r"|[\u3400-\u9fff](?:同学|老师|教授|经理|总监|阿姨|叔叔|师傅)(?=[,:!]|你好|您好|也)"
)
_TOKEN = re.compile(r"[a-z0-9']+|[\u3400-\u9fff]")
_SYSTEM = re.compile(r"^=== *system *===[ \t]*\n(.*?)(?=^=== |\Z)", re.MULTILINE | re.DOTALL)
#: This many words (in Chinese, characters) in a row are not a coincidence.
_OF_PROMPT, _OF_CUSTOMER = {"zh": 12}, {"zh": 8}
_OF_PROMPT_LATIN, _OF_CUSTOMER_LATIN = 6, 4


def personal_data(subject: Subject) -> str | None:
    """Rejects a person's name, an address, or a number that identifies a person: no message needs any."""
    # Field by field: a name may start a field, and Chinese lines are joined in `text`.
    values = (line.casefold() for line in subject.lines.values())
    for reading in (*values, *subject.readings[1:]):
        if found := PERSONAL.search(reading):
            return f'"{found.group()}" may be someone\'s personal data'
    return None


def leaks(subject: Subject) -> str | None:
    """Rejects a passage from the prompt's instructions or from what the customer wrote (others may see a message)."""
    tokens = _TOKEN.findall(subject.text)
    language = subject.about.language
    size = _OF_PROMPT.get(language, _OF_PROMPT_LATIN)
    if not _instructions(subject.playbook, language).isdisjoint(_runs(tokens, size)):
        return "it repeats the instructions"
    if subject.about.context:
        size = _OF_CUSTOMER.get(language, _OF_CUSTOMER_LATIN)
        written = {
            run
            for value in subject.about.context.values()
            for run in _runs(_TOKEN.findall(normalised(value).casefold()), size)
        }
        written -= set(_runs(_TOKEN.findall(subject.grounds), size))
        if not written.isdisjoint(_runs(tokens, size)):
            return "it repeats what the customer wrote"
    return None


@memoize_by_identity
def _instructions(playbook: Playbook, language: str) -> frozenset[tuple[str, ...]]:
    sources = tuple(
        prompt.source for (_, prompt_language), prompt in playbook.prompts.items() if prompt_language == language
    )
    return _runs_of_systems(sources, _OF_PROMPT.get(language, _OF_PROMPT_LATIN))


@lru_cache(maxsize=16)
def _runs_of_systems(sources: tuple[str, ...], size: int) -> frozenset[tuple[str, ...]]:
    """Returns every word run of the system turns, except their examples (lines of JSON), which are copy."""
    lines = [
        line for source in sources for turn in _SYSTEM.findall(source) for line in turn.split("\n") if line[:1] != "{"
    ]
    return frozenset(run for line in lines for run in _runs(_TOKEN.findall(normalised(line).casefold()), size))


def _runs(tokens: list[str], size: int) -> Iterable[tuple[str, ...]]:
    return (tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1))
