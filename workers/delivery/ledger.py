"""Keeps a sender's durable state in SQLite: messages waiting, messages sent, and feedback not yet published.

One row per `idempotency_key`: `waiting` → `sending` → sent | bounced | dropped | failed | skipped. `sending` is on disk before
the channel is called, so a message that a crash interrupted is never mistaken for one that was not attempted.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

import msgspec

from schemas import codec
from schemas.messages import Feedback, Message

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    key TEXT PRIMARY KEY,          -- idempotency_key
    message_id TEXT NOT NULL,
    lane TEXT NOT NULL,            -- its topic and partition; the member that owns the partition sends it
    state TEXT NOT NULL,
    due_s REAL NOT NULL,           -- send_at, or the next attempt
    attempts INTEGER NOT NULL DEFAULT 0,
    changed_s REAL NOT NULL,
    record BLOB                    -- the message; NULL as soon as it has ended
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting ON messages (due_s) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS sending ON messages (due_s) WHERE state = 'sending';
CREATE INDEX IF NOT EXISTS by_message ON messages (message_id);
CREATE INDEX IF NOT EXISTS by_age ON messages (changed_s);
CREATE TABLE IF NOT EXISTS cancellations (message_id TEXT PRIMARY KEY, changed_s REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    event_id TEXT PRIMARY KEY,
    lane TEXT NOT NULL,
    user_id TEXT NOT NULL,
    record BLOB NOT NULL
) WITHOUT ROWID;
"""


_DUE = """
SELECT key, record, attempts, EXISTS (SELECT 1 FROM cancellations c WHERE c.message_id = m.message_id)
FROM messages m WHERE state = 'waiting' AND due_s <= ? AND lane IN (SELECT value FROM json_each(?)) ORDER BY due_s LIMIT 1
"""
_LONGEST_DUE = """
SELECT due_s FROM messages
WHERE state = 'waiting' AND due_s > 0 AND lane IN (SELECT value FROM json_each(?)) ORDER BY due_s LIMIT 1
"""
_INTERRUPTED = """
SELECT key, record, attempts, FALSE
FROM messages WHERE state = 'sending' AND lane IN (SELECT value FROM json_each(?)) ORDER BY due_s LIMIT 1
"""


class Entry(msgspec.Struct, frozen=True):
    """One message that has not ended. `attempts`: number made so far. `cancelled`: it must not be sent."""

    key: str
    message: Message
    attempts: int
    cancelled: bool


class Ledger:
    """One SQLite file (WAL, every commit synced to disk). All processes of one consumer group must share it.

    `:memory:` is for experiments only: after a crash its messages are sent again. Times are seconds since the epoch.
    """

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA secure_delete = ON")  # deleted records leave no message text in free pages
        self._db.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits everything written inside the block, or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add(self, message: Message, lane: str, due_s: float, now_s: float) -> bool:
        """Stores a message. False = its key is already stored, in any state."""
        row = (message.idempotency_key, message.message_id, lane, due_s, now_s, codec.encode(message))
        added = self._db.execute(
            "INSERT INTO messages (key, message_id, lane, state, due_s, changed_s, record)"
            " VALUES (?, ?, ?, 'waiting', ?, ?, ?) ON CONFLICT DO NOTHING",
            row,
        ).rowcount
        cancelled = self._db.execute(
            "SELECT 1 FROM cancellations WHERE message_id = ?", (message.message_id,)
        ).fetchone()
        if cancelled:
            self._make_due(message.message_id)
        return added == 1

    def cancel(self, message_id: str, now_s: float) -> None:
        """Marks a message, stored or not yet received, as not to be sent. Has no effect on one already sent."""
        self._db.execute("INSERT INTO cancellations VALUES (?, ?) ON CONFLICT DO NOTHING", (message_id, now_s))
        self._make_due(message_id)

    def due(self, lanes: Collection[str], now_s: float) -> Entry | None:
        """Returns the message of these lanes that has been due longest."""
        return self._entry(_DUE, now_s, json.dumps(sorted(lanes)))

    def late_s(self, lanes: Collection[str], now_s: float) -> float:
        """Returns how long the longest-due message of these lanes has been due [s]; 0 = none is due."""
        due_s = self._db.execute(_LONGEST_DUE, (json.dumps(sorted(lanes)),)).fetchone()
        return max(0.0, now_s - due_s[0]) if due_s else 0.0

    def interrupted(self, lanes: Collection[str]) -> Entry | None:
        """Returns a message whose sending began but did not end because its process died."""
        return self._entry(_INTERRUPTED, json.dumps(sorted(lanes)))

    def start(self, key: str, now_s: float) -> None:
        """Marks a message as being sent; call it right before the channel's `send`."""
        self._db.execute(
            "UPDATE messages SET state = 'sending', attempts = attempts + 1, changed_s = ? WHERE key = ?", (now_s, key)
        )

    def postpone(self, key: str, due_s: float, now_s: float) -> None:
        """Marks a message as not sent, and due again at `due_s`."""
        self._db.execute(
            "UPDATE messages SET state = 'waiting', due_s = ?, changed_s = ? WHERE key = ?", (due_s, now_s, key)
        )

    def end(self, key: str, feedback: Feedback, now_s: float) -> None:
        """Stores a message's final status; deletes its text and puts its feedback into the outbox."""
        with self.transaction():
            self._db.execute(
                "UPDATE messages SET state = ?, changed_s = ?, record = NULL WHERE key = ?",
                (feedback.status, now_s, key),
            )
            self._db.execute(
                "INSERT INTO outbox SELECT ?, lane, ?, ? FROM messages WHERE key = ? ON CONFLICT DO NOTHING",
                (feedback.event_id, feedback.user_id, codec.encode(feedback), key),
            )

    def unpublished(self, lanes: Collection[str], limit: int) -> list[tuple[str, str, bytes]]:
        """Returns feedback of these lanes that is not yet in Kafka: (event_id, user_id, record)."""
        query = "SELECT event_id, user_id, record FROM outbox WHERE lane IN (SELECT value FROM json_each(?)) LIMIT ?"
        return self._db.execute(query, (json.dumps(sorted(lanes)), limit)).fetchall()

    def published(self, event_ids: Iterable[str]) -> None:
        """Removes feedback from the outbox after Kafka has acknowledged it."""
        with self.transaction():
            self._db.executemany("DELETE FROM outbox WHERE event_id = ?", [(event_id,) for event_id in event_ids])

    def purge(self, before_s: float) -> int:
        """Deletes keys and cancellations last changed before `before_s`, except open messages. Returns the number of keys."""
        with self.transaction():
            self._db.execute("DELETE FROM cancellations WHERE changed_s < ?", (before_s,))
            return self._db.execute(
                "DELETE FROM messages WHERE changed_s < ? AND state NOT IN ('waiting', 'sending')", (before_s,)
            ).rowcount

    def close(self) -> None:
        self._db.close()

    def _make_due(self, message_id: str) -> None:
        """Makes a cancelled message due now, so that its feedback does not wait for `send_at`."""
        self._db.execute("UPDATE messages SET due_s = 0 WHERE message_id = ? AND state = 'waiting'", (message_id,))

    def _entry(self, query: str, *values: object) -> Entry | None:
        row = self._db.execute(query, values).fetchone()
        if row is None:
            return None
        key, record, attempts, cancelled = row
        return Entry(key, codec.decode(Message, record), attempts, bool(cancelled))
