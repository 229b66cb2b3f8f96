"""Creates and reads one-click unsubscribe links (RFC 8058), which identify customer and message and cannot be forged.

The mailbox provider sends a POST with the body `List-Unsubscribe=One-Click`, without a cookie or a login. The link contains
everything that the receiving service needs; the service calls `read`.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import urlencode, urlsplit

import msgspec

from schemas.messages import Message

_HTTPS = re.compile(r"https://[!-;=?-~]+")  # ASCII without space, < and >


class Unsubscribe(msgspec.Struct, frozen=True, array_like=True):
    """The customer, channel and message of an unsubscribe request."""

    user_id: str
    channel: str
    message_id: str


def link(message: Message, secret: bytes) -> str:
    """Returns the message's `unsubscribe_url` with a signed token. Raises ValueError unless it is an https URL."""
    if not _HTTPS.fullmatch(message.unsubscribe_url):
        raise ValueError("unsubscribe_url is not an https URL")
    claims = msgspec.json.encode(Unsubscribe(message.user_id, message.channel, message.message_id))
    token = urlsafe_b64encode(_signature(claims, secret) + claims).decode().rstrip("=")
    parts = urlsplit(message.unsubscribe_url)
    query = "&".join(part for part in (parts.query, urlencode({"token": token})) if part)
    return parts._replace(query=query).geturl()


_decode = msgspec.json.Decoder(Unsubscribe).decode


def read(token: str, secret: bytes) -> Unsubscribe:
    """Returns the content of a token. Raises ValueError if its signature is not ours."""
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError as error:
        raise ValueError("not a token") from error
    signature, claims = raw[:16], raw[16:]
    if not hmac.compare_digest(signature, _signature(claims, secret)):
        raise ValueError("the signature is wrong")
    return _decode(claims)


def _signature(claims: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, b"unsubscribe" + claims, "sha256")[:16]
