"""The worker's log, in the formats of the setting log_format."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest

from workers.adapters.observability.logs import configure


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """The process's own logging is as before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_json_log_has_one_object_a_line_whatever_the_message_contains() -> None:
    written = StringIO()
    configure("learn", "info", "json", written)
    log = logging.getLogger("workers.test")
    log.info("two\nlines, %s and “%s”", "an argument", "引号")
    try:
        raise ValueError("bad\nvalue")
    except ValueError:
        log.exception("it failed")
    first, second = map(json.loads, written.getvalue().splitlines())
    assert (first["level"], first["role"], first["logger"]) == ("info", "learn", "workers.test")
    assert first["message"] == "two\nlines, an argument and “引号”"
    assert first["time"].endswith("Z")
    assert "exception" not in first
    assert second["exception"].endswith("ValueError: bad\nvalue")


def test_the_level_and_the_silence_of_libraries_hold_in_both_formats() -> None:
    for log_format in ("text", "json"):
        written = StringIO()
        configure("learn", "warning", log_format, written)
        logging.getLogger("workers.test").info("below the level")
        configure("learn", "info", log_format, written)
        logging.getLogger("aiokafka").info("a library's own work")
        assert written.getvalue() == ""


def test_a_text_log_names_the_role() -> None:
    written = StringIO()
    configure("learn", "info", "text", written)
    logging.getLogger("workers.test").info("started")
    assert written.getvalue().endswith(" learn INFO workers.test: started\n")
