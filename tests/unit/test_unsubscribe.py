"""The signed link of one-click unsubscribe: what it says, and everything that is refused."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from tests.unit.test_smtp import MESSAGE
from workers.delivery.unsubscribe import Unsubscribe, link, read

SECRET = b"a secret of the tests"


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


@pytest.mark.parametrize("user", ["a", "an", "ana", "anas", "用户", "a|b", 'say "hi"', "x" * 200])
@pytest.mark.parametrize("channel", ["email", "sms"])
def test_a_link_says_who_wants_what_no_longer(user: str, channel: str) -> None:
    message = msgspec.structs.replace(MESSAGE, user_id=user, channel=channel)
    assert read(token_of(link(message, SECRET)), SECRET) == Unsubscribe(user, channel, "m1")


@pytest.mark.parametrize(
    ("url", "before", "after"),
    [
        ("https://shop.example/u", "https://shop.example/u?token=", ""),
        ("https://shop.example/u?list=1", "https://shop.example/u?list=1&token=", ""),
        ("https://shop.example/u?list=1#top", "https://shop.example/u?list=1&token=", "#top"),
        ("https://shop.example", "https://shop.example?token=", ""),
    ],
)
def test_the_url_keeps_what_it_has(url: str, before: str, after: str) -> None:
    found = link(msgspec.structs.replace(MESSAGE, unsubscribe_url=url), SECRET)
    assert found.startswith(before)
    assert found.endswith(after)
    assert read(token_of(found), SECRET).user_id == "ana"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://shop.example/u",
        "https://",
        "https://shop.example/a b",
        "https://shop.example/<u>",
        "https://shop.example/u\nBcc: eve@evil.example",
        "https://bücher.example/u",
        "x https://shop.example/u",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_https_url_gets_no_link(url: str) -> None:
    with pytest.raises(ValueError, match="unsubscribe_url is not an https URL"):
        link(msgspec.structs.replace(MESSAGE, unsubscribe_url=url), SECRET)


def test_every_bit_of_a_token_is_signed() -> None:
    token = token_of(link(MESSAGE, SECRET))
    raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for place in range(len(raw)):
        forged = bytearray(raw)
        forged[place] ^= 1
        with pytest.raises(ValueError, match="signature is wrong"):
            read(urlsafe_b64encode(bytes(forged)).decode().rstrip("="), SECRET)


def test_the_signature_has_sixteen_bytes_and_stands_before_what_it_signs() -> None:
    token = token_of(link(MESSAGE, SECRET))
    raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    assert raw[16:] == b'["ana","email","m1"]'
    for cut in (raw[1:], raw[:-1], raw[:15], raw[16:], b""):
        with pytest.raises(ValueError, match="signature is wrong"):
            read(urlsafe_b64encode(cut).decode(), SECRET)


@pytest.mark.parametrize("secret", [b"another secret", b"", SECRET + b"x"])
def test_the_secret_of_somebody_else_opens_nothing(secret: bytes) -> None:
    with pytest.raises(ValueError, match="signature is wrong"):
        read(token_of(link(MESSAGE, SECRET)), secret)


@pytest.mark.parametrize("token", ["A", "AAAAA", "é", "AA AA\n"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match=r"not a token|signature is wrong"):
        read(token, SECRET)


def test_the_same_message_has_the_same_link() -> None:
    assert link(MESSAGE, SECRET) == link(MESSAGE, SECRET)
    assert link(msgspec.structs.replace(MESSAGE, user_id="bo"), SECRET) != link(MESSAGE, SECRET)
