"""Defines the interface of a kind of trigger: its occurrences, when they are due, and whether they still hold.

Occurrences are checked twice: when they are due, and again when the text is ready.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from schemas.base import AbortType, SourceEvent
from workers.core.common.ids import key_digest
from workers.core.playbook.campaigns import Campaign, Trigger
from workers.core.profile.model import MAX_TEXT, CartLine, OpenRequest, Profile

#: The reason why a message must not be sent: the ledger's reason, and a description.
Objection = tuple[AbortType, str]


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """One reason to message a customer about one product. `occurrence_id` is the same however often it is derived.

    `key` is what the trigger is keyed by: a cart, product, visit or order id. `objection`: the occurrence is due, but a message
    would make no sense.
    """

    campaign: Campaign
    key: str
    occurrence_id: str
    due_at_s: float
    line: CartLine
    currency: str | None
    source: SourceEvent | None
    objection: Objection | None = None


class Kind(Protocol):
    """One kind of trigger. `trigger` is always the struct of this kind. Pure: every result is computed from the profile."""

    def due_at(self, profile: Profile, trigger: Trigger, key: str) -> float | None:
        """Returns when the occurrence under `key` is due [s]; None = there is none."""
        ...

    def occurrence_id(self, profile: Profile, key: str) -> str:
        """Returns the id of the occurrence under a key of `keys`."""
        ...

    def keys(self, profile: Profile) -> list[str]:
        """Returns every key for which the profile has data."""
        ...

    def occurrence(self, profile: Profile, campaign: Campaign, key: str, due_at_s: float) -> Occurrence | None:
        """Returns the occurrence after checking all its conditions; None = they do not hold."""
        ...

    def objection(self, profile: Profile, opened: OpenRequest) -> Objection | None:
        """Returns why a requested message must no longer be published; None = it may."""
        ...


def occurrence_id(key: str, opened_at_s: float) -> str:
    """Returns the id of an occurrence: reopening under the same key makes a different occurrence.

    >>> occurrence_id("cart-1", 1.5)
    'cart-1@1500'

    A key too long for an identifier is replaced by its digest.
    """
    instant_ms = round(opened_at_s * 1000)
    named = f"{key}@{instant_ms}"
    return named if len(named) <= MAX_TEXT else f"{key_digest(key)}@{instant_ms}"
