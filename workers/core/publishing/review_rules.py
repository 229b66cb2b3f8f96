"""Tells which texts a person must review before they are published."""

from __future__ import annotations

from schemas.messages import Candidate
from workers.core.decisioning.control_state import ControlState, prompt_scope
from workers.core.experimentation import sampling
from workers.core.playbook.policy import ReviewRules
from workers.core.profile.model import OpenRequest

#: A review ends so long before its message expires, so that what is decided then can still leave [s].
MARGIN_S = 60.0


def why_review(candidate: Candidate, opened: OpenRequest, rules: ReviewRules, guidance: ControlState, seed: str) -> str:
    """Why a person must see this text first, in words for that person; "" = nobody must.

    Only a model's own text: templates and texts of the pool are words of people already, and a ghost is heard by nobody.
    The sample is drawn by the message_id, so that a text that comes twice is judged alike.
    """
    if candidate.generated_by != "llm" or opened.is_ghost:
        return ""
    scope = prompt_scope(opened.prompt, opened.language, candidate.prompt_version)
    if rules.new_prompts and scope not in guidance.trusted:
        return f"nobody has trusted this version of the prompt yet ({scope})"
    if rules.after_reask and candidate.usage.calls > 1:
        return "an earlier draft was rejected"
    if rules.sample and sampling.uniform(seed, "review", candidate.message_id) < rules.sample:
        return f"a sample of {rules.sample:.1%} is looked at"
    return ""


def ends_at(opened: OpenRequest, rules: ReviewRules, now_s: float) -> float:
    """When the wait for a verdict ends; not after `now_s` = there is no time for one."""
    return min(now_s + rules.timeout_s, opened.expires_at - MARGIN_S)
