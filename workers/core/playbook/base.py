"""The base struct of the playbook and its multilingual texts."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Id = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
PositiveSeconds = Annotated[float, Meta(gt=0)]
#: Language → text.
Texts = dict[str, str]


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rejects unknown fields, so that a marketer's typing error is reported."""
