"""Measures claim grounding on a file of labelled claims: false claims that pass, and true claims that are rejected."""

from __future__ import annotations

from pathlib import Path

import msgspec

from schemas.messages import MessageText
from tests.support.playbooks import playbook, request
from workers.core.guardrails.check import GROUNDING, check


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One claim about a product of playbooks/smart-devices. `grounded` = its facts support the claim; `kind` is for people."""

    id: str
    product: str
    language: str
    text: str
    grounded: bool
    kind: str = ""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The result. `recall`: the share of false claims that are rejected; `false_rejects`: the share of true claims that are.

    `missed` and `wronged` list the respective claims, with the reason of a rejection.
    """

    claims: int
    recall: float
    false_rejects: float
    missed: list[str]
    wronged: list[str]


def load(path: Path) -> list[Claim]:
    """Returns the claims of a YAML file: a list of maps with the fields of Claim.

    Raises msgspec.ValidationError.
    """
    return msgspec.yaml.decode(path.read_bytes(), type=list[Claim])


def reason(claim: Claim) -> str | None:
    """Returns why a grounding guardrail rejects a claim in the body of a push titled with the product name; None = it passes."""
    about = request(claim.product, language=claim.language, message_id=claim.id)
    text = MessageText(title=about.product.name, body=claim.text)
    for verdict in check(text, about, playbook()):
        if verdict.name in GROUNDING and not verdict.passed:
            return f"{verdict.name}: {verdict.detail}"
    return None


def measure(claims: list[Claim]) -> Measured:
    """Returns recall and false rejects over all claims; there must be true and false ones."""
    judged = [(claim, reason(claim)) for claim in claims]
    missed = [f"{claim.id} {claim.text}" for claim, why in judged if not claim.grounded and why is None]
    wronged = [f"{claim.id} {claim.text} ({why})" for claim, why in judged if claim.grounded and why is not None]
    grounded = sum(claim.grounded for claim in claims)
    return Measured(
        claims=len(claims),
        recall=1 - len(missed) / (len(claims) - grounded),
        false_rejects=len(wronged) / grounded,
        missed=missed,
        wronged=wronged,
    )
