"""Sends push messages through Firebase Cloud Messaging (HTTP v1), or any service that accepts the same JSON.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages and .../v1/ErrorCode
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from schemas.messages import Message
from workers.delivery.ports import Bounced, Failed, Later, Result, Sent, Unknown
from workers.delivery.transports.http import NoResponse, Post, Unreachable, retry_later

#: FCM's maximum time to live [s].
_MAX_TTL_S = 28 * 86_400
_CODE = re.compile(rb'"errorCode"\s*:\s*"([A-Z_]{1,40})"')


class FcmChannel:
    """Sends one request per message, to one device. Only FCM's own error codes count as bounces: a wrong project returns 404."""

    def __init__(self, post: Post, bearer_token: Callable[[], str]) -> None:
        """`bearer_token` is called before each request because tokens are renewed every hour; "" = no valid token."""
        self._post = post
        self._bearer_token = bearer_token

    def send(self, message: Message, address: str, now: datetime) -> Result:
        bearer = self._bearer_token()
        if not bearer:
            return Later("no bearer token", everyone=True)
        body = msgspec.json.encode(request(message, address, now))
        try:
            response = self._post(body, {"Authorization": f"Bearer {bearer}"})
        except Unreachable as error:
            return Later(str(error), everyone=True)
        except NoResponse as error:
            return Unknown(str(error))
        code = _error_code(response.body) if response.status >= 400 else ""
        reason = f"HTTP {response.status} {code}".rstrip()
        match response.status, code:
            case (200, _):
                return Sent()
            case (_, "UNREGISTERED" | "SENDER_ID_MISMATCH"):  # the app was removed, or is a different one
                return Bounced(reason)
            case (_, "THIRD_PARTY_AUTH_ERROR"):  # for example Apple's credentials: other devices still work
                return Later(reason)
            case (403 | 404, _):  # our credentials or project: not caused by this message
                return Later(reason, response.retry_after_s, everyone=True)
            case _:
                return retry_later(response) or Failed(reason)

    def close(self) -> None:
        """Does nothing: no connection stays open."""


def request(message: Message, token: str, now: datetime) -> dict[str, Any]:
    """Returns FCM's request body. A repeat with the same key replaces the first on the device; an expired message is not shown.

    It has no Android `collapse_key`: FCM stores four per device, so with one key per message the fifth would be dropped.
    """
    key = hashlib.sha256(message.idempotency_key.encode()).hexdigest()[
        :32
    ]  # a web push Topic is limited to 32 characters
    ttl_s = min(max(0, int((message.expires_at - now).total_seconds())), _MAX_TTL_S)
    shown = {
        "title": message.title,
        "body": "\n".join(text for text in (message.body, message.ai_label) if text),
        "image": message.image_url,
    }
    link = message.cta.link_url
    web = {"fcm_options": {"link": link}} if link.startswith("https://") else {}
    return {
        "message": {
            "token": token,
            "notification": {name: text for name, text in shown.items() if text},
            "data": {"message_id": message.message_id, "link": link},
            "android": {"ttl": f"{ttl_s}s", "notification": {"tag": key}},
            "apns": {"headers": {"apns-collapse-id": key, "apns-expiration": str(int(now.timestamp()) + ttl_s)}},
            "webpush": {"headers": {"TTL": str(ttl_s), "Topic": key}, **web},
        }
    }


class TokenFile:
    """Reads the bearer token from a file that another program renews, on every call."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> str:
        """Returns the token; "" if the file does not exist or holds no valid token."""
        try:
            token = self._path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""
        return token if re.fullmatch(r"[!-~]+", token) else ""


def _error_code(body: bytes) -> str:
    """Returns FCM's own code from `error.details`; "" if the response is not FCM's."""
    found = _CODE.search(body)
    return found[1].decode() if found else ""
