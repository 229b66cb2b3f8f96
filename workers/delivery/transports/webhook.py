"""Sends messages by webhook: the record as on its topic, signed, to one URL of a program that knows the customer.

Requests are signed according to Standard Webhooks 1.0 (standardwebhooks.com), so receivers can use existing libraries.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b64decode, b64encode
from datetime import datetime

from schemas import codec
from schemas.messages import Message
from workers.delivery.ports import Failed, Later, Result, Sent, Unknown
from workers.delivery.transports.http import NoResponse, Post, Unreachable, header_key, retry_later

_PREFIX = "whsec_"


class WebhookChannel:
    """Sends one request per message; 2xx = accepted. Two requests with the same `webhook-id` carry the same message."""

    def __init__(self, post: Post, secret: bytes) -> None:
        self._post = post
        self._secret = secret

    def send(self, message: Message, address: str, now: datetime) -> Result:
        del address  # the receiver resolves user_id
        body = codec.encode(message)
        key, timestamp = header_key(message.idempotency_key), str(int(now.timestamp()))
        headers = {
            "webhook-id": key,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature(key, timestamp, body, self._secret),
        }
        try:
            response = self._post(body, headers)
        except Unreachable as error:
            return Later(str(error), everyone=True)
        except NoResponse as error:
            return Unknown(str(error))
        if 200 <= response.status < 300:
            return Sent()
        return retry_later(response) or Failed(f"HTTP {response.status}")

    def close(self) -> None:
        """Does nothing: no connection stays open."""


def signature(key: str, timestamp: str, body: bytes, secret: bytes) -> str:
    """Returns `v1,` and the base64 of HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`."""
    signed = f"{key}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.digest(secret, signed, "sha256")).decode()


def secret_of(text: str) -> bytes:
    """Returns the key in `whsec_<base64>`. Raises ValueError unless it has 24 to 64 bytes.

    >>> len(secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    24
    """
    try:
        secret = b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if not text.startswith(_PREFIX) or not 24 <= len(secret) <= 64:
        raise ValueError("not whsec_ and the base64 of 24 to 64 bytes")
    return secret


class UserIdAddressBook:
    """The address book for receivers that know the customers: it returns the user_id as the address."""

    def address(self, user_id: str, channel: str) -> str | None:
        del channel
        return user_id
