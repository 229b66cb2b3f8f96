"""Checks policy.yaml: languages, caps, quiet hours, thresholds. Markets and voice are in markets.py."""

from __future__ import annotations

from zoneinfo import available_timezones

from workers.adapters.playbook.checks import markets
from workers.adapters.playbook.checks.findings import reference, texts, unique
from workers.adapters.playbook.documents.parts import Parts
from workers.adapters.playbook.documents.yaml_documents import Document, FieldPath
from workers.adapters.playbook.documents.yaml_structs import did_you_mean
from workers.core.playbook.policy import QuietHours


def check(parts: Parts) -> None:
    """Reports into `parts.problems`."""
    policy = parts.policy
    if policy is None:
        return
    document = parts.documents["policy.yaml"]
    unique(document, ("languages",), policy.languages, "language")
    unique(document, ("allowlist",), policy.allowlist, "user_id")
    texts(document, ("ai_label",), policy.ai_label, parts.languages, required=not policy.markets)
    markets.check(document, policy)
    for field, words in (("banned_words", policy.banned_words), ("neutral_words", policy.neutral_words)):
        for language in words:
            reference(document, (field, language), "language", language, parts.languages)
    for index, cap in enumerate(policy.caps):
        if cap.channel is not None and parts.channels is not None:
            channels = [channel.id for channel in parts.channels.channels]
            reference(document, ("caps", index, "channel"), "channel", cap.channel, channels)
    if parts.channels is not None:
        channels = [channel.id for channel in parts.channels.channels]
        for name, targets in policy.consent_categories.items():
            for index, target in enumerate(targets):
                if ":" in target:
                    path = ("consent_categories", name, index)
                    reference(document, path, "channel", target.partition(":")[0], channels)
    if policy.claims.reject_from < policy.claims.pass_below:
        wrong = f"{policy.claims.reject_from:g} is less than `pass_below` ({policy.claims.pass_below:g})"
        document.report(("claims", "reject_from"), wrong, "pass_below to 1")
    if policy.quiet_hours is not None:
        _quiet_hours(parts, document, policy.quiet_hours)


def _quiet_hours(parts: Parts, document: Document, quiet: QuietHours) -> None:
    path: FieldPath = ("quiet_hours",)
    if quiet.start == quiet.end:
        document.report((*path, "end"), f"`{quiet.end}` is also the start", "a time other than the start")
    if quiet.timezone is not None and quiet.timezone not in (zones := available_timezones()):
        wrong = f"`{quiet.timezone}` is not a time zone" + did_you_mean(quiet.timezone, sorted(zones))
        document.report((*path, "timezone"), wrong, "a zone of the IANA list (Europe/London)")
    if quiet.channels is not None:
        if not quiet.channels:
            document.report((*path, "channels"), "is empty", "at least one channel; omit the field for all channels")
        unique(document, (*path, "channels"), quiet.channels, "channel")
        if parts.channels is not None:
            channels = [channel.id for channel in parts.channels.channels]
            for index, channel in enumerate(quiet.channels):
                reference(document, (*path, "channels", index), "channel", channel, channels)
