"""Emoji: counted as a reader sees them, and no more of them in a text than its channel allows."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from schemas.messages import MessageText, ProductFacts
from tests.support.core import make_playbook
from workers.core.generation.templates import TextContext
from workers.core.guardrails.check import check
from workers.core.playbook.channels import Channel, FieldLimit
from workers.core.playbook.playbook import Playbook
from workers.core.text import emoji

VS15, VS16, ZWJ, KEYCAP = "\ufe0e", "\ufe0f", "\u200d", "\u20e3"
ENGLAND = "🏴" + "".join(chr(0xE0000 + ord(letter)) for letter in "gbeng") + "\U000e007f"

COUNTS = {
    "no text": ("", 0),
    "plain text": ("Your Smart Band is in your cart.", 0),
    "accents and quotes": ("Déjà vu: “naïve” – it’s 20 €…", 0),
    "Chinese and its punctuation": ("智能手环在等你，回来看看吧！《新》「款」〜、。〇々", 0),
    "digits and signs": ("7 days, #1, 5 * 3, 1,299", 0),
    "fullwidth digits": ("１２３＃＊", 0),
    "text symbols": ("Band™ © ® ℃ № ℹ → ↔ ★ ☆ ♪ ♡ ✓ • § ㊙ Ⓜ", 0),
    "a digit with a variation selector and no keycap": (f"1{VS16}", 0),
    "one": ("Ready 🎧", 1),
    "several in a row": ("🎧🎧🔥", 3),
    "several in a sentence": ("Run 🏃 and sleep 😴 well ✨.", 3),
    "symbols that are emoji by themselves": ("⌚⏰⚡⭐✅❌", 6),
    "a telephone as a text symbol": ("☎", 0),
    "a telephone as an emoji": (f"☎{VS16}", 1),
    "a heart of each kind": (f"❤ ❤{VS16}", 1),
    "an emoji shown as a text symbol": (f"⌚{VS15} ⚡{VS15} ☎{VS15}", 0),
    "a trademark as an emoji": (f"Band™{VS16}", 1),
    "a wavy dash as an emoji": (f"〰 〰{VS16}", 1),
    "pictures that fonts have as emoji only": ("🛍 🏷 🌡 🕶", 4),
    "a picture with its variation selector": (f"🛍{VS16}", 1),
    "a picture shown as a text symbol": (f"🛍{VS15}", 0),
    "skin tones": ("👍🏽👋🏿", 2),
    "skin tones on symbols": (f"☝🏽 ✌{VS16}🏻", 2),
    "a skin tone by itself": ("🏽", 1),
    "flags": ("🇩🇪🇬🇧", 2),
    "half a flag": ("🇩🇪🇬", 2),
    "the flag of a region": (f"{ENGLAND}{ENGLAND}", 2),
    "keycaps": (f"1{VS16}{KEYCAP}2{KEYCAP}#{VS16}{KEYCAP}", 3),
    "a family": (f"👨{ZWJ}👩{ZWJ}👧{ZWJ}👦", 1),
    "a profession with a skin tone": (f"👩🏽{ZWJ}⚕{VS16}", 1),
    "two hands": (f"🫱🏻{ZWJ}🫲🏿", 1),
    "a sequence without its variation selectors": (f"❤{ZWJ}🔥 🏳{ZWJ}🌈", 2),
    "a sequence with them": (f"❤{VS16}{ZWJ}🔥 🏳{VS16}{ZWJ}🌈", 2),
    "a joiner that joins nothing": (f"🎧{ZWJ} 🎧{ZWJ}", 2),
    "emoji of Unicode 15 and later": ("🫨🫩🪿", 3),
    "mahjong, cards and squared letters": ("🀄🃏🆗🆕🈶🉐", 6),
    "other tiles and cards": ("🀀🂡🄰", 0),
}


@pytest.mark.parametrize(("text", "count"), COUNTS.values(), ids=COUNTS)
def test_emoji_are_counted_as_a_reader_sees_them(text: str, count: int) -> None:
    assert emoji.count(text) == count


def book(kind: str = "push", **more: Any) -> Playbook:
    """A playbook of one channel with a title and a body."""
    limit = {"en": FieldLimit(max_chars=200)}
    channel = Channel(id=kind, fields={"title": limit, "body": limit}, **more)
    return make_playbook(channels={kind: channel})


def judged(playbook: Playbook, **fields: str) -> str:
    """What the guardrail says of a text; "" = it passes."""
    (channel,) = playbook.channels
    about = TextContext(language="en", channel=channel, product=ProductFacts(product_id="a"))
    return next(verdict.detail for verdict in check(MessageText(**fields), about, playbook) if verdict.name == "emoji")


def test_a_text_has_at_most_the_emoji_of_its_channel_over_all_fields() -> None:
    one = book(max_emoji=1)
    assert judged(one, title="Still here", body="Ready when you are 🎧") == ""
    assert judged(one, title="Still here", body="Ready 🎧🔥 when you are ✨") == "3 emoji in body, allowed are 1"
    assert judged(one, title="Here 🎧", body="Ready 🔥") == "2 emoji in title and body, allowed are 1"


def test_a_channel_that_allows_none_gets_none() -> None:
    assert judged(book(max_emoji=0), body="Ready when you are.") == ""
    assert judged(book(max_emoji=0), body="Ready when you are 🎧") == "1 emoji in body, allowed are 0"


def test_a_channel_that_says_nothing_allows_two() -> None:
    assert judged(book(), title="Here 🎧", body="Ready 🔥") == ""
    assert judged(book(), title="Here 🎧", body="Ready 🔥🔥") == "3 emoji in title and body, allowed are 2"


def test_symbols_are_judged_as_written_and_not_as_normalised() -> None:
    assert judged(book(max_emoji=0), body="Smart Band™ at 20 ℃, ready.") == ""
    assert judged(book(max_emoji=0), body=f"Smart Band™{VS16}, ready.") == "1 emoji in body, allowed are 0"


def test_the_emoji_of_a_suffix_count() -> None:
    sms = book("sms", max_emoji=2, suffix={"en": "Reply STOP 🛑", "zh": "🛑🛑🛑"})
    assert judged(sms, title="Here", body="Ready 🎧") == ""
    assert judged(sms, title="Here", body="Ready 🎧🎧") == "2 emoji in body, allowed are 1"
    full = replace(sms.channels["sms"], max_emoji=0)
    assert judged(make_playbook(channels={"sms": full}), body="Ready.") == ""
