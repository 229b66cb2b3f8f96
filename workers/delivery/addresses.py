"""An address book in SQLite; take your customer database instead."""

from __future__ import annotations

import sqlite3
from pathlib import Path

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS addresses (user_id TEXT, channel TEXT, address TEXT, PRIMARY KEY (user_id, channel))"
)


class SqliteAddressBook:
    """Reads the table `addresses` of a file that somebody else writes; a change counts from the next message on.

    Raises sqlite3.OperationalError when there is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)

    def address(self, user_id: str, channel: str) -> str | None:
        query = "SELECT address FROM addresses WHERE user_id = ? AND channel = ?"
        row = self._db.execute(query, (user_id, channel)).fetchone()
        return row[0] if row else None
