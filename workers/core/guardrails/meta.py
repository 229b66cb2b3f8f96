"""Words of a model about itself or its instructions instead of copy: refusals, roles, prompt injection that worked."""

from __future__ import annotations

import re

from workers.core.guardrails.subject import Subject

META = re.compile(
    r"\bas an? (?:ai|artificial|language model|assistant)\b|language model|\b(?:chatgpt|openai|gpt-?\d|smollm|qwen"
    r"|llama)\b|system prompt"
    r"|(?:ignore|disregard|forget|override)\b.{0,20}\b(?:instruction|prompt|rule|above|previous|prior)s?|\b(?:my"
    r"|your|the) instructions?\b"
    r"|\bi(?: am|'m) (?:sorry|unable|an ai|not able|a (?:language|bot))|\bi (?:cannot|can't|can not|won't) (?:help"
    r"|assist|write|provide|do|generate)"
    r"|\bi apologi[sz]e|\bhere(?: is|'s| are) (?:the|a|your|an|my) (?:message|text|email|e-mail|json|copy"
    r"|notification|draft|version|subject)"
    r"|\b(?:this|the) (?:prompt|json|template|marketing copy|copywriter|target group|product facts)\b"
    r"|\bjailbreak\w*|\bdeveloper mode\b|\bpwned\b"
    r"|作为(?:一个|一名|一款)?(?:ai|人工智能|语言模型|助手|文案)|语言模型|人工智能助手|系统提示|提示词|(?:忽略"
    r"|无视|忘记|跳过).{0,8}(?:指令|指示|规则|要求|提示)"
    r"|(?:很)?抱歉[,，]?我|对不起[,，]?我|我(?:无法|不能)(?:提供|生成|帮|完成|回答|撰写)|以下是.{0,10}(?:文案|内容"
    r"|消息|标题|邮件)|(?:文案|目标人群|产品信息|json)[:：]"
)
ROLE = re.compile(
    r"^\s*[\"'“]?(?:system|user|assistant|human|bot|ai|model|title|body|subject|email[_ ]subject|preheader"
    r"|cta(?:[_ ]text)?|message|text|push|sms"
    r"|notification|output|answer|response|标题|正文|主题|内容|推送|短信|邮件|系统|用户|助手|回答|输出|回复)\s*[:：]",
    re.MULTILINE,
)


def meta(subject: Subject) -> str | None:
    """A refusal, a remark about the task, or an instruction that came through."""
    found = META.search(subject.text)
    if found is None:
        found = next((match for value in subject.fields.values() if (match := ROLE.search(value.casefold()))), None)
    return f'"{found.group().strip()}" is not copy for a customer' if found else None
