"""Defines the ports of a sender (channel and address book) and the results of a send."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Protocol

import msgspec

from schemas.messages import Message


class Sent(msgspec.Struct, frozen=True):
    """The next hop has accepted the message. This does not mean that the customer has received it."""


class Bounced(msgspec.Struct, frozen=True):
    """The address does not accept messages: permanently (`hard`), or for now (`soft`)."""

    reason: str
    bounce_type: Literal["hard", "soft"] = "hard"


class NoAddress(msgspec.Struct, frozen=True):
    """The address book's entry cannot be an address of this channel; no service was contacted."""


class Failed(msgspec.Struct, frozen=True):
    """This message can never be sent; others can."""

    reason: str


class Later(msgspec.Struct, frozen=True):
    """The message was certainly not sent; a retry may work. `everyone`: the server is the cause, so the next would fail too."""

    reason: str
    after_s: float | None = None
    everyone: bool = False


class Unknown(msgspec.Struct, frozen=True):
    """The connection ended after the message was transmitted but before a reply arrived: it may have been sent."""

    reason: str


Result = Sent | Bounced | NoAddress | Failed | Later | Unknown


class Channel(Protocol):
    """Sends messages. Never raises for errors of the other side; a reason never contains an address or a message text."""

    def send(self, message: Message, address: str, now: datetime) -> Result:
        """Tries once, within the channel's timeout."""

    def close(self) -> None:
        """Closes the connection, if there is one."""


class AddressBook(Protocol):
    """Looks up a customer's addresses, which no other part of Attune has access to."""

    def address(self, user_id: str, channel: str) -> str | None:
        """Returns the newest address; None = this customer has none on this channel."""
