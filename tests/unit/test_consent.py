"""Default deny; the newest word holds; personalisation is a purpose of its own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from schemas.events import Properties
from workers.core import consent
from workers.core.profile import ConsentChange, Profile

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
