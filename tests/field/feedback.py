"""Feedback of senders, through decoding and the profile: an opt-out is never lost because of its spelling."""

# ruff: noqa: E501 # a table: one row a line
from __future__ import annotations

from typing import Any

from tests.field.case import Case, SenderFeedback, feedback_effect

REFUSED, KEPT = {"consent.push:marketing": False}, {"consent.push:marketing": True}
AT_S = 1714564860  # 2024-05-01T12:01:00Z
NULLS = dict.fromkeys(("delivery_id", "link_id", "link_url", "bounce_type", "bounce_reason", "rating", "comment", "revenue", "currency", "machine_opened"))  # fmt: skip


def row(slug: str, source: str, right: dict[str, Any], **fields: Any) -> Case:
    return Case(slug, source, feedback_effect, SenderFeedback(fields), right)


CASES = [
    row("every-null", "deephaven/deephaven-core#5702", REFUSED, **NULLS),
    row("null-in-an-enum", "confluentinc/schema-registry#3054", REFUSED, bounce_type=None),
    row("null-for-a-default", "apache/kafka#13419", REFUSED, machine_opened=None, schema_version=None),
    row("seconds", "sendgrid/docs#234", REFUSED, timestamp=AT_S),
    row("seconds-as-text", "sendgrid/docs#234", REFUSED, timestamp=str(AT_S)),
    row("milliseconds", "iamkun/dayjs#3124", REFUSED, timestamp=AT_S * 1000),
    row("capitals", "mailersend/mailersend-nodejs#84", REFUSED, status="UNSUBSCRIBED"),
    row("a-capital-complaint", "mirajavora/sendgrid-webhooks#7", REFUSED, status="Complained"),
    row("a-capital-bounce", "atleon/atleon#387", {"unreachable": ["push"], **KEPT}, status="Bounced", bounce_type="Hard"),
    row("a-capital-channel-of-feedback", "RedHatInsights/notifications-backend#3237", REFUSED, channel="Push"),
    row("the-verb", "mailgun/mailgun.js#373", REFUSED, status="unsubscribe"),
    row("a-rating-with-decimals", "deephaven/deephaven-core#5796", {"rejected": []}, status="rated", rating=4.0),
    row("no-channel-said", "HearthSim/HSReplay.net#1016", {**REFUSED, "consent.email:marketing": False}, channel=None),
    row("soft-bounce", "magicdude4eva/port25-bouncehandler#35", {"unreachable": [], **KEPT}, status="bounced", bounce_type="soft"),
]  # fmt: skip
