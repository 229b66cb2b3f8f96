"""The interface of a kind of trigger: when an occurrence is due, whether it still holds then, and whether it still does once
the text is ready.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from schemas.base import AbortType, SourceEvent
from workers.core.common.ids import key_digest
from workers.core.playbook.campaigns import Campaign, Trigger
from workers.core.profile.model import MAX_TEXT, CartLine, OpenRequest, Profile

#: Why something must not be said, as the ledger calls it and in words.
Objection = tuple[AbortType, str]


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """One reason to speak to a customer, about one product. `occurrence_id` is the same however often it is derived.

    `key` is what the trigger is keyed by: a cart, product, visit or order id. `objection`: it has come about, but there is
    nothing to say.
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
    """One kind of trigger. `trigger` is always the struct of this kind. Pure: each answer is read off the profile."""

    def due_at(self, profile: Profile, trigger: Trigger, key: str) -> float | None:
        """When the occurrence under `key` is due [s]; None = there is none."""
        ...

    def occurrence_id(self, profile: Profile, key: str) -> str:
        """The id of the occurrence under a key of `keys`."""
        ...

    def keys(self, profile: Profile) -> list[str]:
        """Every key under which the profile knows something."""
        ...

    def occurrence(self, profile: Profile, campaign: Campaign, key: str, due_at_s: float) -> Occurrence | None:
        """The occurrence with all its conditions checked; None = they do not hold."""
        ...

    def objection(self, profile: Profile, opened: OpenRequest) -> Objection | None:
        """Why a message that was asked for must not leave any more; None = it may."""
        ...


def occurrence_id(key: str, opened_at_s: float) -> str:
    """What is opened again under the same key is another occurrence.

    >>> occurrence_id("cart-1", 1.5)
    'cart-1@1500'

    A key so long that no identifier would hold both stands in it as its digest.
    """
    instant_ms = round(opened_at_s * 1000)
    named = f"{key}@{instant_ms}"
    return named if len(named) <= MAX_TEXT else f"{key_digest(key)}@{instant_ms}"
