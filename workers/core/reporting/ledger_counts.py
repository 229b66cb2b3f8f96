"""Counts decisions and outcomes directly from the ledger, for `attune stats` when `learn` has not run."""

from __future__ import annotations

from collections import Counter

import msgspec

from schemas.messages import Decision, Outcome
from workers.core.reporting.standings import By

_FIELDS: dict[By, tuple[str, ...]] = {
    "campaign": ("campaign_id",),
    "arm": ("campaign_id", "variation_id"),
    "group": ("target_group",),
    "channel": ("channel",),
}


class Decided(msgspec.Struct, kw_only=True):
    """Counts for one key: decisions and outcomes, each by reason."""

    key: tuple[str, ...]
    decisions: Counter[str] = msgspec.field(default_factory=Counter)
    outcomes: Counter[str] = msgspec.field(default_factory=Counter)


class Ledger:
    """Takes decisions and outcomes in any order; duplicates are ignored."""

    def __init__(self, by: By, campaign: str | None = None) -> None:
        self._by = by
        self._campaign = campaign
        self._rows: dict[tuple[str, ...], Decided] = {}
        self._seen: set[tuple[str, str]] = set()

    def add(self, record: Decision | Outcome) -> None:
        """Counts one record."""
        identity = (type(record).__name__, record.decision_id)
        if self._campaign not in (None, record.campaign_id) or identity in self._seen:
            return
        self._seen.add(identity)
        key = tuple(getattr(record, name) or "" for name in _FIELDS[self._by])
        row = self._rows.setdefault(key, Decided(key=key))
        (row.decisions if isinstance(record, Decision) else row.outcomes)[record.reason] += 1

    def rows(self) -> list[Decided]:
        """Returns one row per key, sorted by key."""
        return [row for _, row in sorted(self._rows.items())]
