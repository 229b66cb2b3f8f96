"""Formats log records: as lines for people, or as one JSON object a line for log collectors (Loki, Elasticsearch)."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import IO, Literal

#: Libraries whose informational messages describe their own work, not ours.
_NOISY = ("aiokafka", "faust", "mode", "asyncio", "kafka")

LogFormat = Literal["text", "json"]


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: `time` (RFC 3339, UTC, ms), `level`, `role`, `logger`, `message`, and the stack
    trace as `exception`.
    """

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, without a newline inside."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "role": self._role,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        return json.dumps(fields, ensure_ascii=False)


def configure(role: str, level: str, log_format: LogFormat, stream: IO[str] | None = None) -> None:
    """Sends the process's log to `stream` (standard error by default); replaces handlers set before."""
    handler = logging.StreamHandler(stream)
    if log_format == "json":
        handler.setFormatter(JsonFormatter(role))
    else:
        handler.setFormatter(logging.Formatter(f"%(asctime)s {role} %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
