"""Detects the format of a record by fields that only one format has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from schemas.values import Json, rows
from workers.core.intake.canonical.batches import Batch
from workers.core.intake.canonical.finish import TYPES
from workers.core.intake.formats import braze, ga4, mparticle, segment, snowplow

SourceFormat = Literal["auto", "segment", "ga4", "snowplow", "snowplow_tsv", "braze", "mparticle", "cloudevents"]

#: A value with at least this many tabs is treated as an enriched event.
_MANY_TABS = 100


class Format(NamedTuple):
    """The functions that read one format: `split` separates a batch (None = single event), `draft` maps one event."""

    split: Callable[[Json], Batch | None]
    draft: Callable[[Json], Json]


SEGMENT = Format(segment.split, segment.draft)
GA4 = Format(ga4.split, ga4.draft)
SNOWPLOW = Format(snowplow.split, snowplow.draft)
BRAZE = Format(braze.split, braze.draft)
MPARTICLE = Format(mparticle.split, mparticle.draft)

FORMATS: dict[SourceFormat, Format] = {
    "segment": SEGMENT,
    "ga4": GA4,
    "snowplow": SNOWPLOW,
    "snowplow_tsv": SNOWPLOW,
    "braze": BRAZE,
    "mparticle": MPARTICLE,
}

_SEGMENT_IDS = frozenset({"messageId", "message_id", "userId", "anonymousId", "user_id", "anonymous_id"})
_BRAZE_IDS = frozenset({"external_id", "external_user_id", "braze_id", "user_alias"})
_MPARTICLE_IDS = frozenset({"mpid", "user_identities", "mp_deviceid"})
_MPARTICLE_STATE = frozenset({"user_attributes", "deleted_user_attributes", "consent_state"})
_GA4_SENDER = frozenset({"client_id", "app_instance_id", "timestamp_micros", "user_properties", "non_personalized_ads"})


def looks_like_tsv(value: bytes) -> bool:
    """Returns whether a value is an enriched Snowplow event as tab-separated text."""
    return value[:1] not in (b"{", b"[") and value.count(b"\t") >= _MANY_TABS


def detect(raw: Json) -> Format | None:
    """Returns the format of one JSON object; None if no format has such fields. Envelopes are detected earlier (cloudevents)."""
    keys = raw.keys()
    if "collector_tstamp" in keys or ("event_id" in keys and "event_name" in keys):
        return SNOWPLOW
    if "event_name" in keys and keys & {"event_timestamp", "event_params", "user_pseudo_id"}:
        return GA4
    if isinstance(raw.get("batch"), list):
        return SEGMENT
    if any(isinstance(raw.get(name), list) for name in ("events", "purchases", "attributes")):
        return _detect_batch(raw)
    if "name" in keys and isinstance(raw.get("params"), dict):
        return GA4
    if "name" in keys and keys & _BRAZE_IDS:
        return BRAZE
    kind = raw.get("type")
    if (isinstance(kind, str) and kind.strip().lower() in TYPES) or ("event" in keys and keys & _SEGMENT_IDS):
        return SEGMENT
    return MPARTICLE if _is_mparticle(raw) else None  # it may have no events


def _detect_batch(raw: Json) -> Format | None:
    items = [item for name in ("events", "purchases", "attributes") for item in rows(raw.get(name))]
    if raw.keys() & _GA4_SENDER or any("params" in item for item in items):
        return GA4
    if any(item.keys() & _BRAZE_IDS for item in items):
        return BRAZE
    return MPARTICLE if _is_mparticle(raw) else None


def _is_mparticle(raw: Json) -> bool:
    events = [event for event in rows(raw.get("events")) if "event_type" in event]  # Amplitude has such events too
    has_person = bool(raw.keys() & _MPARTICLE_IDS)
    return (has_person and bool(events or raw.keys() & _MPARTICLE_STATE)) or any(
        isinstance(event.get("data"), dict) for event in events
    )
