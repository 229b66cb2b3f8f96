"""Renders what `attune review` shows."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from rich.table import Table

from schemas.messages import MessageText
from workers.core.common.timestamps import utc
from workers.core.publishing.review_queue import Reviewed, trust

#: From this many approvals of one version of a prompt on, with no other verdicts, it is proposed to trust it.
ENOUGH = 10


def as_table(waiting: list[Reviewed]) -> Table:
    """Returns a table with one row per text."""
    table = Table(title=f"{len(waiting)} wait for a verdict", title_justify="left")
    for column in ("message", "ends (UTC)", "campaign", "channel", "group", "language", "text", "why"):
        table.add_column(column, overflow="fold")
    for one in waiting:
        asked = one.review
        table.add_row(
            asked.message_id[:12],
            utc(asked.timeout_at).removesuffix(" UTC"),
            asked.campaign_id,
            asked.channel,
            asked.target_group,
            asked.language,
            " / ".join(_fields(asked.text).values()),
            asked.why,
        )
    return table


def shown(one: Reviewed) -> list[str]:
    """Returns one text with what it may claim, the guardrails' verdicts, and what reviewers have said."""
    asked = one.review
    facts = "; ".join(asked.product.facts) or "no facts"
    return [
        f"message   {asked.message_id} of {asked.campaign_id} on {asked.channel}, {utc(asked.timeout_at)} at last",
        f"for       {asked.target_group}, {asked.locale}",
        f"why       {asked.why}",
        f"prompt    {asked.prompt} {asked.language} ({asked.prompt_version})",
        f"product   {asked.product.name or asked.product.product_id}: {facts}",
        *(f"{name:<9} {value}" for name, value in _fields(asked.text).items()),
        f"link      {asked.product.url or 'none'}",
        f"picture   {asked.product.image_url or 'none'}",
        *(f"guardrail {said.name}: {said.detail}" for said in asked.verdicts if not said.passed),
        *(f"verdict   {said.verdict} by {said.reviewer}: {'; '.join(said.reasons) or '-'}" for said in one.verdicts),
    ]


def proposals(reviews: Iterable[Reviewed]) -> list[str]:
    """Returns the versions of prompts that reviewers have only approved, often enough to trust them."""
    by_prompt: dict[tuple[str, str, str], list[Reviewed]] = {}
    for one in reviews:
        asked = one.review
        by_prompt.setdefault((asked.prompt, asked.language, asked.prompt_version), []).append(one)
    lines = []
    for (prompt, language, version), those in sorted(by_prompt.items()):
        so_far = trust(those)
        if so_far.approved >= ENOUGH and not so_far.edited and not so_far.rejected:
            praise = f"{prompt} {language} ({version}): {so_far.approved} approved, none edited or rejected"
            lines.append(f"{praise}; `attune review trust {prompt} --language {language}` ends its review")
    return lines


def _fields(text: MessageText) -> dict[str, str]:
    return {name: value for name, value in msgspec.structs.asdict(text).items() if value}
