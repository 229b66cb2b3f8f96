"""Sends push messages through a gateway that accepts JSON over HTTP, and interprets its statuses."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from schemas.messages import Message
from workers.delivery.ports import Bounced, Failed, Later, Result, Sent, Unknown
from workers.delivery.transports.http import Endpoint, NoResponse, Response, Unreachable, header_key, retry_later


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's request body. A device shows two with the same `collapse_key` as one, so sending again is harmless."""

    token: str
    title: str
    body: str
    link: str
    image_url: str
    collapse_key: str
    ttl_s: int
    ai_label: str


class PushGateway(Protocol):
    """A gateway in front of FCM, APNs or similar services."""

    def post(self, notification: Notification) -> Response:
        """Submits one notification. Raises Unreachable or NoResponse."""


class HttpPushGateway:
    """POSTs to one URL, with a bearer token if there is one. Raises ValueError if it is not an http(s) URL."""

    def __init__(self, url: str, token: str = "", timeout_s: float = 30.0) -> None:
        self._endpoint = Endpoint(url, timeout_s)
        self._token = token

    def post(self, notification: Notification) -> Response:
        headers = {"Idempotency-Key": header_key(notification.collapse_key)}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return self._endpoint.post(msgspec.json.encode(notification), headers)


class PushChannel:
    """Sends one request per message."""

    def __init__(self, gateway: PushGateway) -> None:
        self._gateway = gateway

    def send(self, message: Message, address: str, now: datetime) -> Result:
        try:
            response = self._gateway.post(notification(message, address, now))
        except Unreachable as error:
            return Later(str(error), everyone=True)
        except NoResponse as error:
            return Unknown(str(error))
        reason = f"HTTP {response.status}"
        match response.status:
            case 200 | 201 | 202 | 204:
                return Sent()
            case 404 | 410:  # the app was removed from the device
                return Bounced(reason)
            case 403:  # our credentials: not caused by this message
                return Later(reason, everyone=True)
            case _:
                return retry_later(response) or Failed(reason)

    def close(self) -> None:
        """Does nothing: no connection stays open."""


def notification(message: Message, token: str, now: datetime) -> Notification:
    """Returns the fields of a message that a device shows. After `ttl_s`, a device that was offline shows nothing."""
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
