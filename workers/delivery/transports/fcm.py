"""The push channel of Firebase Cloud Messaging, HTTP v1, and of whoever takes the same JSON.

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
from workers.delivery.transports.http import NoAnswer, Post, Unreachable, not_now

#: The longest that FCM keeps a message [s].
_MOST_TTL_S = 28 * 86_400
_CODE = re.compile(rb'"errorCode"\s*:\s*"([A-Z_]{1,40})"')


class FcmChannel:
    """One request a message, to one device. Only FCM's own error codes condemn a device: a wrong project is a 404 as well."""

    def __init__(self, post: Post, bearer_token: Callable[[], str]) -> None:
        """`bearer_token` is asked before each request, for it is renewed every hour; "" = there is none now."""
        self._post = post
        self._bearer_token = bearer_token

    def send(self, message: Message, address: str, now: datetime) -> Result:
        bearer = self._bearer_token()
        if not bearer:
            return Later("no bearer token", everyone=True)
        body = msgspec.json.encode(request(message, address, now))
        try:
            answer = self._post(body, {"Authorization": f"Bearer {bearer}"})
        except Unreachable as error:
            return Later(str(error), everyone=True)
        except NoAnswer as error:
            return Unknown(str(error))
        code = _error_code(answer.body) if answer.status >= 400 else ""
        reason = f"HTTP {answer.status} {code}".rstrip()
        match answer.status, code:
            case (200, _):
                return Sent()
            case (_, "UNREGISTERED" | "SENDER_ID_MISMATCH"):  # the app is gone from that device, or is another one
                return Bounced(reason)
            case (_, "THIRD_PARTY_AUTH_ERROR"):  # Apple's credentials, say: other devices still work
                return Later(reason)
            case (403 | 404, _):  # our credentials, our project: no fault of this message
                return Later(reason, answer.retry_after_s, everyone=True)
            case _:
                return not_now(answer) or Failed(reason)

    def close(self) -> None:
        """Nothing stays open."""


def request(message: Message, token: str, now: datetime) -> dict[str, Any]:
    """What FCM gets. A second one of the same key replaces the first on the device; a phone that wakes up too late shows none.

    No Android `collapse_key`: FCM keeps four of them a device, and a key for each message would lose the fifth.
    """
    key = hashlib.sha256(message.idempotency_key.encode()).hexdigest()[:32]  # a web push Topic takes 32 characters
    ttl_s = min(max(0, int((message.expires_at - now).total_seconds())), _MOST_TTL_S)
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
    """The bearer token in a file that somebody else renews; read each time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> str:
        """The token, "" when there is no file or no token in it."""
        try:
            token = self._path.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""
        return token if re.fullmatch(r"[!-~]+", token) else ""


def _error_code(body: bytes) -> str:
    """FCM's own code out of `error.details`, "" in an answer of somebody else."""
    found = _CODE.search(body)
    return found[1].decode() if found else ""
