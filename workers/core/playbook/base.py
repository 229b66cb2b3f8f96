"""Base of the playbook's structs."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Id = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
PositiveSeconds = Annotated[float, Meta(gt=0)]
#: Per language.
Texts = dict[str, str]


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A field that nobody knows is a typing error of the marketer, and said so."""
