"""Decodes the value of a record; one that cannot be read is an InvalidEvent."""

from __future__ import annotations

from typing import TypeVar

from schemas import codec
from schemas.messages import Decision, Outcome
from workers.core.errors import InvalidEvent
from workers.core.stream.records import Record

S = TypeVar("S", Decision, Outcome)


def read(struct: type[S], record: Record) -> S:
    """One record about a message. Raises InvalidEvent if it is malformed or its key is not its customer."""
    try:
        value = codec.decode(struct, record.value)
    except codec.Malformed as error:
        raise InvalidEvent(error.reason, error.detail) from error
    if record.key != value.user_id.encode():
        raise InvalidEvent("key_mismatch", "the record's key is not the customer of its value")
    return value
