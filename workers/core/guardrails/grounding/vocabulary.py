"""Checks every word of a text: it must be the product's own, a synonym for a fact, or neutral.

It complements the lists of concepts: forbidden claims cannot all be listed, but the words of honest copy can. A word in neither
list is an unstated claim, with one exception, because no lexicon is complete: one word per line that is in no list at all and
is used like a plain noun is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import zip_longest

from workers.core.guardrails.grounding.amounts import spans
from workers.core.guardrails.grounding.lexicon import Lexicon, grammar, lexicon
from workers.core.guardrails.grounding.predicates import unsupported_action
from workers.core.guardrails.grounding.prices import OF_PRICES
from workers.core.guardrails.grounding.subject import Subject
from workers.core.guardrails.grounding.words import Words, fact_words, forms, latin, neutral_words, own_words
from workers.core.guardrails.matching.pattern_table import blanked

_HAN = re.compile(r"[\u3400-\u9fff]+")
#: Phrases do not extend across these; hyphens may occur inside them.
_BREAK = re.compile(r"[^\w\s'-]")
_LONGEST_HAN = 10
#: Will, can, may before a deed; not as part of another word.
_MODAL = re.compile(
    r"(?:(?<![智功才性机技潜效动热可只怎万体])能(?![量力够耗源])|(?<![体机约聚开社学晨例早年周午宴茶晚大都班酒舞])会(?![议儿前后客面场员友所谈])"
    r"|可以|能够)(?P<deed>[\u3400-\u9fff]{1,4})"
)
_PREDICATE_BEGINS = re.compile(
    r"(?:会|能|可|可以|帮你|替你|让你|为你|帮您|替您|让您|为您|帮|让|还|也|支持|助你|不用|无需|不怕|不)$"
)
_LONGEST_BEGINNING = 2


def unstated(subject: Subject) -> str | None:
    """Returns the first words that are neither stated nor neutral; None = there are none, or the text cannot be checked: the
    product has no facts, or the package has no lexicon for the language.
    """
    return next(filter(None, unstated_lines(subject, subject.text.split("\n"))), None)


def unstated_lines(subject: Subject, lines: Iterable[str]) -> list[str | None]:
    """Returns the same for each of some normalised, case-folded lines of the text."""
    language = subject.about.language
    known = lexicon(language)
    if not known.neutral or not subject.facts.strip():
        return [None for _ in lines]
    words = (own_words(subject), neutral_words(language))
    return [_first_unknown(line, words, subject, known) for line in lines]


def _first_unknown(line: str, words: tuple[Words, Words], subject: Subject, known: Lexicon) -> str | None:
    if subject.reduction is not None:  # `market` checks the wording of a lower price
        line = OF_PRICES.sub(lambda found: " " * len(found.group()), line)
    line = blanked(line, spans(line))  # `numbers` checks amounts
    doubtful = ""
    for found, tolerable in _unknown(line, words, subject, known):
        if doubtful or not tolerable:
            return found
        doubtful = found
    return None


def _unknown(line: str, words: tuple[Words, Words], subject: Subject, known: Lexicon) -> Iterator[tuple[str, bool]]:
    """Yields (words, whether a line may have one of these) for everything that is neither the product's nor neutral."""
    own, language = words[0], subject.about.language
    facts = fact_words(language, subject.grounds)
    names = frozenset(latin(subject.about.product.name.casefold())[-1:])
    for clause in _BREAK.split(line):
        tokens = latin(clause)
        if language == "en" and (
            action := unsupported_action(
                tokens,
                names,
                lambda verb: (
                    verb in known.deeds or own.covers(verb) or any(form in known.deeds for form in forms(verb))
                ),
                facts.covers,
            )
        ):
            yield action, False
        for at in _uncovered_words(tokens, words, known.never.intersection(tokens) - own.single):
            yield tokens[at], _tolerable_word(tokens, at, language)
    if not _HAN.search(line):
        return
    for claimed in _claiming_han(known.claiming).findall(line):
        if claimed not in subject.grounds and claimed not in own.single:
            yield claimed, False
    for modal in _MODAL.finditer(line):
        deed = modal["deed"]
        starts = [deed[:end] for end in range(1, len(deed) + 1)]
        if deed[:2] not in subject.grounds and not any(start in known.deeds or start in own.single for start in starts):
            yield modal.group(), False
    for run in _HAN.finditer(line):
        for start, end in _uncovered_runs(run.group(), words, subject.grounds):
            yield run.group()[start:end], _tolerable_run(run.group(), start, end, known)


@lru_cache(maxsize=8)
def _claiming_han(claiming: frozenset[str]) -> re.Pattern[str]:
    """Returns a pattern for the claiming Chinese words of more than one character, which match anywhere."""
    return re.compile("|".join(sorted(word for word in claiming if len(word) > 1 and _HAN.match(word))) or "(?!)")


def _uncovered_words(tokens: list[str], words: tuple[Words, Words], never: frozenset[str]) -> list[int]:
    """Returns the positions of the words not covered by any split of a clause into known words and phrases."""
    neutral = words[1].single
    if not never and all(token in neutral or words[1].covers(token) or words[0].covers(token) for token in tokens):
        return []
    reached = [True] + [False] * len(tokens)
    uncovered: list[int] = []
    furthest = 0
    for at, (token, following) in enumerate(zip_longest(tokens, tokens[1:], fillvalue="")):
        if not reached[at]:
            continue
        if token not in never and (words[0].covers(token) or words[1].covers(token)):
            reached[at + 1] = True
        for layer in words:
            for phrase in layer.phrases.get((token, following), ()):
                if tuple(tokens[at : at + len(phrase)]) == phrase:
                    reached[at + len(phrase)] = True
                    furthest = max(furthest, at + len(phrase))
        if not reached[at + 1] and furthest <= at:
            uncovered.append(at)
            reached[at + 1] = True
    return uncovered


def _uncovered_runs(run: str, words: tuple[Words, Words], grounds: str) -> list[tuple[int, int]]:
    """Returns (start, end) of the characters left over by the segmentation into known words that leaves the fewest. Two or more
    adjacent characters that also occur in the product's own data are a word.
    """
    size = len(run)
    cost, came_from = [0] + [size + 1] * size, [0] * (size + 1)
    for at in range(size):
        if cost[at] + 1 < cost[at + 1]:
            cost[at + 1], came_from[at + 1] = cost[at] + 1, -1
        for end in range(at + 1, min(at + _LONGEST_HAN, size) + 1):
            if cost[at] >= cost[end]:
                continue
            word = run[at:end]
            if any(word in layer.single for layer in words) or (end - at > 1 and word in grounds):
                cost[end], came_from[end] = cost[at], at
    uncovered: list[tuple[int, int]] = []
    at = size
    while cost[at]:
        if came_from[at] >= 0:
            at = came_from[at]
            continue
        at -= 1
        end = uncovered.pop()[1] if uncovered and uncovered[-1][0] == at + 1 else at + 1
        uncovered.append((at, end))
    return uncovered[::-1]


def _tolerable_word(tokens: list[str], at: int, language: str) -> bool:
    """Returns whether an unknown word may be a plain noun: it is in no list of claims, and is not used as a verb."""
    word, before = tokens[at], tokens[at - 1] if at else ""
    if not word.isalpha() or any(form in lexicon(language).claiming for form in forms(word)):
        return False
    if word.endswith(("est", "proof", "less")) or before in grammar(language).get("before verbs", ()):
        return False
    return before in grammar(language).get("before nouns", ()) or not (at == 0 or word.endswith(("s", "ed")))


def _tolerable_run(run: str, start: int, end: int, known: Lexicon) -> bool:
    """Does the same for Chinese: at most two characters, none of them claiming, and not after the start of a predicate."""
    if end - start > 2 or any(character in known.claiming for character in run[start:end]):
        return False
    return not _PREDICATE_BEGINS.search(run[max(0, start - _LONGEST_BEGINNING) : start]) and not (
        start == 0 and run[end : end + 1] in ("你", "您")
    )
