"""Provides playbooks, requests and copies of playbook folders for tests of text generation."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from schemas.messages import MessageRequest, ProductFacts
from workers.adapters.llm.language_detector import detector
from workers.adapters.playbook.check_cache import Stamps
from workers.adapters.playbook.loader import load
from workers.core.catalogue.product_facts import facts_of
from workers.core.guardrails.checks.language import Language
from workers.core.playbook.playbook import Playbook

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = ROOT / "playbooks"
SMART_DEVICES, REES46 = PLAYBOOKS / "smart-devices", PLAYBOOKS / "rees46"
#: The cache that records that the shipped playbooks have been checked by this version of the code.
CHECKED = ROOT / ".cache" / "checked"
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
CAMPAIGN = "cart-abandonment"


@cache
def playbook(folder: Path = SMART_DEVICES) -> Playbook:
    """Returns a shipped playbook, loaded once, and checked once for all processes."""
    return load(folder, Stamps(CHECKED))


@cache
def language() -> Language:
    """Returns the real language detector, built once."""
    return detector(("zh", "en"))


def copy_of(folder: Path, to: Path) -> Path:
    """Copies a playbook folder for a test that changes it; returns the copy."""
    shutil.copytree(folder, to)
    return to


def facts(product_id: str, language: str, folder: Path = SMART_DEVICES) -> ProductFacts:
    """Returns the facts that copy may state about a product of a shipped playbook."""
    return facts_of(playbook(folder).products[product_id], language)


def request(
    product: ProductFacts | str = "smart-band",
    *,
    language: str = "en",
    channel: str = "push",
    group: str = "sports",
    message_id: str = "m-1",
    context: dict[str, str] | None = None,
    prompt: str = CAMPAIGN,
    tone: str | None = None,
    template: str = "",
) -> MessageRequest:
    """Returns a request like those of `personalise`."""
    return MessageRequest(
        message_id=message_id,
        decision_id="d-1",
        user_id="ana",
        customer_ref="c0ffee",
        campaign_id=CAMPAIGN,
        channel=channel,
        language=language,
        locale=language,
        target_group=group,
        prompt=prompt,
        tone=tone,
        template=template,
        prompt_version="p-1",
        product=facts(product, language) if isinstance(product, str) else product,
        context=context or {},
        requested_at=NOW,
        deadline_at=NOW,
    )
