"""Parses a model's answer: finds the JSON object in it, whatever a chat model, its server or its template put around it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

import msgspec

from schemas.messages import MessageText

MAX_ANSWER_CHARS = 20_000
#: (begin, end) markers of reasoning, for servers without a reasoning parser that removes it. Many models send only the
#: end, because their chat template has put the beginning into the prompt.
_REASONING = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|channel|>analysis", "<|channel|>final"),
)
_SPACES = re.compile(r"[^\S\n]+")
#: At most this many opening braces are tried as the start of the object: the text around it rarely has any.
_MAX_STARTS = 32
#: Not strict: small models write raw line ends within strings.
_JSON = json.JSONDecoder(strict=False)
_NOT_JSON = "the answer is not JSON"


def parse(answer: str, fields: Iterable[str] = MessageText.__struct_fields__) -> MessageText | str:
    """Returns the text of an answer, or the reason (a str) why there is none, in time proportional to the answer's length.

    Reasoning is removed; in the rest, the first JSON object with one of the `fields` is the answer. Code fences, text and end
    tokens around it are ignored. Other fields are dropped; nothing is shortened.

    >>> parse('{"title": " Hi ", "body": "All good."}').title
    'Hi'
    >>> parse('a thought</think>Here it is: ```json {"body": "All good."}``` Fine?<|im_end|>').body
    'All good.'
    >>> parse("Sure!")
    'the answer is not JSON'
    """
    if len(answer) > MAX_ANSWER_CHARS:
        return "the answer is too long"
    rest = _without_reasoning(answer)
    if rest is None:
        return "the answer did not end its reasoning"
    names = tuple(fields)
    reason = _NOT_JSON
    for value in _values(rest):
        if not isinstance(value, dict):
            return "the answer is not a JSON object"
        if wanted := {name: value[name] for name in names if name in value}:
            return _text(wanted)
        reason = "the answer has none of the fields"
    return reason


def _without_reasoning(answer: str) -> str | None:
    """Returns the text after the last reasoning block; None = a block has no end, and drafts within it are not an answer."""
    for begin, end in _REASONING:
        answer = answer.rpartition(end)[2]
        if begin in answer:
            return None
    return answer


def _values(rest: str) -> Iterator[object]:
    """Yields the whole text if it is JSON, else the objects in it from left to right, without those nested in others."""
    rest = rest.strip().removeprefix("\ufeff")
    try:
        yield msgspec.json.decode(rest)
    except RecursionError:
        return
    except msgspec.DecodeError:
        yield from _objects(rest)


def _objects(rest: str) -> Iterator[object]:
    at = rest.find("{")
    for _ in range(_MAX_STARTS):
        if at < 0:
            return
        try:
            value, end = _JSON.raw_decode(rest, at)
        except json.JSONDecodeError as error:
            end = max(at + 1, error.pos)  # text before the error is not read again
        except RecursionError:
            return
        else:
            yield value
        at = rest.find("{", end)


def _text(wanted: dict[str, object]) -> MessageText | str:
    texts: dict[str, str] = {}
    for name, value in wanted.items():
        if not isinstance(value, str):
            return "a field of the answer is not a string"
        try:
            value.encode()
        except UnicodeEncodeError:  # a lone surrogate
            return _NOT_JSON
        texts[name] = _SPACES.sub(" ", value).strip()
    return MessageText(**texts)
