"""How long a text may be: units, vendors, suffixes, payloads."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.messages import MessageText, ProductFacts
from tests.support.core import make_playbook
from workers.core.generation.prompts import schema_for
from workers.core.generation.templates import TextContext
from workers.core.guardrails.check import check
from workers.core.playbook.channels import Channel, FieldLimit, Maximum, Vendor
from workers.core.text import length_limits

STOP = {"en": "Reply STOP to opt out", "zh": "拒收请回复R"}


def channel(limit: FieldLimit, kind: str = "push", **more: Any) -> Channel:
    """One with the same limit on title and body, in English, Russian and Chinese."""
    languages = dict.fromkeys(("en", "ru", "zh"), limit)
    return Channel(id=kind, fields={"title": languages, "body": languages}, **more)


def test_characters_are_counted_as_before() -> None:
    push = channel(FieldLimit(min_chars=4, max_chars=20))
    assert length_limits.wrong(push, "title", "en", "a" * 20) is None
    assert length_limits.wrong(push, "title", "en", "a" * 21) == "title has 21 characters, allowed are 4 to 20"
    assert length_limits.wrong(push, "title", "en", "abc") == "title has 3 characters, allowed are 4 to 20"


def test_bytes_are_those_of_utf8() -> None:
    push = channel(FieldLimit(min_chars=2, max_bytes=12))
    assert length_limits.wrong(push, "body", "zh", "好" * 4) is None
    assert length_limits.wrong(push, "body", "zh", "好" * 5) == "body has 15 bytes, allowed are 12"
    assert length_limits.wrong(push, "body", "zh", "好") == "body has 1 characters, allowed are at least 2"


def test_a_wide_character_takes_two_columns_and_a_joined_mark_none() -> None:
    push = channel(FieldLimit(max_columns=6))
    assert length_limits.wrong(push, "body", "zh", "好好ab") is None
    assert length_limits.wrong(push, "body", "zh", "好好abc") == "body has 7 columns, allowed are 6"
    assert length_limits.size("columns", "e\u0301") == 1


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ("a" * 160, None),
        ("a" * 161, "body has 2 segments in GSM 7-bit, allowed is 1"),
        ("好" * 70, None),
        ("好" * 71, "body has 2 segments in UCS-2, allowed is 1 (not in GSM 7-bit: 好)"),
        ("It’s " * 20, "body has 2 segments in UCS-2, allowed is 1 (not in GSM 7-bit: ’)"),
        ("您挑选的手环还在购物车里" * 6, "body has 2 segments in UCS-2, allowed is 1"),
    ],
)
def test_segments_are_named_with_their_encoding(body: str, wrong: str | None) -> None:
    assert length_limits.wrong(channel(FieldLimit(max_segments=1), "sms"), "body", "en", body) == wrong


def test_the_suffix_counts_and_is_sent() -> None:
    sms = channel(FieldLimit(max_segments=1), "sms", suffix=STOP)
    assert length_limits.suffixed(sms, "en", "Still here.") == "Still here. Reply STOP to opt out"
    assert length_limits.suffixed(sms, "zh", "还在购物车里。") == "还在购物车里。拒收请回复R"
    assert length_limits.suffixed(sms, "ru", "Ждёт.") == "Ждёт."
    assert length_limits.suffixed(sms, "en", "") == ""
    assert length_limits.wrong(sms, "body", "en", "a" * 138) is None
    assert length_limits.wrong(sms, "body", "en", "a" * 139) == "body has 2 segments in GSM 7-bit, allowed is 1"
    assert length_limits.wrong(sms, "title", "en", "a" * 160) is None  # it stands in the body alone
    letters = channel(FieldLimit(min_chars=2, max_chars=100), "sms", suffix=STOP)
    assert length_limits.wrong(letters, "body", "en", "a" * 78) is None
    assert length_limits.wrong(letters, "body", "en", "a" * 79) == "body has 79 characters, allowed are 2 to 78"
    octets = channel(FieldLimit(max_bytes=100), "sms", suffix=STOP)
    assert length_limits.wrong(octets, "body", "en", "a" * 79) == "body has 79 bytes, allowed are 78"


@pytest.mark.parametrize(
    ("limit", "suffix", "language", "chars"),
    [
        (FieldLimit(max_chars=60), {}, "en", 60),
        (FieldLimit(max_bytes=90), {}, "en", 90),
        (FieldLimit(max_bytes=90), {}, "ru", 45),
        (FieldLimit(max_bytes=90), {}, "zh", 30),
        (FieldLimit(max_columns=40), {}, "ru", 40),
        (FieldLimit(max_columns=41), {}, "zh", 20),
        (FieldLimit(max_segments=1), {}, "en", 160),
        (FieldLimit(max_segments=2), {}, "en", 306),
        (FieldLimit(max_segments=1), {}, "ru", 70),
        (FieldLimit(max_segments=2), {}, "zh", 134),
        (FieldLimit(max_segments=1), STOP, "en", 138),
        (FieldLimit(max_segments=1), STOP, "zh", 64),
        (FieldLimit(max_segments=1), {"en": "Reply STOP – bye"}, "en", 53),  # the dash makes it UCS-2
        (FieldLimit(max_chars=100, max_segments=1), STOP, "en", 78),
    ],
)
def test_a_writer_is_told_how_many_characters_fit(
    limit: FieldLimit, suffix: dict[str, str], language: str, chars: int
) -> None:
    sms = channel(limit, "sms", suffix=suffix)
    schema: dict[str, Any] = schema_for(sms, language)
    assert schema["properties"]["body"]["maxLength"] == chars
    letter = {"en": "a", "ru": "я", "zh": "好"}[language]
    assert length_limits.wrong(sms, "body", language, letter * chars) is None
    assert length_limits.wrong(sms, "body", language, letter * (chars + 1)) is not None


def test_the_narrowest_vendor_wins_unit_by_unit_and_is_named() -> None:
    vendors = {
        "wide": Vendor(title=Maximum(max_chars=50), body=Maximum(max_bytes=900)),
        "narrow": Vendor(title=Maximum(max_chars=16, max_columns=30)),
    }
    push = channel(FieldLimit(min_chars=4, max_chars=20), vendors=vendors)
    assert length_limits.wrong(push, "title", "en", "a" * 17) == "title has 17 characters, allowed are 4 to 16 (narrow)"
    assert length_limits.wrong(push, "title", "zh", "好" * 16) == "title has 32 columns, allowed are 30 (narrow)"
    assert length_limits.wrong(push, "body", "en", "a" * 20) is None
    room = length_limits.room(push, "title", "zh")
    assert room is not None
    assert (room.chars, room.bound.vendor) == (15, "narrow")


def test_a_vendor_limits_only_the_languages_that_it_reaches() -> None:
    vendors = {"vivo": Vendor(languages=["zh"], title=Maximum(max_columns=10), payload_bytes=10)}
    push = channel(FieldLimit(max_chars=20), vendors=vendors)
    assert length_limits.wrong(push, "title", "zh", "好" * 6) == "title has 12 columns, allowed are 10 (vivo)"
    assert length_limits.wrong(push, "title", "en", "a" * 20) is None
    assert length_limits.payload_wrong(push, "en", {"title": "a" * 20}) is None
    assert length_limits.payload_wrong(push, "zh", {"title": "a" * 20}) is not None


def test_a_payload_is_measured_as_json_in_utf8() -> None:
    vendors = {"apns": Vendor(payload_bytes=40), "fcm": Vendor(payload_bytes=4096)}
    push = channel(FieldLimit(max_chars=200), vendors=vendors)
    parts = {"title": "好", "body": "a" * 12 + "\n", "link_url": ""}
    assert length_limits.payload_wrong(push, "zh", parts) is None  # {"title":"好","body":"aaaaaaaaaaaa\n"}
    assert (
        length_limits.payload_wrong(push, "zh", parts | {"title": "好好"}) == "the payload has 42 bytes, apns takes 40"
    )


def judged(sms: Channel, body: str, language: str = "en") -> str:
    """What the guardrail `length` says of the body of an SMS."""
    about = TextContext(language=language, channel="sms", product=ProductFacts(product_id="a"))
    verdicts = check(MessageText(body=body), about, make_playbook(channels={"sms": sms}))
    return next(verdict.detail for verdict in verdicts if verdict.name == "length")


def test_the_guardrail_measures_what_will_be_sent() -> None:
    body = {language: FieldLimit(max_segments=1) for language in ("en", "zh")}
    sms = Channel(id="sms", fields={"body": body}, suffix=STOP)
    assert judged(sms, "a" * 137 + ".") == ""
    assert judged(sms, "a" * 138 + ".") == "body has 2 segments in GSM 7-bit, allowed is 1"
    assert (
        judged(sms, "您挑选的手环还在购物车里，方便时回来看看吧。" * 3, "zh")
        == "body has 2 segments in UCS-2, allowed is 1"
    )
    assert judged(sms, "a" * 138) == "body is cut off at 138 characters"  # the schema stopped a model here
