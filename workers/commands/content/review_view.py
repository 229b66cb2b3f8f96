"""Renders the output of `attune review`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from rich.table import Table

from schemas.messages import MessageText
from workers.core.common.timestamps import utc
from workers.core.publishing.review_queue import Reviewed, trust

#: Number of approvals, without any other verdict, after which a version of a prompt is proposed for trust.
MIN_APPROVALS = 10


def as_table(waiting: list[Reviewed]) -> Table:
    """Returns a table with one row per text."""
    table = Table(title=f"{len(waiting)} wait for a verdict", title_justify="left")
    for column in ("message", "deadline (UTC)", "campaign", "channel", "group", "language", "text", "reason"):
        table.add_column(column, overflow="fold")
    for one in waiting:
        review = one.review
        table.add_row(
            review.message_id[:12],
            utc(review.timeout_at).removesuffix(" UTC"),
            review.campaign_id,
            review.channel,
            review.target_group,
            review.language,
            " / ".join(_fields(review.text).values()),
            review.why,
        )
    return table


def shown(one: Reviewed) -> list[str]:
    """Returns one text with the product facts, the failed guardrails, and the verdicts of reviewers."""
    review = one.review
    facts = "; ".join(review.product.facts) or "no facts"
    return [
        f"message   {review.message_id} of {review.campaign_id} on {review.channel}, deadline {utc(review.timeout_at)}",
        f"for       {review.target_group}, {review.locale}",
        f"why       {review.why}",
        f"prompt    {review.prompt} {review.language} ({review.prompt_version})",
        f"product   {review.product.name or review.product.product_id}: {facts}",
        *(f"{name:<9} {value}" for name, value in _fields(review.text).items()),
        f"link      {review.product.url or 'none'}",
        f"picture   {review.product.image_url or 'none'}",
        *(f"guardrail {verdict.name}: {verdict.detail}" for verdict in review.verdicts if not verdict.passed),
        *(
            f"verdict   {verdict.verdict} by {verdict.reviewer}: {'; '.join(verdict.reasons) or '-'}"
            for verdict in one.verdicts
        ),
    ]


def proposals(reviews: Iterable[Reviewed]) -> list[str]:
    """Returns proposals to trust the prompt versions that reviewers have approved often and never edited or rejected."""
    by_prompt: dict[tuple[str, str, str], list[Reviewed]] = {}
    for one in reviews:
        review = one.review
        by_prompt.setdefault((review.prompt, review.language, review.prompt_version), []).append(one)
    lines = []
    for (prompt, language, version), reviews_of_prompt in sorted(by_prompt.items()):
        so_far = trust(reviews_of_prompt)
        if so_far.approved >= MIN_APPROVALS and not so_far.edited and not so_far.rejected:
            summary = f"{prompt} {language} ({version}): {so_far.approved} approved, none edited or rejected"
            lines.append(f"{summary}; to end its review: attune review trust {prompt} --language {language}")
    return lines


def _fields(text: MessageText) -> dict[str, str]:
    return {name: value for name, value in msgspec.structs.asdict(text).items() if value}
