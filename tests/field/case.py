"""Defines one row of the table, and the functions that run it through the core."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from typing import Any

import msgspec

from schemas import codec
from schemas.control import DeadLetter
from tests.support.core import LaneHarness
from tests.support.intake import NOW, map_all
from workers.core.personalisation.processor import FEEDBACK
from workers.core.profile import consent

#: The value at a path that does not exist.
ABSENT = None


@dataclass(frozen=True)
class Case:
    """One case. `right`: dotted path into the result of `way` → expected value; None = there is no such path."""

    id: str
    source: str
    way: Callable[[Any], Any]
    given: Any
    right: Mapping[str, Any]


@dataclass(frozen=True)
class Sent:
    """A record of a shop with key and headers."""

    value: object
    key: bytes | None = None
    headers: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class SenderFeedback:
    """Feedback about a customer who allowed push, with the fields that a sender changed."""

    fields: dict[str, Any] = field(default_factory=dict)


def found_at(value: Any, path: str) -> Any:
    """Returns the value at a dotted path; None if it does not exist."""
    for step in path.split("."):
        if isinstance(value, list) and step.isdigit():
            value = value[int(step)] if int(step) < len(value) else None
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return ABSENT
    return value


def mapped(given: Any) -> dict[str, Any]:
    """Returns the first event of a shop's record, with `key`, `count` (events) and `rejected` (reasons)."""
    sent = given if isinstance(given, Sent) else Sent(given)
    result = map_all(sent.value, key=sent.key, headers=sent.headers)
    events = [json.loads(event.value) for event in result.events]
    decoded = [codec.decode_event(event.value) for event in result.events]
    first = events[0] if events else {}
    if decoded:  # timestamps of valid events are passed on unchanged
        first["timestamp"] = f"{decoded[0].timestamp.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return {
        **first,
        "all": events,
        "key": result.events[0].key.decode() if events else None,
        "count": len(events),
        "rejected": [error.reason for error in result.rejects],
    }


def profiled(given: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the profile of `ana` after these records of a shop, and whether personalised messages are allowed.

    Records without a timestamp are a minute apart.
    """
    lane = LaneHarness()
    at = NOW
    for number, fields in enumerate(given):
        at += timedelta(minutes=1)
        defaults = {"messageId": f"m-{number}", "userId": "ana", "timestamp": at.isoformat()}
        events = map_all(defaults | fields if "type" in fields else fields).events
        lane.run([lane.record(event.value, event.key) for event in events], at.timestamp())
    profile = lane.profile()
    found: dict[str, Any] = json.loads(msgspec.json.encode(msgspec.structs.asdict(profile)))
    found["carts"] = {
        name: {key: line.quantity for key, line in cart.lines.items()} for name, cart in profile.carts.items()
    }
    found["consent"] = {key: word.granted for key, word in profile.consent.items()}
    found["may_personalise"] = consent.may_personalise(profile, at.timestamp())
    return found


def feedback_effect(given: SenderFeedback) -> dict[str, Any]:
    """Returns the effect of feedback on a customer who allowed push and e-mail, and why it was rejected."""
    lane = LaneHarness()
    at_s = NOW.timestamp()
    lane.run(lane.allow("push", "email", at_s=at_s), at_s)
    value = {
        "event_id": "f-1",
        "message_id": "m-1",
        "user_id": "ana",
        "channel": "push",
        "status": "unsubscribed",
        "timestamp": (NOW + timedelta(minutes=1)).isoformat(),
    } | given.fields
    lane.run([lane.record(json.dumps(value).encode(), b"ana", FEEDBACK)], at_s + 120)
    profile = lane.profile()
    return {
        "consent": {key: word.granted for key, word in profile.consent.items()},
        "unreachable": sorted(profile.unreachable),
        "rejected": [letter.reason for letter in lane.of("dead.letters", DeadLetter)],
    }
