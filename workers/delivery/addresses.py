"""Reads addresses from a SQLite file; replace it with one that queries your customer database."""

from __future__ import annotations

import sqlite3
from pathlib import Path

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS addresses (user_id TEXT, channel TEXT, address TEXT, PRIMARY KEY (user_id, channel))"
)


class SqliteAddressBook:
    """Reads the table `addresses` of a file that another program writes; a change takes effect with the next message.

    Raises sqlite3.OperationalError if the file does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)

    def address(self, user_id: str, channel: str) -> str | None:
        query = "SELECT address FROM addresses WHERE user_id = ? AND channel = ?"
        row = self._db.execute(query, (user_id, channel)).fetchone()
        return row[0] if row else None
