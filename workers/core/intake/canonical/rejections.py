"""Defines the reasons for rejecting an external record: a closed set that labels a metric and is documented for shops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from workers.core.errors import InvalidEvent

Reason = Literal[
    "null_value",  # the record has no value
    "broken_json",  # not JSON, truncated, or nested too deeply
    "broken_encoding",  # not valid UTF-8
    "wrong_type",  # a field or the number of columns does not match the format
    "unknown_format",  # not a format that intake supports
    "unknown_schema_version",  # written for a newer reader
    "missing_field",  # a required field is missing
    "no_identity",  # neither userId nor anonymousId, or only a placeholder such as "undefined"
    "bad_identity",  # an ID of more than 256 characters
    "bad_timestamp",  # unreadable, before the year 2000, or more than a day after it was received
    "too_large",  # one event of more than 256 KB, or a record with too many events
]

REASONS: frozenset[str] = frozenset(get_args(Reason))


def reject(reason: Reason, detail: str) -> InvalidEvent:
    """Returns the error to raise. `detail` names the place and never a value: values may be personal data."""
    return InvalidEvent(reason, detail)


def with_place(error: InvalidEvent, place: str) -> InvalidEvent:
    """Returns the same error with its place in a batch.

    >>> str(with_place(reject("missing_field", "event"), "event 3"))
    'missing_field: event 3: event'
    """
    return InvalidEvent(error.reason, f"{place}: {error.detail}" if error.detail else place)


def combine(errors: Sequence[InvalidEvent], total: int) -> InvalidEvent:
    """Returns one error for a record with `total` rejected parts: it lists the first `errors`, and its reason is the first one's.

    >>> str(combine([reject("missing_field", "event 3: event"), reject("no_identity", "event 4")], 9))
    'missing_field: event 3: event; no_identity: event 4; 7 more'
    """
    first, *others = errors
    details = [first.detail, *map(str, others)]
    if total > len(errors):
        details.append(f"{total - len(errors)} more")
    return InvalidEvent(first.reason, "; ".join(filter(None, details)))
