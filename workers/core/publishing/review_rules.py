"""Decides which texts a person must review before they are published."""

from __future__ import annotations

from schemas.messages import Candidate
from workers.core.decisioning.control_state import ControlState, prompt_scope
from workers.core.experimentation import sampling
from workers.core.playbook.policy import ReviewRules
from workers.core.profile.model import OpenRequest

#: A review ends this long before its message expires, so that a late verdict can still be followed by publication [s].
MARGIN_S = 60.0


def review_reason(
    candidate: Candidate, opened: OpenRequest, rules: ReviewRules, control: ControlState, seed: str
) -> str:
    """Returns the reason why a text must be reviewed first, as shown to the reviewer; "" = no review is needed.

    Only an LLM's own texts are reviewed: templates and pool texts were approved already, and a ghost's text is never sent. The
    sample is drawn by message_id, so that a duplicate gets the same result.
    """
    if candidate.generated_by != "llm" or opened.is_ghost:
        return ""
    if doubted := doubt(candidate):
        return f"it is doubtful: {doubted}"
    scope = prompt_scope(opened.prompt, opened.language, candidate.prompt_version)
    if rules.new_prompts and scope not in control.trusted:
        return f"no one has trusted this version of the prompt yet ({scope})"
    if rules.after_reask and candidate.usage.calls > 1:
        return "an earlier draft was rejected"
    if rules.sample and sampling.uniform(seed, "review", candidate.message_id) < rules.sample:
        return f"a sample of {rules.sample:.1%} is reviewed"
    return ""


def doubt(candidate: Candidate) -> str:
    """Returns what a guardrail doubts in a model's own text; "" = nothing. Such a text is never sent without a person's consent.

    The verdicts of a template are those of the model's text that it replaces.
    """
    if candidate.generated_by != "llm":
        return ""
    return next((verdict.detail or verdict.name for verdict in candidate.verdicts if verdict.doubtful), "")


def ends_at(opened: OpenRequest, rules: ReviewRules, now_s: float) -> float:
    """Returns the time at which the wait for a verdict ends; not after `now_s` = there is no time for a review."""
    return min(now_s + rules.timeout_s, opened.expires_at - MARGIN_S)
