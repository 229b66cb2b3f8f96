"""Maps Segment calls and batches, in the spec's camelCase; the snake_case of custom clients is accepted too.

Source: the Segment Spec and its HTTP Tracking API (`batch`). Event names with the same meaning are normalised (`event_names`);
every other name belongs to the shop and stays unchanged.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from schemas import codec
from schemas.events import CONSENT_UPDATED, Page, Properties, Screen, Track
from schemas.values import MAX_ID, PERSON_PLACEHOLDERS, PLACEHOLDERS, Json, absent, first, first_person, obj
from workers.core.intake.canonical.batches import Batch
from workers.core.intake.canonical.commerce import needs_no_cleaning
from workers.core.intake.canonical.event_names import SYNONYMS, canonical_name
from workers.core.intake.canonical.finish import EARLIEST, MAX_EVENT_BYTES, PRODUCT_EVENTS, MappedEvent
from workers.core.intake.canonical.rejections import reject

NAMES = SYNONYMS
#: Fields that a batch sets for all of its calls, in both spellings.
_IDS = (("userId", "user_id"), ("anonymousId", "anonymous_id"))
_SENT = ("sentAt", "sent_at")


#: An escaped letter, digit or "_", which JSON would normally write unescaped.
_ESCAPED_LETTER = re.compile(rb"\\u00(3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]|5[fF])")


def split(raw: Json) -> Batch | None:
    """Returns the calls of a batch, and the fields that it sets for all of them; None if `raw` is a single call."""
    batch = raw.get("batch")
    if not isinstance(batch, list):
        return None
    shared: Json = {names[0]: found for names in _IDS if (found := first_person(raw, *names)) is not None}
    if (sent_at := first(raw, *_SENT)) is not None:
        shared["sentAt"] = sent_at
    context = obj(raw.get("context"))
    return Batch(batch, shared | {"context": context}, lambda call: _call(call, shared, context))


def _call(call: Json, shared: Json, context: Json) -> Json:
    """Returns one call of a batch. The call's own values take precedence; null and blank ones do not count."""
    joined = dict(call)
    for names in _IDS:
        if names[0] in shared and first_person(call, *names) is None:
            joined[names[0]] = shared[names[0]]
    if "sentAt" in shared and first(call, *_SENT) is None:
        joined["sentAt"] = shared["sentAt"]
    if context:
        own = obj(call.get("context"))
        joined["context"] = {**context, **{name: value for name, value in own.items() if not absent(value)}}
    return joined


def draft(raw: Json) -> Json:
    """Maps one call; only its event name may change."""
    name = raw.get("event")
    if not isinstance(name, str) or (canonical := canonical_name(name)) == name:
        return raw
    return {**raw, "event": canonical}


def unchanged(value: bytes, latest: datetime) -> MappedEvent | None:
    """Returns the record unchanged if it already meets the contract of customer.events; None if it must be converted.

    This is the hot path: one decode, no copy. Raises InvalidEvent if its text is not valid UTF-8.
    """
    try:
        event = codec.decode_event(value)
    except codec.Malformed:
        return None
    if len(value) > MAX_EVENT_BYTES or not EARLIEST <= event.timestamp <= latest:
        return None
    if not (_is_id(event.user_id) and _is_id(event.anonymous_id)):
        return None
    if event.context.locale in PLACEHOLDERS or event.context.timezone in PLACEHOLDERS:
        return None
    if b'"user_id"' in value or b'"writeKey"' in value or b'"write_key"' in value:  # `finish` renames or removes them
        return None
    if b"\\" in value and _ESCAPED_LETTER.search(value):  # letters are escaped only to hide a field name
        return None
    if isinstance(event, Track) and not _is_canonical(event.event, event.properties):
        return None
    if isinstance(event, Page | Screen) and not needs_no_cleaning(event.properties):
        return None
    if not value.isascii():  # fields that no struct has are skipped, not decoded, so their bytes are checked here
        try:
            value.decode()
        except UnicodeDecodeError as error:
            raise reject("broken_encoding", f"byte {error.start} is not valid UTF-8") from error
    return MappedEvent(event.customer_id.encode(), value)


def _is_id(found: str | None) -> bool:
    if found is None:
        return True
    return (
        len(found) <= MAX_ID
        and found == found.strip()
        and bool(found.strip("0-"))
        and found.lower() not in PERSON_PLACEHOLDERS
    )


def _is_canonical(name: str, properties: Properties) -> bool:
    if not _is_canonical_name(name) or not needs_no_cleaning(properties):
        return False
    return name not in PRODUCT_EVENTS or bool(properties.product_id) or len(properties.products or ()) > 1


@lru_cache(maxsize=4096)
def _is_canonical_name(name: str) -> bool:
    return name != CONSENT_UPDATED and canonical_name(name) == name == name.strip()
