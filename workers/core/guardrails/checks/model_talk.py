"""Rejects text in which a model talks about itself or its instructions: refusals, roles, successful prompt injection."""

from __future__ import annotations

import re

from workers.core.guardrails.grounding.subject import Subject
from workers.core.guardrails.matching.pattern_table import PatternTable

META = PatternTable.of(
    r"\bas an? (?:ai|artificial|language model|assistant)\b|language model|\b(?:chatgpt|openai|gpt-?\d|smollm|qwen"
    r"|llama)\b|system prompt"
    r"|(?:ignore|disregard|forget|override)\b.{0,20}\b(?:instruction|prompt|rule|above|previous|prior)s?|\b(?:my"
    r"|your|the) instructions?\b"
    r"|\bi(?: am|'m) (?:sorry|unable|an ai|not able|a (?:language|bot))|\bi (?:cannot|can't|can not|won't) (?:help"
    r"|assist|write|provide|do|generate)"
    r"|\bi apologi[sz]e|\bhere(?: is|'s| are) (?:the|a|your|an|my) (?:message|text|email|e-mail|json|copy"
    r"|notification|draft|version|subject)"
    r"|\b(?:this|the) (?:prompt|json|template|marketing copy|copywriter|target group|product facts)\b"
    r"|\bjailbreak\w*|\b(?:developer|debug|admin|dan|god|unrestricted) mode\b|\bpwned\b|\bunrestricted\b"
    r"|\bno restrictions\b"
    r"|\bsystem (?:message|override|notice|instruction)|\bnew (?:instruction|rule)s?\b|\baccess granted\b"
    r"|\bi (?:was|am|have been) (?:told|instructed|asked|programmed)\b"
    r"|\bas (?:instructed|requested|you (?:asked|wished))\b"
    r"|\b(?:my|hidden|secret) (?:prompt|rules?|system)\b|\bfacts given\b|\banswer with json\b|\bnot instructions\b"
    r"|\byou are (?:now|dan|an? (?:helpful|ai|assistant|language|pirate|chat))\b"
    r"|\bi am (?:now )?(?:dan|chatgpt|an? (?:pirate|robot|bot))\b"
    r"|\bend of (?:prompt|data|instructions|facts)\b|\bthe user\b|\b(?:tone|facts) ?:"
    r"|作为(?:一个|一名|一款)?(?:ai|人工智能|语言模型|助手|文案)|语言模型|人工智能助手|系统提示|提示词|(?:忽略"
    r"|无视|忘记|跳过).{0,8}(?:指令|指示|规则|要求|提示)"
    r"|(?:很)?抱歉[,，]?我|对不起[,，]?我|我(?:无法|不能)(?:提供|生成|帮|完成|回答|撰写)|以下是.{0,10}(?:文案|内容"
    r"|消息|标题|邮件)|(?:文案|目标人群|产品信息|语气|渠道|字段|json)[:：]"
    r"|(?:新的?|系统|隐藏的?|我的|原始)(?:指令|规则|消息)|(?:开发者|管理员|调试|无限制)模式|越狱|角色扮演"
    r"|不是指令|(?:按照|遵照|根据)[^,。]{0,4}(?:指令|要求|指示)"
    r"|我被(?:要求|设定|告知)|我是(?:一个|一名|一台)?(?:机器人|ai|dan|海盗|助手)|用户(?:要求|输入|指令)"
)
ROLE = re.compile(
    r"^[^\S\n]*+[\"'“]?(?:system|user|assistant|human|bot|ai|model|title|body|subject|email[_ ]subject|preheader"
    r"|cta(?:[_ ]text)?|message|text|push|sms"
    r"|notification|output|answer|response|instructions?|facts|tone|product|标题|正文|主题|内容|推送|短信"
    r"|邮件|系统|用户|助手|回答|输出|回复|指令|特点|语气|产品|字段|渠道|名称)\s*[:：]",
    re.MULTILINE,
)


def meta(subject: Subject) -> str | None:
    """Rejects a refusal, a remark about the task, or a leaked instruction."""
    found = next((match for reading in subject.readings if (match := META.search(reading))), None)
    if found is None:
        found = next((match for value in subject.fields.values() if (match := ROLE.search(value.casefold()))), None)
    return f'"{found.group().strip()}" is not copy for a customer' if found else None
