"""The trained models that guardrails ask."""

from __future__ import annotations

import msgspec

from workers.core.guardrails.checks.language import Language
from workers.core.guardrails.grounding.claim_judge import ClaimJudge


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """`language` None = the script alone decides the language. `claims` None = unknown words make a text doubtful."""

    language: Language | None = None
    claims: ClaimJudge | None = None


NO_MODELS = Models()
