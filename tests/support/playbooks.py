"""Provides playbooks, requests and copies of playbook folders for tests of text generation."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec

from schemas.messages import MessageRequest, ProductFacts
from workers.adapters.claims.models import load_models
from workers.adapters.llm.language_detector import detector
from workers.adapters.playbook.check_cache import Stamps
from workers.adapters.playbook.loader import load
from workers.core.catalogue.product_facts import facts_of
from workers.core.guardrails.models import Models
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import ClaimRules

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
def models() -> Models:
    """Returns the language detector without the claim checker, built once: the guardrails then work by rules alone."""
    return Models(language=detector(("zh", "en")))


@cache
def all_models() -> Models:
    """Returns all models of the guardrails as workers load them, the claim checker among them."""
    return load_models(with_checker())


def with_checker() -> Playbook:
    """Returns the smart-devices playbook with the claim checker switched on."""
    policy = msgspec.structs.replace(playbook().policy, claims=ClaimRules(checker=True))
    return msgspec.structs.replace(playbook(), policy=policy)


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
