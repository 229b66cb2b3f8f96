"""What the guardrails need of a trained claim checker: for each sentence, how likely it states something that no fact says."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, Protocol

import msgspec

Stated = Literal["none", "supported", "unsupported", "contradicted"]


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """Of one sentence. `false`: the probability that a claim of it is unsupported or contradicted; `states`: the likeliest.

    `fact`: the fact that it was held against, "" if none fits; of `none` and `unsupported` it is merely the nearest.
    """

    sentence: str
    false: float
    states: Stated
    fact: str = ""


class ClaimJudge(Protocol):
    """Judges all sentences of a text together, for what one says may depend on the one before."""

    def judge(self, facts: Sequence[str], sentences: Sequence[str]) -> list[Judgement]:
        """Returns one judgement a sentence. `facts` begin with the product's name and category.

        A sentence behind the longest input that the judge takes is not judged: the list is then shorter.
        """
        ...

    def calibrated(self, false: float, hints: Collection[str]) -> float:
        """Returns the probability that a sentence is false, given what the judge says (`Judgement.false`) and which of HINTS
        hold for it.
        """
        ...


#: What is evidence beside a judge, rather than a veto, because people say true things in many ways: an amount or an exaggeration
#: that the facts do not state, a word that is neither in the facts nor neutral; and that the product has no facts.
HINTS = ("numbers", "overstated", "words", "no_facts")
