"""Default deny; the newest word holds; personalisation is a purpose of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from schemas.base import TraitValue
from schemas.events import ConsentPreferences, Context, Page, Properties, Track
from workers.core.profile import consent
from workers.core.profile.model import Consent, ConsentChange, Profile

NOW = 1_709_553_600.0


def saying(*changes: tuple[str, bool, float]) -> Profile:
    profile = Profile(customer_id="u")
    for key, granted, at_s in changes:
        consent.apply(profile, ConsentChange(key, granted, at_s))
    return profile


@pytest.mark.parametrize(
    ("profile", "channel", "category", "allowed"),
    [
        (saying(), "push", "marketing", False),
        (saying(("push:marketing", True, 1)), "push", "marketing", True),
        (saying(("push:marketing", True, 1)), "email", "marketing", False),
        (saying(("push:marketing", True, 1), ("push:marketing", False, 2)), "push", "marketing", False),
        (saying(("push:marketing", False, 2), ("push:marketing", True, 1)), "push", "marketing", False),
        (saying(), "email", "transactional", True),
        (saying(("email:transactional", False, 1)), "email", "transactional", False),
    ],
)
def test_who_may_be_written_to(profile: Profile, channel: str, category: str, allowed: bool) -> None:
    assert consent.allows(profile, channel, category) is allowed


def test_a_replay_may_presume_what_nobody_said_but_never_overrides_a_no() -> None:
    assert consent.allows(saying(), "push", "marketing", {"push"})
    assert not consent.allows(saying(("push:marketing", False, 1)), "push", "marketing", {"push"})


@pytest.mark.parametrize(
    ("status", "granted"),
    [
        ("subscribed", True),
        ("opted_in", True),
        ("GRANTED", True),
        ("unsubscribed", False),
        ("maybe", False),
        (None, False),
    ],
)
def test_only_a_clear_yes_is_a_yes(status: str | None, granted: bool) -> None:
    (change,) = consent.from_properties(Properties(channel="push", status=status), NOW)
    assert change.granted is granted


def test_the_purpose_and_the_time_of_the_word_are_kept() -> None:
    captured = datetime(2024, 1, 1, tzinfo=UTC)
    properties = Properties(
        channel="email", purpose="transactional", status="granted", captured_at=captured, source="form"
    )
    assert consent.from_properties(properties, NOW) == [
        ConsentChange("email:transactional", True, captured.timestamp(), "form")
    ]


def test_an_event_about_no_channel_changes_nothing() -> None:
    assert consent.from_properties(Properties(status="subscribed"), NOW, {"push:marketing"}) == []


def test_a_no_without_a_channel_holds_for_every_channel_of_its_purpose() -> None:
    known = {"push:marketing": 1, "email:marketing": 1, "email:transactional": 1, "personalisation": 1}
    changes = consent.from_properties(Properties(purpose="marketing", status="unsubscribed"), NOW, known)
    channels = ("*", "email", "in_app", "push", "sms")
    assert {(change.key, change.granted) for change in changes} == {(f"{name}:marketing", False) for name in channels}


def test_subscription_traits_count_as_consent() -> None:
    changes = consent.from_traits({"email_subscribe": "opted_in", "push_subscribe": "unsubscribed", "age": 3}, NOW)
    assert {change.key: change.granted for change in changes} == {"email:marketing": True, "push:marketing": False}


@pytest.mark.parametrize(
    ("traits", "refused", "allowed"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"age": 17}, False, False),
        ({"age": 18}, False, True),
        ({"birthday": "2010-01-01"}, False, False),
        ({"birthday": "1990-05-05"}, False, True),
        ({"birthday": "unknown"}, False, True),
    ],
)
def test_who_may_be_spoken_to_personally(traits: dict[str, str | int], refused: bool, allowed: bool) -> None:
    profile = saying(("personalisation", False, 1)) if refused else saying()
    profile.traits = dict(traits)
    assert consent.may_personalise(profile, NOW) is allowed


# -- which word holds ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "granted", "changed"),
    [
        ([(True, 1), (False, 2)], False, True),
        ([(False, 1), (True, 2)], True, True),
        ([(True, 2), (False, 1)], True, False),
        ([(False, 2), (True, 1)], False, False),
        ([(True, 1), (False, 1)], False, True),  # of two words of one instant the no holds
        ([(False, 1), (True, 1)], False, False),
        ([(True, 1), (True, 1)], True, True),
    ],
)
def test_the_newest_word_holds(words: list[tuple[bool, float]], *, granted: bool, changed: bool) -> None:
    profile = Profile(customer_id="u")
    took = [consent.apply(profile, ConsentChange("push:marketing", yes, at_s, "form", "v1")) for yes, at_s in words]
    assert took == [True, changed]
    assert profile.consent["push:marketing"].granted is granted
    assert (profile.consent["push:marketing"].source, profile.consent["push:marketing"].text_version) == ("form", "v1")


@pytest.mark.parametrize(
    ("everywhere", "push", "allowed"),
    [
        ((False, 5), None, False),
        ((False, 5), (True, 4), False),
        ((False, 5), (True, 5), False),
        ((False, 5), (True, 6), True),  # said anew of this channel
        ((False, 5), (False, 6), False),
    ],
)
def test_a_no_to_every_channel_holds_until_one_is_allowed_anew(
    everywhere: tuple[bool, float], push: tuple[bool, float] | None, *, allowed: bool
) -> None:
    profile = saying(("*:marketing", *everywhere), *([("push:marketing", *push)] if push else []))
    assert consent.allows(profile, "push", "marketing") is allowed
    assert consent.allows(profile, "push", "transactional")
    assert not consent.allows(saying(("*:marketing", False, 1)), "push", "marketing", {"push"})


@pytest.mark.parametrize(
    ("told", "keys"),
    [
        ({"channel": "push"}, {"push:marketing"}),
        ({"channel": " E-Mail "}, {"email:marketing"}),
        ({"channel": "push, email"}, {"push:marketing", "email:marketing"}),
        ({"channel": "push;email"}, {"push:marketing", "email:marketing"}),
        ({"channel": "push", "purpose": "transactional"}, {"push:transactional"}),
        ({"channel": "push", "purpose": "marketing,transactional"}, {"push:marketing", "push:transactional"}),
        ({"purpose": "Personalization"}, {"personalisation"}),
        ({"channel": "fax"}, set()),
        ({"channel": "push", "purpose": "newsletter"}, set()),  # a clear yes names what it is for
        ({"purpose": "marketing"}, set()),
        ({}, set()),
    ],
)
def test_what_a_yes_allows(told: dict[str, Any], keys: set[str]) -> None:
    assert {change.key for change in consent.from_properties(Properties(status="granted", **told), NOW)} == keys


EVERYWHERE = {f"{channel}:{{}}" for channel in ("*", "email", "in_app", "push", "sms")}
ALL_MARKETING = {key.format("marketing") for key in EVERYWHERE}
ALL_TRANSACTIONAL = {key.format("transactional") for key in EVERYWHERE}


@pytest.mark.parametrize(
    ("told", "keys"),
    [
        ({"channel": "push"}, {"push:marketing"}),
        ({"channel": "Web Push", "purpose": "Newsletter"}, {"push:marketing"}),
        ({"channel": "push", "purpose": "transactions"}, {"push:transactional"}),
        ({"channel": "push", "purpose": "whatever"}, {"push:marketing", "push:transactional"}),
        ({"channel": "fax"}, ALL_MARKETING),
        ({"purpose": "service"}, ALL_TRANSACTIONAL),
        ({"channel": "all", "purpose": "everything"}, ALL_MARKETING | ALL_TRANSACTIONAL | {"personalisation"}),
        ({"purpose": "profiling"}, {"personalisation"}),
        ({}, ALL_MARKETING),
    ],
)
def test_what_a_no_refuses(told: dict[str, Any], keys: set[str]) -> None:
    assert {change.key for change in consent.from_properties(Properties(status="no", **told), NOW)} == keys


def test_a_no_to_all_reaches_the_channels_that_were_spoken_of() -> None:
    found = consent.refusal("", {"whatsapp:marketing": 1, "personalisation": 1})
    assert set(found) == ALL_MARKETING | {"whatsapp:marketing"}
    assert consent.refusal("whatsapp", (), ("whatsapp", "push")) == ["whatsapp:marketing"]
    assert set(consent.refusal("", (), ("whatsapp",))) == ALL_MARKETING | {"whatsapp:marketing"}


@pytest.mark.parametrize(
    ("status", "captured", "at_s"),
    [("granted", NOW - 60, NOW - 60), ("granted", NOW + 60, NOW), ("no", NOW - 60, NOW), ("granted", None, NOW)],
)
def test_since_when_a_word_holds(status: str, captured: float | None, at_s: float) -> None:
    written = None if captured is None else datetime.fromtimestamp(captured, UTC)
    (change,) = consent.from_properties(Properties(channel="push", status=status, captured_at=written), NOW)
    assert change.captured_at == at_s


def test_the_proof_of_a_word_is_bounded() -> None:
    told = Properties(channel="push", status="granted", source="s" * 300, text_version="t" * 300)
    (change,) = consent.from_properties(told, NOW)
    assert (change.source, change.text_version) == ("s" * 128, "t" * 128)


@pytest.mark.parametrize(
    ("traits", "found"),
    [
        ({"push_subscribe": "opted_in"}, {"push:marketing": True}),
        ({"Push-Subscribe": True}, {"push:marketing": True}),
        ({"push_subscribe": ["opted_in"]}, {"push:marketing": False}),
        ({"push_subscribe": None}, {}),
        (
            {"sms_subscribe": "maybe", "in_app_subscribe": "subscribed"},
            {"sms:marketing": False, "in_app:marketing": True},
        ),
        ({"subscribe": "opted_in"}, {}),
    ],
)
def test_traits_that_are_consent(traits: dict[str, TraitValue], found: dict[str, bool]) -> None:
    changes = consent.from_traits(traits, NOW)
    assert {change.key: change.granted for change in changes} == found
    assert {change.source for change in changes} <= {consent.FROM_TRAITS}


@pytest.mark.parametrize(
    ("event", "preferences", "found"),
    [
        (None, {"Ads": False}, {"push:marketing": False}),  # a no holds on whatever event
        (None, {"Ads": True}, {}),  # a yes only on the event of the choice
        ("Segment Consent Preference Updated", {"Ads": True}, {"push:marketing": True}),
        ("Segment Consent Preference Updated", {"ADS": False, "Other": True}, {"push:marketing": False}),
        ("Looked", {"Ads": True}, {}),
        (None, {}, {}),
    ],
)
def test_the_categories_of_the_shops_own_dialogue(
    event: str | None, preferences: dict[str, bool], found: dict[str, bool]
) -> None:
    context = Context(consent=ConsentPreferences(category_preferences=preferences))
    base = {"message_id": "m", "timestamp": datetime.fromtimestamp(NOW, UTC), "user_id": "u", "context": context}
    told = Track(event=event, **base) if event else Page(**base)  # type: ignore[arg-type] # as a decoder does it
    rules = consent.Rules(categories={"ads": ("push:marketing",)})
    changes = consent.from_event(told, NOW, (), rules)
    assert {change.key: change.granted for change in changes} == found
    chosen = event is not None and event.startswith("Segment")
    assert {change.source for change in changes} <= {consent.CHOICE if chosen else consent.DIALOGUE}
    assert consent.from_event(told, NOW, (), consent.NO_RULES) == []


def test_a_word_of_age_ends_with_the_birthday() -> None:
    profile = Profile(customer_id="u", adult_at={"age": (NOW, NOW + 5), "birthday": (NOW, NOW - 5)})
    assert [consent.may_personalise(profile, NOW + second) for second in (0, 4.9, 5, 6)] == [False, False, True, True]
    assert consent.may_personalise(saying(("personalisation", True, 1)), NOW)


NEVER_SET_S = consent.CLOCK_NEVER_SET_S - 1


@pytest.mark.parametrize(
    ("change", "known", "stated_s", "counts_from_s"),
    [
        (ConsentChange("push:marketing", False, NOW), None, NOW, NOW),
        (ConsentChange("push:marketing", False, NEVER_SET_S), None, NEVER_SET_S, NOW + 7),
        (ConsentChange("push:marketing", False, NOW), None, NEVER_SET_S, NOW + 7),
        (ConsentChange("push:marketing", True, NEVER_SET_S), None, NEVER_SET_S, NEVER_SET_S),
        (ConsentChange("push:marketing", False, NOW), Consent(True, NOW + 20), NOW + 30, NOW + 20),
        (ConsentChange("push:marketing", False, NOW), Consent(True, NOW + 20), NOW + 10, NOW),
        (ConsentChange("push:marketing", False, NOW), Consent(True, NOW + 9), NOW + 30, NOW),
        (ConsentChange("push:marketing", False, NOW), Consent(False, NOW + 20), NOW + 30, NOW),
    ],
    ids=[
        "as it says",
        "a clock that was never set",
        "a device whose clock was never set",
        "an opt-in is never moved",
        "the broker's clock went back after the opt-in",
        "said before the opt-in",
        "in the log after the opt-in",
        "after another opt-out",
    ],
)
def test_an_opt_out_counts_from(
    change: ConsentChange, known: Consent | None, stated_s: float, counts_from_s: float
) -> None:
    when = consent.StatementTime(stated_s=stated_s, known_s=NOW + 7, logged_s=NOW + 9)
    assert consent.dated(change, known, when) == msgspec.structs.replace(change, captured_at=counts_from_s)
