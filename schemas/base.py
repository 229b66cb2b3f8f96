"""Defines the types that all structs on the wire share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

#: The version of the contract that this code writes; it reads this version and all earlier ones.
SCHEMA_VERSION = 1
#: The version of a record without `schema_version`. It never changes: writers of later versions set the field.
FIRST_VERSION = 1


def always(default: Any) -> Any:
    """Returns a field that is written even if it has its default value, in spite of `omit_defaults`.

    For fields on which readers in other languages branch: in Java, a missing field is null or 0.
    """
    return msgspec.field(default_factory=lambda: default)


#: An instant, UTC-aware, RFC 3339 on the wire.
Instant = Annotated[datetime, Meta(tz=True)]
#: An ISO 4217 code in capital letters; lower case is rejected.
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Identifier = Annotated[str, Meta(min_length=1, max_length=256)]
#: The ID of a person; "" = none.
PersonId = Annotated[str, Meta(max_length=256)]

TraitValue = str | int | float | bool | None | list[str]

Category = Literal["marketing", "transactional"]
GeneratedBy = Literal["llm", "pool", "template"]

#: The reasons for not sending a message. A closed set: they label metrics and are documented for marketers.
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
    """The position of an input record."""

    topic: str
    partition: int
    offset: int
