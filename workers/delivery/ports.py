"""Ports of a sender: what it needs from outside, and what a channel can answer."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol

import msgspec

from schemas.messages import Message


class Sent(msgspec.Struct, frozen=True):
    """The next hop has taken it over. Not that anybody has it."""


class Bounced(msgspec.Struct, frozen=True):
    """The address does not take messages: never again (`hard`), or not now (`soft`)."""

    reason: str
    bounce_type: Literal["hard", "soft"] = "hard"


class NoAddress(msgspec.Struct, frozen=True):
    """What the address book holds cannot be an address of this channel; nobody was asked."""


class Failed(msgspec.Struct, frozen=True):
    """This message can never be sent; others can."""

    reason: str


class Later(msgspec.Struct, frozen=True):
    """It has surely not left, and may next time. `everyone`: the server is the reason, the next message would fail as well."""

    reason: str
    after_s: float | None = None
    everyone: bool = False


class Unknown(msgspec.Struct, frozen=True):
    """The connection ended after the words had gone out and before an answer: it may have left."""

    reason: str


Result = Sent | Bounced | NoAddress | Failed | Later | Unknown


class Channel(Protocol):
    """Hands one message over. Never raises for what the other side does; a reason never holds an address or a text."""

    def send(self, message: Message, address: str, now: datetime) -> Result:
        """Tries once, within the channel's timeout."""

    def close(self) -> None:
        """Ends the connection, if there is one."""


class AddressBook(Protocol):
    """Where a customer can be reached. Attune never knows it."""

    def address(self, user_id: str, channel: str) -> str | None:
        """The newest address; None = this customer has none on this channel."""
