"""`attune tail TOPIC`: prints the records of a topic as they arrive."""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

import click
import msgspec

from schemas import codec
from schemas.topics import BY_NAME
from workers.adapters.kafka.reader import TopicReader
from workers.commands.terminal import one_line_errors, out, stopping
from workers.core.common.timestamps import instant
from workers.core.stream.records import Record
from workers.local.installation import on_installation, reachable
from workers.settings import Settings


@click.command()
@click.argument("topic")
@click.option("--all", "everything", is_flag=True, help="Print all existing records, then stop.")
@click.option("--key", help="Print only records with this key.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@one_line_errors
@on_installation
def tail(settings: Settings, topic: str, everything: bool, key: str | None, as_json: bool) -> None:
    """Print the committed records of TOPIC (name without prefix) as they arrive, until Ctrl-C."""
    start: Literal["beginning", "end"] = "beginning" if everything else "end"
    with (
        stopping() as stop,
        reachable(settings) as running,
        TopicReader(running, [topic], start=start) as reader,
    ):
        while not stop.requested:
            records = reader.poll()
            for record in records:
                if key is None or record.key == key.encode():
                    _print(record, as_json)
            if everything and not records and reader.at_end:
                return


def _print(record: Record, as_json: bool) -> None:
    value = _value(record)
    key = record.key.decode(errors="replace") if record.key is not None else None
    if as_json:
        line = {"partition": record.partition, "offset": record.offset, "key": key, "value": value}
        out.print(msgspec.json.encode(line).decode())
    else:
        shown = codec.encode(value).decode() if value is not None else "(erased)"
        when = instant(record.appended_at_s).isoformat(timespec="milliseconds")
        out.lines([f"{when} {record.partition}:{record.offset} {key} {shown}"])


def _value(record: Record) -> object:
    """Returns a record's JSON, or the text of a value that is not JSON (malformed, or internal to the workers)."""
    if record.value and record.topic in BY_NAME and _public(record.topic):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            return msgspec.json.decode(record.value)
    return record.value.decode(errors="replace") if record.value is not None else None


def _public(topic: str) -> bool:
    return BY_NAME[topic].struct is not None
