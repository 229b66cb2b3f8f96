"""Who does what in an English clause: a product and a shop may do only what the lexicon of deeds or the facts say."""

from __future__ import annotations

import re
from collections.abc import Callable

#: Whom a clause may speak of as doing something, beside the last word of the product's name.
_PRONOUNS = frozenset({"it", "they", "we"})
#: Words after which a pronoun is a subject, not an object.
_CONJUNCTIONS = frozenset("and but so while when because that if then where how what as or before after until since though once why".split())
_ADVERBS = frozenset(
    "also always even then simply just quietly gently still now really too soon instantly never often sometimes probably already"
    " usually both all only ever actually automatically maybe perhaps".split()
)
_MODALS = frozenset("can could will would may might shall should must do does did won't can't doesn't don't wouldn't couldn't 'll".split())
_PREPOSITIONS = frozenset({"of", "for", "with", "to", "in", "on", "from", "about"})
#: The third person of a verb (or a plural noun).
_THIRD = re.compile(r"(?!this|its|perhaps|thanks|always|hours|days|whereas)[a-z]{2,}[^s']s")
#: What follows a verb that has lost its subject: Keeps your ..., Puts you ...
_OBJECTS = frozenset(
    "your you the a an its it them their this these no any every all each both what how when which where who more less most two my our us up"
    " off to".split()
)
_NO_VERBS = frozenset(
    "in on at for from by with without of to into onto over under up down out off back through between among around about near and or but nor"
    " so than like as if when while where who which that this these there here again together too you your the a an for today tonight tomorrow"
    " next first once more one ones if yet please not all both how what why until before after during along away is".split()
)


def foreign_deed(tokens: list[str], names: frozenset[str], allowed: Callable[[str], bool]) -> str | None:
    """The verb of a clause that its product (`names`: what it is called) or the shop may not do.

    `allowed` says whether a form of a verb is a deed of the product.

    >>> foreign_deed("it wakes you gently".split(), frozenset({"band"}), lambda verb: verb == "sits")
    'wakes'
    """
    for at, token in enumerate(tokens):
        pronoun, _, rest = token.partition("'")
        if pronoun in _PRONOUNS:
            if rest not in ("", "ll", "d") or (at and tokens[at - 1] not in _CONJUNCTIONS):
                continue
        elif token not in names or at > 3 or (at and tokens[at - 1] in _PREPOSITIONS):
            continue
        verb = _verb(tokens, at + 1, sure=pronoun in _PRONOUNS)
        if verb is not None and not allowed(verb):
            return verb
    first = next((at for at, token in enumerate(tokens) if token not in _ADVERBS and token not in ("and", "but", "or")), None)
    if first is None or first + 1 >= len(tokens):
        return None
    verb = tokens[first]
    lonely = _THIRD.fullmatch(verb) and verb not in _NO_VERBS and tokens[first + 1] in _OBJECTS
    return verb if lonely and not allowed(verb) else None


def _verb(tokens: list[str], at: int, *, sure: bool) -> str | None:
    """The verb of a subject that ends before `at`: behind adverbs and modals. None = no verb follows.

    `sure`: a verb must follow (it, they); else it must look like one or have a modal before it.
    """
    while at < len(tokens) and (tokens[at] in _ADVERBS or tokens[at] in _MODALS):
        sure = sure or tokens[at] in _MODALS
        at += 1
    if not sure and at < len(tokens) and not _THIRD.fullmatch(tokens[at]):
        return None
    if at >= len(tokens) or tokens[at] in _NO_VERBS or "'" in tokens[at]:
        return None
    return tokens[at]
