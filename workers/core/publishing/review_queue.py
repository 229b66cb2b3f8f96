"""Builds the reviewers' queue from the records of message.reviews and message.verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from schemas.messages import Review, ReviewVerdict

REVIEWS, VERDICTS = "message.reviews", "message.verdicts"


class Reviewed(msgspec.Struct):
    """One text under review and its verdicts, in the order in which they were given."""

    review: Review
    verdicts: list[ReviewVerdict] = []

    @property
    def verdict(self) -> ReviewVerdict | None:
        """The first verdict that decides; later ones change nothing, and a rating is not a verdict."""
        return next((verdict for verdict in self.verdicts if verdict.verdict != "rate"), None)

    def is_open(self, now: datetime) -> bool:
        """Returns whether a verdict would still count."""
        return self.verdict is None and now < self.review.timeout_at


def queue(records: Iterable[object]) -> dict[str, Reviewed]:
    """Returns message_id → its review, the earliest timeout first; verdicts on texts without a review are dropped.

    Ignores records of other types and duplicates.
    """
    records = list(records)
    reviews = {record.message_id: Reviewed(record) for record in records if isinstance(record, Review)}
    seen: set[str] = set()
    for record in records:
        if isinstance(record, ReviewVerdict) and record.message_id in reviews and record.verdict_id not in seen:
            seen.add(record.verdict_id)
            reviews[record.message_id].verdicts.append(record)
    for reviewed in reviews.values():
        reviewed.verdicts.sort(key=lambda verdict: verdict.decided_at)
    return dict(sorted(reviews.items(), key=lambda item: (item[1].review.timeout_at, item[0])))


class Trust(msgspec.Struct, frozen=True):
    """Review results for one version of a prompt: counts of first verdicts, and the mean rating (None = no rating)."""

    approved: int = 0
    edited: int = 0
    rejected: int = 0
    rating: float | None = None


def trust(reviewed: Iterable[Reviewed]) -> Trust:
    """Summarises verdicts and ratings."""
    texts = list(reviewed)
    kinds = [one.verdict.verdict for one in texts if one.verdict is not None]
    ratings = [verdict.rating for one in texts for verdict in one.verdicts if verdict.rating is not None]
    return Trust(
        approved=kinds.count("approve"),
        edited=kinds.count("edit"),
        rejected=kinds.count("reject"),
        rating=sum(ratings) / len(ratings) if ratings else None,
    )
