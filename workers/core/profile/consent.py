"""Applies consent statements: default deny, per channel and purpose; the newest statement wins, whatever the order of arrival.

An opt-in must be unambiguous: its status, channel and purpose must be known names. An opt-out applies however it is spelt: if its
channel or purpose is not recognised, it applies to all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import msgspec

from schemas.base import TraitValue
from schemas.events import SEGMENT_CONSENT_UPDATED, AnyEvent, Properties, Track
from schemas.names import match, normal
from schemas.topics import CHANNELS
from schemas.values import is_affirmative
from workers.core.profile import ages
from workers.core.profile.model import Consent, ConsentChange, Profile

PERSONALISATION = "personalisation"
MARKETING, TRANSACTIONAL = "marketing", "transactional"
#: Stands for every channel in the key of an opt-out, including channels that the playbook gets later.
EVERY = "*"
#: Sources that repeat a stored state with every event.
DIALOGUE, FROM_TRAITS = "consent dialogue", "traits"
CHOICE = "consent choice"
STATES = frozenset({DIALOGUE, FROM_TRAITS})
#: A timestamp before this (2000-01-01) comes from a clock that was never set [s since the epoch].
CLOCK_NEVER_SET_S = 946_684_800.0
#: Length limit of `source` (where consent was given) and `text_version` (the text shown) [characters].
_MAX_PROOF = 128

_SPELT_PERSONALISATION = frozenset(
    {"personalisation", "personalization", "personalised", "personalized", "personalise", "personalize", "profiling"}
    | {"个性化", "个性化推荐"}
)
#: Synonyms accepted in an opt-out. An opt-in to one of them is not an unambiguous opt-in to marketing.
_SPELT_MARKETING = frozenset(
    {
        "advertising",
        "advertisement",
        "advertisements",
        "ads",
        "commercial",
        "directmarketing",
        "marketingcommunications",
    }
    | {"newsletter", "newsletters", "promo", "promotion", "promotions", "promotional", "offers", "营销", "广告"}
)
_SPELT_TRANSACTIONAL = frozenset({"transaction", "transactions", "operational", "service", "servicemessages"})
_SPELT_CHANNELS = {
    "email": frozenset({"mail", "mails", "emails", "emailaddress", "邮件", "电子邮件", "邮箱"}),
    "push": frozenset({"pushnotification", "pushnotifications", "mobilepush", "webpush", "apppush", "推送"}),
    "sms": frozenset({"text", "texts", "textmessage", "textmessages", "shortmessage", "短信"}),
    "in_app": frozenset({"inappmessage", "inappmessages", "inappmessaging", "应用内", "站内信"}),
}
#: Braze's subscription traits, normalised → channel.
_TRAITS = {"emailsubscribe": "email", "pushsubscribe": "push", "smssubscribe": "sms", "inappsubscribe": "in_app"}


class Rules(msgspec.Struct, frozen=True, gc=False):
    """The playbook's consent settings: its `channels`, and the meaning of the categories in a shop's own consent dialogue.

    `categories`: a category's normalised name → the keys it maps to (`email:marketing`, `marketing`, `personalisation`).
    """

    channels: Collection[str] = CHANNELS
    categories: Mapping[str, tuple[str, ...]] = {}


NO_RULES = Rules()


def consent_key(channel: str, purpose: str = MARKETING) -> str:
    """Returns the key under which a channel's consent is kept."""
    return f"{channel}:{purpose}"


def from_event(event: AnyEvent, at_s: float, known: Collection[str], rules: Rules = NO_RULES) -> list[ConsentChange]:
    """Returns the changes requested in the shop's consent dialogue (Segment's `context.consent`).

    A category that the playbook does not map changes nothing. An opt-out counts on any event; an opt-in counts only on the event
    that reports a choice: all others repeat what a device has stored, perhaps from before a later opt-out.
    """
    dialogue = event.context.consent
    if dialogue is None or not dialogue.category_preferences or not rules.categories:
        return []
    chosen = isinstance(event, Track) and event.event == SEGMENT_CONSENT_UPDATED
    changes = []
    for name, granted in dialogue.category_preferences.items():
        for target in rules.categories.get(normal(name), ()) if chosen or not granted else ():
            channel, _, purpose = target.rpartition(":")
            for key in _keys(channel, purpose, known, rules.channels, granted=granted):
                changes.append(ConsentChange(key, granted, at_s, CHOICE if chosen else DIALOGUE))  # noqa: PERF401 # reads better
    return changes


def from_properties(
    properties: Properties, at_s: float, known: Collection[str] = (), channels: Collection[str] = CHANNELS
) -> list[ConsentChange]:
    """Returns the changes requested by a `Consent Updated` event. A status that is not an unambiguous yes counts as an opt-out.

    Several channels or purposes are separated by commas. `known`: the keys on which the customer has made a statement. Without a
    channel, or with one that is neither in the playbook's `channels` nor a standard one, an opt-out applies to all and an opt-in
    to none. An opt-in counts from `captured_at`, an opt-out from `at_s`.
    """
    granted = is_affirmative(properties.status)
    # A statement from the future would override every later one. An opt-out counts from when it was reported, because the
    # date in forms and exports may be that of the account, or come from a clock that was never set.
    captured = min(properties.captured_at.timestamp(), at_s) if properties.captured_at and granted else at_s
    source, text_version = (properties.source or "")[:_MAX_PROOF], (properties.text_version or "")[:_MAX_PROOF]
    keys = {
        key: None
        for channel in _split(properties.channel)
        for purpose in _split(properties.purpose)
        for key in _keys(channel, purpose, known, channels, granted=granted)
    }
    return [ConsentChange(key, granted, captured, source, text_version) for key in keys]


def from_traits(
    traits: Mapping[str, TraitValue], at_s: float, known: Collection[str] = (), channels: Collection[str] = CHANNELS
) -> list[ConsentChange]:
    """Returns the changes in Braze's traits `email_subscribe` and `push_subscribe` = opted_in | subscribed | unsubscribed."""
    return [
        ConsentChange(key, granted, at_s, FROM_TRAITS)
        for name, value in traits.items()
        if value is not None and (channel := _TRAITS.get(normal(name))) is not None
        for granted in (not isinstance(value, list) and is_affirmative(value),)
        for key in _keys(channel, MARKETING, known, channels, granted=granted)
    ]


def refusal(channel: str, known: Collection[str], channels: Collection[str] = CHANNELS) -> list[str]:
    """Returns the keys of an opt-out from marketing on a channel; "" or an unknown name: on all of them."""
    return list(_keys(channel, MARKETING, known, channels, granted=False))


def channel_of(name: str, channels: Collection[str]) -> str | None:
    """Returns the channel named in an opt-out, one of the playbook's `channels` or a standard one; None = it could be any.

    >>> channel_of(" E-Mail", CHANNELS), channel_of("web push", CHANNELS), channel_of("fax", CHANNELS)
    ('email', 'push', None)
    """
    known = _known(channels)
    found = match(name, known) if normal(name) else None
    return found or next((channel for channel in known if normal(name) in _SPELT_CHANNELS.get(channel, ())), None)


def _known(channels: Collection[str]) -> list[str]:
    """Returns the channels that a name can refer to: the playbook's, then the standard ones that it lacks."""
    return [*channels, *(channel for channel in CHANNELS if channel not in channels)]


class StatementTime(msgspec.Struct, frozen=True, gc=False):
    """The times of a consent statement [s since the epoch]: `stated_s` by the clock of the sender; by the broker's clock,
    `known_s`, when it was appended to the first of our logs, and `logged_s`, when it was appended to the log it is read from.
    """

    stated_s: float
    known_s: float
    logged_s: float

    @property
    def at_s(self) -> float:
        """The time of the statement, which is never later than that of its record."""
        return min(self.stated_s, self.known_s)


def dated(change: ConsentChange, known: Consent | None, when: StatementTime) -> ConsentChange:
    """Returns an opt-out with the time from which it counts, an opt-in unchanged. `known`: the statement before it in the log.

    An opt-out from a clock that was never set counts from `known_s`. An opt-in read before the opt-out is not newer merely
    because the broker's clock went back between the two.
    """
    if change.granted:
        return change
    if min(when.stated_s, change.captured_at) < CLOCK_NEVER_SET_S:
        return msgspec.structs.replace(change, captured_at=when.known_s)
    if known is not None and known.granted and when.logged_s < known.captured_at <= when.stated_s:
        return msgspec.structs.replace(change, captured_at=known.captured_at)
    return change


def apply(profile: Profile, change: ConsentChange) -> bool:
    """Applies the change if it is the newest statement on its key; returns whether the profile changed."""
    known = profile.consent.get(change.key)
    if known is not None and known.captured_at > change.captured_at:
        return False
    if known is not None and known.captured_at == change.captured_at and not known.granted:
        return False  # of two statements at the same instant the opt-out wins
    profile.consent[change.key] = Consent(change.granted, change.captured_at, change.source, change.text_version)
    return True


def allows(profile: Profile, channel: str, category: str, presumed: Collection[str] = ()) -> bool:
    """Returns whether a message of this category may be sent on this channel. Transactional messages need no marketing consent,
    but are not sent on a channel that the customer has refused altogether (`<channel>:transactional`).

    `presumed` channels count as allowed unless the customer has made a statement: only for replays of history.
    """
    own, everywhere = profile.consent.get(consent_key(channel, category)), profile.consent.get(f"{EVERY}:{category}")
    if everywhere is not None and (own is None or own.captured_at <= everywhere.captured_at):
        return False
    if own is not None:
        return own.granted
    return category == TRANSACTIONAL or channel in presumed


def may_personalise(profile: Profile, now_s: float) -> bool:
    """Returns False for customers who refused the purpose `personalisation` and for known minors: they get generic texts only."""
    statement = profile.consent.get(PERSONALISATION)
    refused = statement is not None and not statement.granted
    if refused or any(adult_at > now_s for _, adult_at in profile.adult_at.values()):
        return False
    return not ages.is_minor(profile.traits, now_s)


def _split(names: str | None) -> list[str]:
    """Returns the names in a comma-separated text; [""] if there are none."""
    return [name for name in (names or "").replace(";", ",").split(",") if name.strip()] or [""]


def _keys(
    channel: str, purpose: str, known: Collection[str], channels: Collection[str], *, granted: bool
) -> Iterator[str]:
    """Yields the keys of one statement, given its channel and purpose as spelt in the input."""
    spelt = normal(purpose)
    if spelt in _SPELT_PERSONALISATION:
        yield PERSONALISATION
        return
    if granted:
        meant = match(purpose, (MARKETING, TRANSACTIONAL)) if purpose.strip() else MARKETING
        if meant is not None and normal(channel) and (named := match(channel, _known(channels))) is not None:
            yield consent_key(named, meant)
        return
    if not purpose.strip() or spelt == MARKETING or spelt in _SPELT_MARKETING:
        purposes: tuple[str, ...] = (MARKETING,)
    elif spelt == TRANSACTIONAL or spelt in _SPELT_TRANSACTIONAL:
        purposes = (TRANSACTIONAL,)
    else:
        purposes = (MARKETING, TRANSACTIONAL)
    named = channel_of(channel, channels)
    every = [EVERY, *_known(channels), *(key.partition(":")[0] for key in known if ":" in key)]
    for meant in purposes:
        for name in every if named is None else [named]:
            yield consent_key(name, meant)
    if len(purposes) > 1 and named is None:
        yield PERSONALISATION
