"""What every struct on the wire has in common."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

#: The newest version of the contract that this code writes; it reads this one and all before it.
SCHEMA_VERSION = 1
#: What a record without a `schema_version` is. It never changes: a writer of a later version sets the field.
FIRST_VERSION = 1


def always(default: Any) -> Any:
    """A field with a default that is written even when it has it: `omit_defaults` leaves out what equals a plain one.

    For what readers branch on who know a record from its bytes alone: in Java a field that is missing is null or 0.
    """
    return msgspec.field(default_factory=lambda: default)


#: An instant, UTC-aware, RFC 3339 on the wire.
Instant = Annotated[datetime, Meta(tz=True)]
#: Lower-case ISO-4217 is refused: the code is three capital letters.
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Identifier = Annotated[str, Meta(min_length=1, max_length=256)]
#: Who did it; "" is nobody.
PersonId = Annotated[str, Meta(max_length=256)]

TraitValue = str | int | float | bool | None | list[str]

Category = Literal["marketing", "transactional"]
GeneratedBy = Literal["llm", "pool", "template"]

#: Why something was not sent. Closed: it labels metrics and is documented for marketers.
AbortType = Literal[
    "consent",
    "frequency_capped",
    "quiet_hours",
    "holdout",
    "missing_identifier",
    "missing_timezone",
    "guardrail",
    "stale",
    "duplicate",
    "no_action_chosen",
    "expired",
    "converted",
    "paused",
    "shadow",
    "not_in_rollout",
    "rejected",
]


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of every record value. Unknown fields are ignored, new fields must have defaults (docs/evolution.md)."""


class SourceEvent(msgspec.Struct, frozen=True):
    """Where an input record lies."""

    topic: str
    partition: int
    offset: int
