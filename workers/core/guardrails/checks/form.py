"""Checks the form of a text: fields, placeholders, length, characters, complete sentences, repetition."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

from workers.core.guardrails.grounding.subject import About, Subject
from workers.core.guardrails.matching.pattern_table import PatternTable
from workers.core.playbook.playbook import Playbook
from workers.core.text import length_limits

_PLACEHOLDER = PatternTable.of(
    r"\{|\}|\[[^\]]*\]?|<<|>>|%\w+%|\bx{3,}\b|\b(?:todo|tbd|lorem ipsum|n/a|null|none|undefined|nan)\b|\b(?:your"
    r"|product|customer|first|brand|company)[ _]name\b"
    r"|(?:产品|客户|用户|品牌|商品|你的)(?:名称|名字)|某某|××+|_{2,}"
)
_MARKUP = PatternTable.of(
    r"</?[a-z!][^>]*>?|&(?:[a-z]{2,8}|#x?[0-9a-f]+);|\*\*?|`|\]\(|^[^\S\n]*+(?:#{1,6}|[-*+>]|\d+\.)\s|~~"
    r"|\\[nrtux\"]|#\w|[<>=]|&#|---",
    re.MULTILINE,
)
#: Characters other than the letters, digits and punctuation of everyday Latin and Chinese text.
_NOT_PLAIN = re.compile(r"[^\x20-\x7e\u3001-\u303f\u3400-\u9fff\uff01-\uff0f]")
_ENDING = "。！？!?.…~～♪♡❤)）」』”\"'》】"
#: Words that cannot end a short line: the line was cut off.
_DANGLING = re.compile(
    r"(?:[,，、:：;；—–-]|\b(?:the|a|an|your|our|with|and|or|of|from|its|every)|[的和与或及让把将])$"
)
#: Includes the character before the word.
_LONGEST_DANGLING = len(" every")
_WORDS = re.compile(r"[a-z0-9']+|[\u3400-\u9fff]")
_SENTENCES = re.compile(r"[。！？!?.\n]+")
_CHARACTER_RUN = re.compile(r"([^\d\s.…])\1{3,}|([!?！？。])\2{2,}|\.{4,}")
_PHRASE_WORDS = 5
_MAX_PHRASE = 2


def structure(subject: Subject) -> str | None:
    """Requires exactly the channel's fields, without unfilled placeholders or truncated text."""
    known = subject.playbook.channels[subject.about.channel].fields
    for name in known:
        if not subject.fields.get(name, "").strip():
            return f"{name} is missing"
    for name, value in subject.fields.items():
        if name not in known:
            return f"{name} is not a field of {subject.about.channel}"
        stripped = value.rstrip()
        if name == "body" and not _ends(stripped):
            return "body does not end with a full sentence"
        if _DANGLING.search(stripped[-_LONGEST_DANGLING:].casefold()):
            return f"{name} is cut off"
    found = _PLACEHOLDER.search(subject.text)
    return f'"{found.group()}" is an unfilled placeholder' if found else None


def length(subject: Subject) -> str | None:
    """Requires the text to fit the limits of the channel, its vendors and its suffix; a text is never truncated to fit."""
    return too_long(subject.fields, subject.about, subject.playbook)


def too_long(fields: Mapping[str, str], about: About, playbook: Playbook) -> str | None:
    """Returns the reason of `length` for the fields of a text as written; None = they fit."""
    channel, language = playbook.channels[about.channel], about.language
    for name in channel.fields:
        value = fields.get(name, "")
        if wrong := length_limits.wrong(channel, name, language, value):
            return wrong
        room = length_limits.room(channel, name, language)
        if room is not None and room.chars - 1 <= len(value) <= room.chars and not _ends(value):
            return f"{name} is cut off at {len(value)} characters"  # where the JSON Schema cuts off a model
    return length_limits.payload_wrong(channel, language, fields)


def markup(subject: Subject) -> str | None:
    """Rejects HTML, Markdown, and control, bidirectional, invisible or private-use characters."""
    marked = _MARKUP.search(subject.text)  # the fields are searched only if there is any
    for name, value in subject.fields.items():
        for character in _NOT_PLAIN.findall(value):
            if unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Cn") and not (
                name == "body" and character == "\n"
            ):
                return f"{name} has the character U+{ord(character):04X}"
        if marked and (found := _MARKUP.search(subject.lines[name].casefold())):
            return f'{name} has markup: "{found.group().strip()}"'
    return None


def repetition(subject: Subject) -> str | None:
    """Rejects repeated sentences, overused phrases, and fields that repeat another."""
    values = [value.casefold().strip() for name, value in subject.fields.items() if name != "cta_text"]
    if len(set(values)) < len(values):
        return "two fields are the same"
    for value in values:
        if run := _CHARACTER_RUN.search(value):
            return f'"{run.group()}" is repeated'
        sentences = [sentence.strip() for sentence in _SENTENCES.split(value) if len(sentence.strip()) > 3]
        if len(set(sentences)) < len(sentences):
            return "a sentence occurs twice"
        words = _WORDS.findall(value)
        repeats = len(words) - len(set(words))
        if repeats > 1 and any(
            one == two == three for one, two, three in zip(words, words[1:], words[2:], strict=False)
        ):
            return "a word occurs three times in a row"
        # The second and third occurrence of a phrase repeat all its words, so there are more repeats than a phrase has words.
        if repeats <= _PHRASE_WORDS:
            continue
        often = {word for word, times in Counter(words).items() if times > _MAX_PHRASE}
        phrases = Counter(
            tuple(words[at : at + _PHRASE_WORDS])
            for at in range(len(words) - _PHRASE_WORDS + 1)
            if words[at] in often  # a phrase occurs no more often than its first word
        )
        phrase = max(phrases, key=phrases.__getitem__, default=())
        if phrases[phrase] > _MAX_PHRASE:
            return f'"{" ".join(phrase)}" occurs {phrases[phrase]} times'
    return None


def _ends(text: str) -> bool:
    """Returns whether the text ends in sentence punctuation or a symbol such as an emoji."""
    return bool(text) and (text[-1] in _ENDING or unicodedata.category(text[-1]) in ("So", "Mn", "Sk"))
