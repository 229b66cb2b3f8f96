"""The reasons for rejecting a foreign record: a closed set, because it labels a metric and is documented for shops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from workers.core.errors import InvalidEvent

Reason = Literal[
    "null_value",  # the record has no value
    "broken_json",  # not JSON, cut off, or nested too deeply
    "broken_encoding",  # not UTF-8
    "wrong_type",  # a field or a column count does not match its format
    "unknown_format",  # not a format that intake knows
    "unknown_schema_version",  # written for a newer reader
    "missing_field",  # a field is missing without which the event means nothing
    "no_identity",  # neither userId nor anonymousId, or only a placeholder such as "undefined"
    "bad_identity",  # an id of more than 256 characters
    "bad_timestamp",  # unreadable, before the year 2000, or more than a day after it was received
    "too_large",  # one event of more than 256 KB, or a record of more events than it may become
]

REASONS: frozenset[str] = frozenset(get_args(Reason))


def reject(reason: Reason, detail: str) -> InvalidEvent:
    """Returns the error to raise. `detail` names the place, never a value: values may be personal data."""
    return InvalidEvent(reason, detail)


def within(error: InvalidEvent, place: str) -> InvalidEvent:
    """Returns the same error with its place in a batch.

    >>> str(within(reject("missing_field", "event"), "event 3"))
    'missing_field: event 3: event'
    """
    return InvalidEvent(error.reason, f"{place}: {error.detail}" if error.detail else place)


def together(told: Sequence[InvalidEvent], total: int) -> InvalidEvent:
    """Returns one error for a record with `total` bad parts, of which the first are listed; its reason is that of the first.

    >>> str(together([reject("missing_field", "event 3: event"), reject("no_identity", "event 4")], 9))
    'missing_field: event 3: event; no_identity: event 4; 7 more'
    """
    first, *others = told
    details = [first.detail, *map(str, others)]
    if total > len(told):
        details.append(f"{total - len(told)} more")
    return InvalidEvent(first.reason, "; ".join(filter(None, details)))
