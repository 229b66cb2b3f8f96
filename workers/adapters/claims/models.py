"""Loads the models that the guardrails ask."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from workers.adapters.llm.language_detector import detector
from workers.core.errors import Misconfigured
from workers.core.guardrails.models import Models
from workers.core.playbook.playbook import Playbook

if TYPE_CHECKING:
    from workers.adapters.claims.checker import ClaimChecker

log = logging.getLogger(__name__)


def load_models(playbook: Playbook, folder: Path | None = None) -> Models:
    """Returns the language detector, and the claim checker if the playbook wants it (policy.claims.checker).

    `folder` None = the shipped checker. If it cannot be used, the log says why, and words are checked instead.
    """
    claims = _checker(folder) if playbook.policy.claims.checker else None
    return Models(language=detector(playbook.languages), claims=claims)


def _checker(folder: Path | None) -> ClaimChecker | None:
    from workers.adapters.claims.checker import SHIPPED, ClaimChecker  # noqa: PLC0415 - half a second, if it is wanted

    try:
        checker = ClaimChecker(folder or SHIPPED)
    except Misconfigured as error:
        log.warning("sentences are not checked against the facts, unknown words are: %s", error)
        return None
    log.info("sentences are checked against the facts by claim checker %s", checker.card.version)
    return checker
