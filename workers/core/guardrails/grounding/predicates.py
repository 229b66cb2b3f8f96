"""Parses subject and verb of an English clause: a product or shop may do only what the lexicon of deeds or the facts state."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from workers.core.guardrails.grounding.lexicon import grammar

#: Verbs for what a device does to the things it monitors.
_WATCHING = re.compile(
    r"(?:show|tell|track|record|log|monitor|measure|note|count|register|read|document|analyse|follow|captur)(?:e?s|ed)?|knows?"
)
#: The third person of a verb (or a plural noun).
_THIRD = re.compile(r"(?!this|its|perhaps|thanks|always|hours|days|whereas)[a-z]{2,}[^s']s")


def unsupported_action(
    tokens: list[str], names: frozenset[str], allowed: Callable[[str], bool], stated: Callable[[str], bool]
) -> str | None:
    """Returns a verb that the clause's product (`names`: what it is called) or the shop may not do, or a monitoring verb with
    an object that is not a fact; None = there is neither.

    `allowed` returns whether a verb form is a deed of the product, `stated` whether a word is one of its facts.

    >>> unsupported_action("it wakes you gently".split(), frozenset({"band"}), lambda verb: verb == "sits", lambda word: False)
    'wakes'
    >>> unsupported_action("it tracks your spending".split(), frozenset(), lambda verb: True, lambda word: word == "sleep")
    'tracks spending'
    """
    kinds, pronouns = grammar("en"), _pronouns()
    for at, token in enumerate(tokens):
        pronoun = pronouns.get(token)
        if pronoun is not None:
            if at and tokens[at - 1] not in kinds["conjunctions"]:
                continue
        elif token not in names or at > 3 or (at and tokens[at - 1] in kinds["prepositions"]):
            continue
        verb = _verb(tokens, at + 1, sure=pronoun is not None)
        if verb is None or (pronoun == "we" and allowed(f"we {verb}")):
            continue
        if wrong := _wrong(tokens, verb, at + 1, allowed, stated):
            return wrong
    first = next(
        (at for at, token in enumerate(tokens) if token not in kinds["adverbs"] and token not in ("and", "but", "or")),
        None,
    )
    if first is None or first + 1 >= len(tokens):
        return None
    verb = tokens[first]
    without_subject = _THIRD.fullmatch(verb) and verb not in kinds["no verbs"] and tokens[first + 1] in kinds["objects"]
    return _wrong(tokens, verb, first, allowed, stated) if without_subject else None


@cache
def _pronouns() -> dict[str, str]:
    """Returns pronouns by the form in which they precede a verb: they, they'll, they'd → they."""
    return {f"{pronoun}{rest}": pronoun for pronoun in grammar("en")["pronouns"] for rest in ("", "'ll", "'d")}


def _wrong(
    tokens: list[str], verb: str, start: int, allowed: Callable[[str], bool], stated: Callable[[str], bool]
) -> str | None:
    if not allowed(verb):
        return verb
    kinds = grammar("en")
    rest = tokens[tokens.index(verb, start) + 1 :]
    objects = [token for token in rest if token not in kinds["fillers"]][:3]
    if objects and rest[0] not in ("it", "them") and _WATCHING.fullmatch(verb) and not any(map(stated, objects)):
        return " ".join((verb, *objects[:2]))
    return None


def _verb(tokens: list[str], at: int, *, sure: bool) -> str | None:
    """Returns the verb after a subject that ends before `at`, skipping adverbs and modals. None = no verb follows.

    `sure`: a verb must follow (it, they); otherwise it must look like one or have a modal before it.
    """
    kinds = grammar("en")
    while at < len(tokens) and (tokens[at] in kinds["adverbs"] or tokens[at] in kinds["modals"]):
        sure = sure or tokens[at] in kinds["modals"]
        at += 1
    if not sure and at < len(tokens) and not _THIRD.fullmatch(tokens[at]):
        return None
    if at >= len(tokens) or tokens[at] in kinds["no verbs"] or "'" in tokens[at]:
        return None
    return tokens[at]
