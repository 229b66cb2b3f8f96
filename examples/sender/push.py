"""The push channel: a gateway that takes JSON over HTTP, and what each status means for the message."""

from __future__ import annotations

import http.client
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from examples.sender.channels import Bounced, Failed, Later, Result, Sent, Unknown
from schemas.messages import Message


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway gets. Two with one `collapse_key` are one on the device: that makes sending again harmless."""

    token: str
    title: str
    body: str
    link: str
    image_url: str
    collapse_key: str
    ttl_s: int
    ai_label: str


class Answer(msgspec.Struct, frozen=True):
    """A status of HTTP, and the gateway's wish when to come again."""

    status: int
    retry_after_s: float | None = None


class Unreachable(Exception):
    """No connection: the gateway has surely not got it."""


class NoAnswer(Exception):
    """The connection ended after the request had gone out: the gateway may have got it."""


class PushGateway(Protocol):
    """FCM, APNs or whatever stands before them."""

    def post(self, notification: Notification) -> Answer:
        """Hands one notification over. Raises Unreachable or NoAnswer."""


class HttpPushGateway:
    """POSTs to one URL, with a bearer token if there is one; follows no redirect. Raises ValueError for another scheme."""

    def __init__(self, url: str, token: str = "", timeout_s: float = 30.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an http(s) URL")
        self._connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._token = token
        self._timeout_s = timeout_s

    def post(self, notification: Notification) -> Answer:
        headers = {"Content-Type": "application/json", "Idempotency-Key": notification.collapse_key}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = self._connect(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.connect()
        except OSError as error:
            raise Unreachable(type(error).__name__) from error
        try:
            connection.request("POST", self._path, msgspec.json.encode(notification), headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(type(error).__name__) from error
        finally:
            connection.close()
        wish = response.headers.get("Retry-After", "")
        return Answer(response.status, float(wish) if wish.isdecimal() else None)


class PushChannel:
    """One request a message."""

    def __init__(self, gateway: PushGateway) -> None:
        self._gateway = gateway

    def send(self, message: Message, address: str, now: datetime) -> Result:
        try:
            answer = self._gateway.post(notification(message, address, now))
        except Unreachable as error:
            return Later(str(error), everyone=True)
        except NoAnswer as error:
            return Unknown(str(error))
        reason = f"HTTP {answer.status}"
        match answer.status:
            case 200 | 201 | 202 | 204:
                return Sent()
            case 404 | 410:  # the app is gone from that device
                return Bounced(reason)
            case 401 | 403:  # our credentials: no fault of this message
                return Later(reason, everyone=True)
            case 429 | 503:
                return Later(reason, answer.retry_after_s, everyone=True)
            case status if status >= 500:  # may be the fault of this one
                return Later(reason, answer.retry_after_s)
            case _:
                return Failed(reason)

    def close(self) -> None:
        """Nothing stays open."""


def notification(message: Message, token: str, now: datetime) -> Notification:
    """The fields of a message that a device shows. `ttl_s`: a phone that wakes up later shows nothing."""
    return Notification(
        token=token,
        title=message.title,
        body=message.body,
        link=message.cta.link_url,
        image_url=message.image_url,
        collapse_key=message.idempotency_key,
        ttl_s=max(0, int((message.expires_at - now).total_seconds())),
        ai_label=message.ai_label,
    )
