"""Loads the models that the guardrails ask."""

from __future__ import annotations

import logging
from pathlib import Path

from workers.adapters.claims.checker import SHIPPED, ClaimChecker
from workers.adapters.llm.language_detector import detector
from workers.core.errors import Misconfigured
from workers.core.guardrails.models import Models
from workers.core.playbook.playbook import Playbook

log = logging.getLogger(__name__)


def load_models(playbook: Playbook, folder: Path = SHIPPED) -> Models:
    """Returns the language detector, and the claim checker if the playbook wants it (policy.claims.checker); without a usable one
    in `folder` the log says what is missing.
    """
    if not playbook.policy.claims.checker:
        return Models(language=detector(playbook.languages))
    try:
        checker = ClaimChecker(folder)
    except Misconfigured as error:
        log.warning("sentences are not checked against the facts, unknown words are: %s", error)
        return Models(language=detector(playbook.languages))
    log.info("sentences are checked against the facts by claim checker %s", checker.version)
    return Models(language=detector(playbook.languages), claims=checker)
