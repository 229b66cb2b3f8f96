"""Simulates customers who abandon carts, runs workers for them, and reads the decisions and outcomes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

from schemas import codec
from schemas.messages import Decision, Outcome
from tests.support.workers import produce, read, worker
from workers.settings import Settings

_numbers = count()


@contextmanager
def workers(settings: Settings, *roles: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Runs several roles of one installation inside the block."""
    with ExitStack() as stack:
        yield [stack.enter_context(worker(role, settings)) for role in roles]


def did(user: str, event: str, **properties: Any) -> tuple[bytes | None, bytes | None]:
    """Returns one event of a customer, at the current time."""
    value = {
        "type": "track",
        "event": event,
        "messageId": f"m{next(_numbers)}",
        "userId": user,
        "timestamp": datetime.now(UTC).isoformat(),
        "context": {"locale": "en-GB", "timezone": "Europe/London"},
        "properties": properties,
    }
    return user.encode(), json.dumps(value).encode()


def fill_carts(settings: Settings, users: list[str], round_: str) -> None:
    """Lets every user allow push and abandon a cart."""
    records = []
    for user in users:
        records.append(did(user, "Consent Updated", channel="push", status="subscribed"))
        cart = {"cart_id": f"{round_}-{user}", "product_id": "smart-band", "price": 199, "currency": "CNY"}
        records.append(did(user, "Product Added", **cart))
    produce(settings, "customer.events", records)


def ledger(settings: Settings) -> list[Decision]:
    """Returns every decision so far."""
    return [codec.decode(Decision, record.value) for record in read(settings, "message.decisions")]


def outcomes(settings: Settings) -> list[Outcome]:
    """Returns every outcome so far."""
    return [codec.decode(Outcome, record.value) for record in read(settings, "message.outcomes")]
