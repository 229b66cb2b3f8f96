"""Decodes the value of a record; one that cannot be read is an InvalidEvent."""

from __future__ import annotations

from typing import TypeVar

from schemas import codec
from schemas.messages import Candidate, Decision, Feedback, Outcome, ReviewVerdict
from workers.core.errors import InvalidEvent
from workers.core.stream.records import Record

T = TypeVar("T", Candidate, Decision, Feedback, Outcome, ReviewVerdict)


def decode(struct: type[T], record: Record) -> T:
    """Returns the record's value. Raises InvalidEvent if it is malformed."""
    try:
        return codec.decode(struct, record.value)
    except codec.Malformed as error:
        raise InvalidEvent(error.reason, error.detail) from error


def read(struct: type[T], record: Record) -> T:
    """Returns the value of a record about one customer. Raises InvalidEvent if it is malformed or has another key."""
    value = decode(struct, record)
    if record.key != value.user_id.encode():
        raise InvalidEvent("key_mismatch", "the record's key is not the customer of its value")
    return value
