"""Consent: default deny, per channel and purpose; the customer's newest word holds, whatever order it arrives in."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from schemas.base import TraitValue
from schemas.events import Properties
from workers.core.profile import MAX_TEXT, Consent, ConsentChange, Profile

PERSONALISATION = "personalisation"
_GRANTED = frozenset({"granted", "subscribed", "opted_in", "true", "yes"})
_MAX_KEYS = 32
ADULT_YEARS = 18


def consent_key(channel: str, purpose: str = "marketing") -> str:
    """The name under which a channel's consent is kept."""
    return f"{channel}:{purpose}"


def from_properties(properties: Properties, at_s: float, known: Collection[str] = ()) -> list[ConsentChange]:
    """The changes that a `Consent Updated` event asks for. A status that is not a clear yes counts as no.

    Without a channel a no holds for every `known` key of its purpose; a yes to nothing in particular allows nothing.
    """
    granted = (properties.status or "").lower() in _GRANTED
    purpose = properties.purpose or "marketing"
    if purpose == PERSONALISATION:
        keys = [PERSONALISATION]
    elif properties.channel:
        keys = [consent_key(properties.channel, purpose)]
    else:
        keys = [] if granted else [key for key in known if key.endswith(f":{purpose}")]
    # A word from the future would outlast every later one.
    captured = min(properties.captured_at.timestamp(), at_s) if properties.captured_at else at_s
    source, text_version = (properties.source or "")[:MAX_TEXT], (properties.text_version or "")[:MAX_TEXT]
    return [ConsentChange(key[:MAX_TEXT], granted, captured, source, text_version) for key in keys]


def from_traits(traits: dict[str, TraitValue], at_s: float) -> list[ConsentChange]:
    """Braze's subscription traits: `email_subscribe`, `push_subscribe` = opted_in | subscribed | unsubscribed."""
    return [
        ConsentChange(consent_key(name.removesuffix("_subscribe")), str(value).lower() in _GRANTED, at_s, "traits")
        for name, value in traits.items()
        if name in ("email_subscribe", "push_subscribe", "sms_subscribe", "in_app_subscribe") and value is not None
    ]


def apply(profile: Profile, change: ConsentChange) -> bool:
    """Takes the change over if it is the newest word on its key; True if the profile changed."""
    known = profile.consent.get(change.key)
    if known is not None and known.captured_at > change.captured_at:
        return False
    if known is None and len(profile.consent) >= _MAX_KEYS:
        return False
    profile.consent[change.key] = Consent(change.granted, change.captured_at, change.source, change.text_version)
    return True


def allows(profile: Profile, channel: str, category: str, presumed: Collection[str] = ()) -> bool:
    """Whether a message of this category may go out on this channel. Transactional messages need no marketing consent,
    but a channel that the customer refused altogether (`<channel>:transactional`) stays silent.

    `presumed` channels are taken as allowed where the customer has said nothing: replays of history only.
    """
    consent = profile.consent.get(consent_key(channel, category))
    if consent is not None:
        return consent.granted
    return category == "transactional" or channel in presumed


def may_personalise(profile: Profile, now_s: float) -> bool:
    """False for those who refused the purpose `personalisation` and for known minors: they get generic words only."""
    refused = profile.consent.get(PERSONALISATION)
    return not (refused is not None and not refused.granted) and not _is_minor(profile.traits, now_s)


def _is_minor(traits: dict[str, TraitValue], now_s: float) -> bool:
    age = traits.get("age")
    if isinstance(age, int | float):
        return age < ADULT_YEARS
    birthday = traits.get("birthday")
    if not isinstance(birthday, str):
        return False
    try:
        born = datetime.fromisoformat(birthday).replace(tzinfo=UTC)
    except ValueError:
        return False
    today = datetime.fromtimestamp(now_s, UTC)
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day)) < ADULT_YEARS
