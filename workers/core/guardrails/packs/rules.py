"""The structure of a rule pack: words that a law or an advertising code forbids in copy, each with reason and source."""

from __future__ import annotations

import msgspec

#: Latin-script words match whole, even next to Chinese characters.
_WHOLE = r"(?<![a-z0-9])(?:{})(?![a-z0-9])"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Words that a text must not contain.

    `patterns`: language → regular expression over normalised, case-folded text (guardrails.grounding.subject). The
    language is that of the words; they apply to texts of every language. `unless_stated`: allowed if the product's facts,
    which the shop itself wrote, contain the matched words. `reason` is for a marketer, `source` names law and article.
    """

    id: str
    patterns: dict[str, str]
    reason: str
    source: str
    unless_stated: bool = False

    @property
    def pattern(self) -> str:
        """The patterns of all languages in one expression."""
        return "|".join(
            f"(?:{words})" if language == "zh" else _WHOLE.format(words) for language, words in self.patterns.items()
        )


class PriceRule(msgspec.Struct, frozen=True, kw_only=True):
    """The conditions for announcing a lower price: the amounts are true (guardrails.grounding.prices) and, with
    `states_prior`, the text states the price with which it is compared.
    """

    reason: str
    source: str
    states_prior: bool
    id: str = "price_reduction"


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one law or code. A pack without `prices` does not regulate prices."""

    id: str
    title: str
    rules: tuple[Rule, ...] = ()
    prices: PriceRule | None = None
