"""Reads event files row by row: .csv and .jsonl, plain or gzipped, never a whole file in memory."""

from __future__ import annotations

import codecs
import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

import yaml

from workers.adapters.sources.csv_rows import CsvRows
from workers.adapters.sources.file_kinds import SAMPLE_BYTES, check_kind, separator_of
from workers.core.errors import Misconfigured
from workers.core.intake.canonical.rejections import reject
from workers.core.intake.event_files import (
    FILE_FORMATS,
    REES46_COLUMNS,
    CsvPlan,
    LineMapper,
    RowMapper,
    planned_draft,
    read_plan,
    rees46_draft,
)
from workers.core.intake.formats.registry import SourceFormat
from workers.core.intake.mapping import Mapped

_GZIP = b"\x1f\x8b"
#: A longer line is not an event; the rest of it is skipped [bytes].
_MAX_LINE = 4 * 1024 * 1024
_CHUNK_BYTES = 512
#: Errors that a broken gzip file raises.
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error)
_Rows = Callable[[BinaryIO], Iterator[tuple[int, Mapped]]]


class EventFile:
    """The rows of one file: yields (row number from 1, the mapped row); each iteration reads from the start.

    The progress is `bytes_read` of `bytes_total` (as stored on disk). Raises Misconfigured if the file is damaged.
    """

    def __init__(self, path: Path, rows: _Rows) -> None:
        self.path = path
        self.bytes_total = path.stat().st_size
        self.bytes_read = 0
        self._rows = rows

    def __iter__(self) -> Iterator[tuple[int, Mapped]]:
        row_number = 0
        with _opened(self.path) as (raw, stream):
            try:
                for row_number, mapped in self._rows(stream):
                    self.bytes_read = raw.tell()
                    yield row_number, mapped
            except _DAMAGE as error:
                raise _damaged(self.path, row_number, error) from error
            self.bytes_read = self.bytes_total


def open_events(path: Path, format: str, mapping: Path | None, received_at: datetime) -> EventFile:  # noqa: A002 # the name
    """Opens a file of events. `mapping` (YAML, see core.intake.event_files.CsvPlan) goes with format `csv`.

    `received_at` (UTC) is the latest time that an event may have, and replaces a missing time. Raises Misconfigured naming the
    file, line, column and what is allowed. The header is checked here: nothing is imported from a file that does not match.
    """
    if format not in FILE_FORMATS:
        raise Misconfigured(f"{path}: there is no format `{format}`.", f"use one of: {', '.join(FILE_FORMATS)}")
    if (format == "csv") != (mapping is not None):
        raise Misconfigured(
            f"{path}: format `{format}` and the mapping do not go together.",
            "`csv` requires a mapping, other formats take none",
        )
    plan = _read_plan(mapping) if mapping is not None else None
    if format in ("rees46", "csv"):
        needed, draft = (REES46_COLUMNS, rees46_draft) if plan is None else (tuple(plan.columns), planned_draft(plan))

        def mapper(header: Sequence[str]) -> RowMapper:
            return RowMapper(header, needed, draft, path.name, received_at)

        _check(path)
        delimiter = "," if plan is None else plan.delimiter
        with _opened(path) as (_, stream):
            mapper(_header(path, stream, delimiter, has_plan=plan is not None))
        return EventFile(path, lambda stream: _csv_rows(stream, delimiter, mapper))
    lines = LineMapper(cast(SourceFormat, format), path.name, received_at)
    _check(path)
    return EventFile(path, lambda stream: _json_lines(stream, lines))


def _check(path: Path) -> None:
    """Raises Misconfigured if the beginning of the file already shows that none of its lines can be read."""
    beginning = b""
    with _opened(path) as (_, stream):
        try:
            while len(beginning) < SAMPLE_BYTES and (chunk := stream.read(_CHUNK_BYTES)):
                beginning += chunk
        except _DAMAGE as error:
            if not beginning:
                raise _damaged(path, 0, error) from error
    check_kind(path, beginning)


def _damaged(path: Path, row_number: int, error: Exception) -> Misconfigured:
    return Misconfigured(f"{path}: cut off or damaged after row {row_number}: {error}.", "download the file again")


def _header(path: Path, stream: BinaryIO, delimiter: str, *, has_plan: bool) -> list[str]:
    """Returns the columns. Raises Misconfigured if the first line is not a header, or has another separator."""
    table = CsvRows(_text_lines(stream), delimiter)
    try:
        row = next(table, [])
    except csv.Error as error:
        raise Misconfigured(f"{path}: {error}.", "the first line names the columns") from error
    except _DAMAGE as error:
        raise _damaged(path, 0, error) from error
    if other := separator_of(delimiter.join(row), delimiter):
        name = {"\t": "tabs"}.get(other, f"`{other}`")
        hint = f'`delimiter: "{other}"` in the mapping'.replace("\t", "\\t")
        raise Misconfigured(
            f"{path}, line 1: the columns are separated by {name}, not by `{delimiter}`.",
            hint if has_plan else f"write it with `{delimiter}`, or use --format csv and {hint}",
        )
    return row


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Yields (the file on disk, its content uncompressed)."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}.", "name a readable file") from error
    with raw:
        compressed = raw.read(2) == _GZIP
        raw.seek(0)
        yield raw, cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if compressed else raw


def _csv_rows(
    stream: BinaryIO, delimiter: str, mapper: Callable[[Sequence[str]], RowMapper]
) -> Iterator[tuple[int, Mapped]]:
    table = CsvRows(_text_lines(stream), delimiter)
    mapped = mapper(next(table, []))
    row_number = 0
    while True:
        try:
            row = next(table, None)
        except csv.Error as error:
            row_number += 1
            yield row_number, Mapped([], [reject("wrong_type", f"not CSV: {error}")])
            continue
        if row is None:
            return
        if row:  # a blank line is not a row
            row_number += 1
            yield row_number, mapped.map_row(row_number, row)


def _text_lines(stream: BinaryIO) -> Iterator[str]:
    # Bytes that are not UTF-8 pass as surrogates: encoding then fails their own row, not the file.
    return (line.decode("utf-8", "surrogateescape") for _, line in _lines(stream))


def _json_lines(stream: BinaryIO, mapper: LineMapper) -> Iterator[tuple[int, Mapped]]:
    for row_number, line in _lines(stream):
        if len(line) > _MAX_LINE:
            yield row_number, Mapped([], [reject("too_large", f"a line of more than {_MAX_LINE} bytes")])
        elif content := line.rstrip(b"\r\n"):
            yield row_number, mapper.map_line(row_number, content)


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yields (line number from 1, line); a longer line is cut to one byte more than the limit."""
    row_number, bom = 0, codecs.BOM_UTF8
    while line := stream.readline(_MAX_LINE + 1):
        row_number += 1
        rest = line
        while len(rest) > _MAX_LINE and not rest.endswith(b"\n"):
            rest = stream.readline(_MAX_LINE + 1)
        yield row_number, line.removeprefix(bom) if row_number == 1 else line


def _read_plan(path: Path) -> CsvPlan:
    try:
        return read_plan(yaml.safe_load(path.read_text("utf-8")), str(path))
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}.", "name a readable YAML file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: {error}.", "correct the YAML") from error
