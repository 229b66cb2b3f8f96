"""Answers of language models and of their servers."""

# ruff: noqa: E501 # a table: one row a line
from __future__ import annotations

import json
from typing import Any

from schemas.messages import MessageText
from tests.field.case import Case
from workers.adapters.llm import wire
from workers.core.errors import AttuneError
from workers.core.generation import answer_parsing

TEXT = '{"title": "Hi", "body": "All good."}'
READ = {"title": "Hi", "body": "All good."}


def parsed(given: str) -> dict[str, Any]:
    """Returns the text of an answer, or `why` it is rejected."""
    found = answer_parsing.parse(given)
    return {"title": found.title, "body": found.body} if isinstance(found, MessageText) else {"why": found}


def replied(given: dict[str, Any]) -> dict[str, Any]:
    """Returns the parts used of a server's reply with one choice."""
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"} | given
    try:
        completion = wire.decode_reply(json.dumps({"model": "m", "choices": [choice]}).encode(), "m", 0.1)
    except AttuneError as error:
        return {"failed": type(error).__name__}
    return {"text": completion.text, "finish_reason": completion.finish_reason}


def answer(slug: str, source: str, given: str, right: dict[str, Any] | None = None) -> Case:
    return Case(slug, source, parsed, given, READ if right is None else right)


NO_TEXT: dict[str, Any] = {"title": None, "body": None}
ANSWERS = [
    answer("thoughts-first", "vllm-project/vllm#13375", f"<think>\nShe likes it.\n</think>\n\n{TEXT}"),
    answer("thoughts-without-a-beginning", "vllm-project/vllm#12468", f"She likes it.\n</think>\n{TEXT}"),
    answer("two-thoughts", "vllm-project/vllm#34625", f"<think>one</think><think>two</think>{TEXT}"),
    answer("words-before-thoughts", "vllm-project/vllm#50938", f"Sure. <think>one</think>{TEXT}"),
    answer("thoughts-that-hold-json", "vllm-project/vllm#50948", '<think>{"title": "no"}</think>' + TEXT),
    answer("fence", "vectorize-io/hindsight#645", f"```json\n{TEXT}\n```"),
    answer("fence-in-one-line", "DeytaHQ/khora#336", f"```json {TEXT} ```"),
    answer("bare-fence", "gettranslatebot/translatebot-django#31", f"```\n{TEXT}\n```\n"),
    answer("words-around-a-fence", "imsks/Rajniti#171", f"Here it is:\n```json\n{TEXT}\n```\nEnjoy!"),
    answer("words-around", "sreerevanth/repopilot#157", f"Here is the text: {TEXT}"),
    answer("words-behind", "giuseppe99barchetta/SuggestArr#266", f"{TEXT}\nI hope that this helps."),
    answer("a-fence-in-a-field", "langgenius/dify#41958", '{"title": "Hi", "body": "All `good`."}', {"body": "All `good`."}),
    answer("the-end-of-a-turn", "moltis-org/moltis#306", f"{TEXT}<|im_end|>"),
    answer("the-end-of-a-turn-and-a-line", "huggingface/text-generation-inference#1724", f"{TEXT}<|im_end|>\n"),
    answer("the-end-of-a-text", "ggml-org/llama.cpp#12743", f"{TEXT}</s>"),
    answer("thoughts-alone", "ai-dynamo/dynamo#14991", "<think>She likes it", NO_TEXT),
    answer("words-alone", "rahuloruganti/charbit#9", "I cannot write that.", NO_TEXT),
]  # fmt: skip


def reply(slug: str, source: str, right: dict[str, Any], **choice: Any) -> Case:
    return Case(slug, source, replied, choice, right)


WHOLE = {"text": TEXT, "finish_reason": "stop"}
REPLIES = [
    reply("stopped-at-a-token", "huggingface/text-generation-inference#2344", WHOLE, finish_reason="eos_token"),
    reply("stopped-at-a-token-in-capitals", "spring-projects/spring-ai#4900", WHOLE, finish_reason="EOS_TOKEN"),
    reply("stopped", "vllm-project/vllm#2976", WHOLE, stop_reason=None),
    reply("cut-off", "pegainfer-project/pegainfer#238", {"text": TEXT, "finish_reason": "length"}, finish_reason="length"),
    reply("nothing-but-thoughts", "BerriAI/litellm#14121", {"failed": "Retryable"}, message={"role": "assistant", "content": None, "reasoning_content": "hm"}),
]  # fmt: skip

CASES = [*ANSWERS, *REPLIES]
