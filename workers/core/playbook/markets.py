"""Finds a customer's market, whose law a text must comply with, from the region of the locale."""

from __future__ import annotations

import re
from functools import lru_cache

from workers.core.playbook.policy import Market, Policy

_REGION = re.compile(r"[A-Z]{2}|[0-9]{3}")


@lru_cache(maxsize=1024)
def region(locale: str) -> str:
    """Returns the region of a BCP 47 locale (or a POSIX one); "" if it has none.

    >>> region("zh-Hans-CN"), region("en_gb.UTF-8"), region("es-419"), region("en"), region("en-x-cn")
    ('CN', 'GB', '419', '', '')
    """
    for part in re.split(r"[-_]", re.split(r"[.@]", locale, maxsplit=1)[0])[1:]:
        if len(part) == 1:  # extensions and private use follow
            break
        if _REGION.fullmatch(part.upper()):
            return part.upper()
    return ""


def market_of(policy: Policy, language: str, locale: str) -> Market | None:
    """Returns the market with the locale's region, else the language's default; None = the playbook has no markets."""
    if not policy.markets:
        return None
    place = region(locale)
    if place:
        for market in policy.markets:
            if place in market.regions:
                return market
    default = policy.default_market.get(language)
    return next((market for market in policy.markets if market.id == default), policy.markets[0])


def ai_label(policy: Policy, language: str, locale: str) -> str:
    """Returns the label of a text that a model wrote: the market's in this language, else the policy's, else ""."""
    market = market_of(policy, language, locale)
    own = market.ai_label.get(language, "") if market is not None else ""
    return own or policy.ai_label.get(language, "")
