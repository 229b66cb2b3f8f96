"""The structure of a rule pack: words that a law or an advertising code keeps out of copy, each with reason and source."""

from __future__ import annotations

import msgspec

#: Words of Latin script match whole, also beside Chinese characters.
_WHOLE = r"(?<![a-z0-9])(?:{})(?![a-z0-9])"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Words that a text may not hold.

    `patterns`: language → regular expression over normalised, case-folded text (guardrails.subject). The language says
    whose words they are; they hold in texts of every language. `unless_stated`: allowed where the product's facts, which
    the shop itself wrote, hold the words that were found. `reason` is for a marketer, `source` names law and article.
    """

    id: str
    patterns: dict[str, str]
    reason: str
    source: str
    unless_stated: bool = False

    @property
    def pattern(self) -> str:
        """All languages in one expression."""
        return "|".join(
            f"(?:{words})" if language == "zh" else _WHOLE.format(words) for language, words in self.patterns.items()
        )


class PriceRule(msgspec.Struct, frozen=True, kw_only=True):
    """How a text may speak of a lower price: with the true amounts (guardrails.prices), and with `states_prior` only
    beside the price that it is compared with.
    """

    reason: str
    source: str
    states_prior: bool
    id: str = "price_reduction"


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one law or code. Without `prices` the pack does not speak of prices."""

    id: str
    title: str
    rules: tuple[Rule, ...] = ()
    prices: PriceRule | None = None
