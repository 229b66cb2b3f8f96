"""Checks channels.yaml: fields, limits that leave enough room, vendors, suffixes, and the unsubscribe link of e-mail."""

from __future__ import annotations

import msgspec

from schemas.messages import MessageText
from schemas.topics import CHANNELS
from workers.adapters.playbook.checks import provider_templates
from workers.adapters.playbook.checks.findings import reference, texts, unique
from workers.adapters.playbook.documents.parts import Parts
from workers.adapters.playbook.documents.yaml_documents import Document, FieldPath
from workers.core.playbook.channels import Channel, FieldLimit, Maximum
from workers.core.text import emoji, length_limits

EMAIL, PUSH, SMS = "email", "push", "sms"
_FIELDS = [field.name for field in msgspec.structs.fields(MessageText)]


def check(parts: Parts) -> None:
    """Reports into `parts.problems`."""
    if parts.channels is None:
        return
    document = parts.documents["channels.yaml"]
    unique(document, ("channels",), [channel.id for channel in parts.channels.channels], "id", "id")
    for index, channel in enumerate(parts.channels.channels):
        path: FieldPath = ("channels", index)
        reference(document, (*path, "id"), "channel", channel.id, CHANNELS)
        written = [language for language in parts.languages if not channel.is_templated(language)]
        fields(parts, document, path, channel, written)
        _vendors(parts, document, path, channel)
        _suffix(document, path, channel, written)
        _unsubscribe_link(parts, document, path, channel)
        provider_templates.check(parts, document, path, channel)


def fields(parts: Parts, document: Document, path: FieldPath, channel: Channel, written: list[str]) -> None:
    """Reports invalid fields. `written` are the languages in which texts are generated for this channel."""
    if written and "body" not in channel.fields:
        document.report((*path, "fields"), "`body` is missing", ", ".join(_FIELDS))
    for name, given in channel.fields.items():
        at = (*path, "fields", name)
        reference(document, at, "field", name, _FIELDS)
        for language, limit in given.items():
            reference(document, (*at, language), "language", language, parts.languages)
            if channel.is_templated(language):
                wrong = f"has no effect: {language} is sent as provider templates"
                document.report((*at, language), wrong, ", ".join(written) or "no field")
            else:
                _limit(document, (*at, language), channel, name, language, limit)
        if missing := [language for language in written if language not in given]:
            document.report(at, f"{', '.join(missing)} is missing", "limits in " + ", ".join(written))


def _limit(document: Document, path: FieldPath, channel: Channel, name: str, language: str, limit: FieldLimit) -> None:
    if limit.max_segments is not None and (channel.id, name) != (SMS, "body"):
        wrong = "only the body of an SMS is sent in segments"
        document.report((*path, "max_segments"), wrong, "max_chars, max_bytes, max_columns")
        return
    own = [getattr(limit, unit) for unit in length_limits.UNITS]
    room = length_limits.room(channel, name, language)
    if room is None or not any(own):
        document.report(
            path, "has no limit", ", ".join(length_limits.UNITS if channel.id == SMS else _limits_of_vendors())
        )
        return
    if limit.min_chars > room.chars:
        bound, suffix = room.bound, channel.suffix.get(language) if name == "body" else None
        by = f"{bound.most} {bound.unit}" + (f" of `{bound.vendor}`" if bound.vendor else "")
        taken = ", including the suffix," if suffix else ""
        wrong = f"the limits are out of order: {by}{taken} leave {max(room.chars, 0)} characters"
        document.report(path, f"{wrong}, but min_chars is {limit.min_chars}", "a smaller min_chars")


def _vendors(parts: Parts, document: Document, path: FieldPath, channel: Channel) -> None:
    at = (*path, "vendors")
    if channel.vendors and channel.id != PUSH:
        document.report(at, f"only {PUSH} has vendors", f"omit the field on {channel.id}")
        return
    for vendor, given in channel.vendors.items():
        for index, language in enumerate(given.languages):
            reference(document, (*at, vendor, "languages", index), "language", language, parts.languages)
        unique(document, (*at, vendor, "languages"), given.languages, "language")
        for name, maximum in (("title", given.title), ("body", given.body)):
            if maximum is not None and name not in channel.fields:
                document.report((*at, vendor, name), f"{channel.id} has no such field", ", ".join(channel.fields))
            if maximum == Maximum():
                document.report((*at, vendor, name), "has no limit", ", ".join(_limits_of_vendors()))
        if given.title is None and given.body is None and given.payload_bytes is None:
            document.report((*at, vendor), "sets no limit", "title, body, payload_bytes")


def _suffix(document: Document, path: FieldPath, channel: Channel, written: list[str]) -> None:
    at = (*path, "suffix")
    if channel.suffix and channel.id != SMS:
        document.report(at, f"only {SMS} has a suffix", f"omit the field on {channel.id}")
        return
    for language, text in channel.suffix.items():
        if channel.is_templated(language):
            document.report(
                (*at, language), "is never sent: the provider templates contain it", "languages without them"
            )
        elif not text.isprintable():
            document.report((*at, language), "contains a line break or an invisible character", "one line of text")
        elif (count := emoji.count(text)) > channel.max_emoji:
            document.report((*at, language), f"has {count} emoji", f"at most {channel.max_emoji} (max_emoji)")
    own = {language: text for language, text in channel.suffix.items() if not channel.is_templated(language)}
    texts(document, at, own, written, required=False)


def _unsubscribe_link(parts: Parts, document: Document, path: FieldPath, channel: Channel) -> None:
    """Requires an unsubscribe link that accepts POST: mailbox providers refuse bulk mail without one (RFC 8058)."""
    url, at = channel.unsubscribe_url, (*path, "unsubscribe_url")
    campaigns = parts.campaigns.campaigns if parts.campaigns else []
    marketing = [
        campaign.id for campaign in campaigns if campaign.category == "marketing" and channel.id in campaign.channels
    ]
    if url and not url.startswith("https://"):
        document.report(at, f"`{url}` is not an https link", "https://...")
    elif not url and channel.id == EMAIL and marketing:
        document.report(
            at, f"is missing; marketing of `{marketing[0]}` needs an unsubscribe link (RFC 8058)", "https://..."
        )


def _limits_of_vendors() -> list[str]:
    return [unit for unit in length_limits.UNITS if unit != "max_segments"]
