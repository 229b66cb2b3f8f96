"""Maps the rows and lines of event files: the REES46 clickstream, any CSV with a mapping, and one JSON event per line.

Pure: the adapter reads the files, this module maps them. Each row keeps its number; for a row without an ID, file name and row
number form one, so that equal rows count separately and importing the same file twice counts nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from schemas.events import ORDER_COMPLETED, PRODUCT_ADDED, PRODUCT_REMOVED, PRODUCT_VIEWED, Properties
from schemas.values import PLACEHOLDERS, Json, drop_none, price, text
from workers.core.errors import InvalidEvent, Misconfigured
from workers.core.intake.canonical.finish import Origin, digest, finish
from workers.core.intake.canonical.rejections import reject
from workers.core.intake.formats.registry import SourceFormat
from workers.core.intake.mapping import Intake, Mapped
from workers.core.stream.records import Record

CsvFormat = Literal["rees46", "csv"]
FILE_FORMATS: tuple[str, ...] = (*get_args(CsvFormat), *get_args(SourceFormat))

#: Source: "eCommerce behavior data from multi category store", REES46 Marketing Platform.
REES46_COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
_REES46_EVENTS = {
    "view": PRODUCT_VIEWED,
    "cart": PRODUCT_ADDED,
    "remove_from_cart": PRODUCT_REMOVED,
    "purchase": ORDER_COMPLETED,
}
_CALL_FIELDS = ("userId", "anonymousId", "messageId", "timestamp", "event", "type")
_CONTEXT_FIELDS = ("locale", "timezone")
_PROPERTY_FIELDS = tuple(field.encode_name for field in msgspec.structs.fields(Properties) if field.name != "products")

#: Maps a row (column → cell) to a draft; the second argument identifies the row.
RowDraft = Callable[[Mapping[str, str], str], Json]


class CsvPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Describes how to read a shop's own CSV.

    `columns`: column → field of the event (`userId`, `timestamp`, `event`, `price`, `properties.<own>`, `traits.<own>` ...);
    other columns are ignored. `events`: value of the event column → event name; other values stay unchanged. `defaults`: field →
    value, for fields that no column provides.
    """

    columns: dict[str, str]
    events: dict[str, str] = {}
    defaults: dict[str, str] = {}
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","


def read_plan(raw: object, where: str) -> CsvPlan:
    """Reads a plan from parsed YAML. Raises Misconfigured naming the file, the entry and what is allowed."""
    try:
        plan = msgspec.convert(raw, CsvPlan)
    except msgspec.ValidationError as error:
        raise Misconfigured(f"{where}: {error}.", "columns: {column: field}, events, defaults, delimiter") from error
    for place, fields in (("columns", plan.columns.items()), ("defaults", ((name, name) for name in plan.defaults))):
        for name, field in fields:
            if not _is_field(field):
                allowed = ", ".join((*_CALL_FIELDS, *_CONTEXT_FIELDS, *_PROPERTY_FIELDS, "properties.*", "traits.*"))
                raise Misconfigured(f"{where}: {place}: {name}: unknown field `{field}`.", f"use one of: {allowed}")
    targets = {*plan.columns.values(), *plan.defaults}
    for required in ({"userId", "anonymousId"}, {"timestamp"}, {"event", "type"}):
        if not required & targets:
            names = " or ".join(sorted(required))
            raise Misconfigured(f"{where}: no column provides {names}.", f"map a column to {names} under `columns`")
    return plan


def _is_field(field: str) -> bool:
    is_standard = field in _CALL_FIELDS or field in _CONTEXT_FIELDS or field in _PROPERTY_FIELDS
    return is_standard or (field.startswith(("properties.", "traits.")) and not field.endswith("."))


def rees46_draft(row: Mapping[str, str], name: str) -> Json:
    """Maps one row of the clickstream. The session is the cart; each purchased product is a separate order."""
    kind, session = row["event_type"], text(row["user_session"])
    line = drop_none(
        {
            "product_id": row["product_id"] or None,
            "category": row["category_code"] or None,
            "brand": row["brand"] or None,
            "price": price(row["price"]),
        }
    )
    common = drop_none({"currency": "USD", "session_id": session, "category_id": row["category_id"] or None})
    if kind != "view":
        common |= drop_none({"cart_id": session})
    if kind == "purchase":
        order_id = f"{session or row['user_id']}-{name}"
        properties = common | {"order_id": order_id, "products": [line | {"quantity": 1}]} | _revenue(line)
    else:
        properties = common | line
    return {
        "type": "track",
        "event": _REES46_EVENTS.get(kind, kind),
        "userId": row["user_id"],
        "timestamp": row["event_time"],
        "properties": properties,
    }


def _revenue(line: Json) -> Json:
    return {"revenue": line["price"]} if "price" in line else {}


def planned_draft(plan: CsvPlan) -> RowDraft:
    """Returns a function that maps rows to drafts according to a plan."""

    def draft(row: Mapping[str, str], name: str) -> Json:
        del name
        call: Json = {"type": "track"}
        nested: dict[str, Json] = {"properties": {}, "traits": {}, "context": {}}
        cells = [(field, value) for field, value in plan.defaults.items()]
        cells += [
            (field, value)
            for column, field in plan.columns.items()
            if (value := row[column].strip()) and value not in PLACEHOLDERS
        ]
        for field, value in cells:
            if field == "event":
                call[field] = plan.events.get(value, value)
            elif field in _CALL_FIELDS:
                call[field] = value
            elif field in _CONTEXT_FIELDS:
                nested["context"][field] = value
            else:
                place, _, own = field.rpartition(".")
                nested[place or "properties"][own] = value
        return call | {place: fields for place, fields in nested.items() if fields}

    return draft


class RowMapper:
    """Maps the rows of one CSV file. Raises Misconfigured if the header lacks a column."""

    def __init__(
        self, header: Sequence[str], required: Sequence[str], draft: RowDraft, file_name: str, received_at: datetime
    ) -> None:
        self._header = [column.strip() for column in header]
        self._draft = draft
        self._file_name = file_name
        self._received_at = received_at
        missing = [column for column in required if column not in self._header]
        if missing:
            columns = ", ".join(self._header) or "none"
            raise Misconfigured(
                f"{file_name}, line 1: column `{missing[0]}` is missing; columns in the header: {columns}.",
                f"the header must have {', '.join(required)}",
            )

    def map_row(self, row_number: int, row: Sequence[str]) -> Mapped:
        """Maps one row; `row_number` counts rows below the header, from 1. Missing cells at the end of a row are empty."""
        mapped = Mapped([], [])
        try:
            if len(row) > len(self._header):
                raise reject("wrong_type", f"{len(row)} columns, the header has {len(self._header)}")
            origin = Origin(b"", self._received_at, fallback_id=row_id(self._file_name, row_number))
            cells = dict(zip_longest(self._header, row, fillvalue=""))
            mapped.events.append(finish(self._draft(cells, str(row_number)), origin))
        except InvalidEvent as error:
            mapped.reject(error)
        return mapped


class LineMapper:
    """Maps the lines of a file of JSON (or enriched Snowplow) events with the same rules as the format's topic."""

    def __init__(self, source_format: SourceFormat, file_name: str, received_at: datetime) -> None:
        self._intake = Intake(source_format)
        self._file_name = file_name
        self._received_at = received_at

    def map_line(self, row_number: int, line: bytes) -> Mapped:
        """Maps one line; `row_number` counts lines from 1."""
        record = Record(topic="", partition=0, offset=row_number, key=None, value=line, appended_at_s=0.0)
        return self._intake.map_record(record, self._received_at, row_id(self._file_name, row_number))


def row_id(file_name: str, row_number: int) -> str:
    """Returns the message ID of a row that has none. It does not change when the file is compressed.

    >>> row_id("a.csv", 1) == row_id("a.csv.gz", 1) != row_id("a.csv", 2)
    True
    """
    return digest(file_name.removesuffix(".gz").encode("utf-8", "surrogateescape"), b"%d" % row_number)
