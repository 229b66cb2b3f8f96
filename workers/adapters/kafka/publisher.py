"""Publishes the records of an operator's command durably, with an entry in the audit trail."""

from __future__ import annotations

import getpass
from datetime import datetime
from hashlib import blake2b

import msgspec
from confluent_kafka import Producer

from schemas import codec
from schemas.base import Wire
from schemas.control import AuditRecord
from workers.adapters.kafka.config import quiet_config
from workers.core.errors import Unavailable
from workers.settings import Settings

AUDIT = "audit.trail"
#: Time limit for the brokers to accept the records [s].
_TIMEOUT_S = 20.0


class OperatorRecord(msgspec.Struct, frozen=True):
    """One record. It goes to the partition of its key, like the workers' own records; a `value` of None is a tombstone."""

    topic: str
    key: str
    value: Wire | None


def person() -> str:
    """Returns the operating system's user; "unknown" in a container that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def audit(actor: str, action: str, subject: str, detail: str, at: datetime) -> OperatorRecord:
    """Returns an entry of the audit trail: who did what to what, when and why."""
    digest = blake2b("|".join((actor, action, subject, at.isoformat())).encode(), digest_size=16)
    record = AuditRecord(
        audit_id=digest.hexdigest(), actor=actor, action=action, subject=subject, detail=detail, happened_at=at
    )
    return OperatorRecord(AUDIT, subject, record)


def publish(settings: Settings, records: list[OperatorRecord], action: str, hint: str) -> None:
    """Returns once every replica has all records. `action` and `hint` are for the error message.

    Raises Unavailable: some records may have been written, so each must be safe to repeat.
    """
    failed: list[str] = []

    def delivered(error: object, _message: object) -> None:
        if error is not None:
            failed.append(str(error))

    config = {"enable.idempotence": True, "acks": "all", "message.timeout.ms": int(_TIMEOUT_S * 1000)}
    producer = Producer({**quiet_config(settings), **config, "partitioner": "murmur2_random"})
    for record in records:
        producer.produce(
            settings.topic(record.topic),
            key=record.key.encode(),
            value=codec.encode(record.value) if record.value is not None else None,
            on_delivery=delivered,
        )
    producer.flush(_TIMEOUT_S + 5)
    if failed or len(producer):
        what = failed[0] if failed else "no response"
        raise Unavailable(f"Kafka did not accept the whole {action}: {what}.", hint)
