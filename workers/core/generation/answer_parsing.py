"""From a model's answer to a text: the JSON object in it, whatever a chat model, its server or its template put around it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

import msgspec

from schemas.messages import MessageText

MAX_ANSWER_CHARS = 20_000
#: (begin, end) of what reasoning models think aloud, where no reasoning parser of the server takes it off. Of many only the
#: end arrives: their chat template has put the beginning into the prompt.
_THOUGHTS = (
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
#: Of so many braces one may begin the object: words around it rarely have any.
_MOST_BEGINNINGS = 32
#: Line ends within a string are forgiven: small models write them out.
_JSON = json.JSONDecoder(strict=False)
_NOT_JSON = "the answer is not JSON"


def parse(answer: str, known: Iterable[str] = MessageText.__struct_fields__) -> MessageText | str:
    """The text of an answer, or (a str) why it is none; takes time in proportion to the answer's length.

    Thoughts are taken off, and of what is left the first JSON object with one of the `known` fields counts: code fences,
    words and end tokens around it say nothing. Fields that are not `known` are dropped; nothing is shortened.

    >>> parse('{"title": " Hi ", "body": "All good."}').title
    'Hi'
    >>> parse('a thought</think>Here it is: ```json {"body": "All good."}``` Fine?<|im_end|>').body
    'All good.'
    >>> parse("Sure!")
    'the answer is not JSON'
    """
    if len(answer) > MAX_ANSWER_CHARS:
        return "the answer is too long"
    said = _without_thoughts(answer)
    if said is None:
        return "the answer did not end its thoughts"
    names = tuple(known)
    wrong = _NOT_JSON
    for value in _values(said):
        if not isinstance(value, dict):
            return "the answer is not a JSON object"
        if wanted := {name: value[name] for name in names if name in value}:
            return _text(wanted)
        wrong = "the answer has none of the fields"
    return wrong


def _without_thoughts(answer: str) -> str | None:
    """What comes after the last thought; None = one has no end, and drafts in it are no answer."""
    for begin, end in _THOUGHTS:
        answer = answer.rpartition(end)[2]
        if begin in answer:
            return None
    return answer


def _values(said: str) -> Iterator[object]:
    """The whole, if that is JSON; else the objects in it from the left, those within others apart."""
    said = said.strip().removeprefix("\ufeff")
    try:
        yield msgspec.json.decode(said)
    except RecursionError:
        return
    except msgspec.DecodeError:
        yield from _objects(said)


def _objects(said: str) -> Iterator[object]:
    at = said.find("{")
    for _ in range(_MOST_BEGINNINGS):
        if at < 0:
            return
        try:
            value, end = _JSON.raw_decode(said, at)
        except json.JSONDecodeError as error:
            end = max(at + 1, error.pos)  # what was read up to the mistake is not read again
        except RecursionError:
            return
        else:
            yield value
        at = said.find("{", end)


def _text(wanted: dict[str, object]) -> MessageText | str:
    texts: dict[str, str] = {}
    for name, value in wanted.items():
        if not isinstance(value, str):
            return "a field of the answer is not a string"
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            return _NOT_JSON
        texts[name] = _SPACES.sub(" ", value).strip()
    return MessageText(**texts)
