"""Rejects a file that is not an event file by its first bytes, once and with the remedy, instead of line by line."""

from __future__ import annotations

import codecs
from pathlib import Path

from workers.core.errors import Misconfigured

#: Bytes at the beginning of a file that are checked.
SAMPLE_BYTES = 64 * 1024
#: UTF-32 first: its byte order mark begins with that of UTF-16.
_WIDE = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_CONTAINERS = (
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet", "unpack it, or export it as CSV"),
    (b"\x1f\x8b", "compressed twice", "`gunzip` it once"),
    (b"BZh", "compressed with bzip2", "`bunzip2` it"),
    (b"\xfd7zXZ\x00", "compressed with xz", "`unxz` it"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "`unzstd` it"),
    (b"PAR1", "a Parquet file", "export it as CSV or JSON lines"),
)
_SEPARATORS = (";", "\t", "|")


def check_kind(path: Path, beginning: bytes) -> None:
    """Raises Misconfigured unless the beginning of the (decompressed) content may be lines of UTF-8."""
    if not beginning:
        raise Misconfigured(f"{path} is empty.", "was it written completely?")
    for mark, what, hint in _CONTAINERS:
        if beginning.startswith(mark):
            raise Misconfigured(f"{path} is {what}.", f"{hint}; plain text and gzip are supported")
    for mark, encoding in _WIDE:
        if beginning.startswith(mark):
            raise Misconfigured(f"{path} is {encoding}.", _recode(path, encoding))
    even, odd = beginning[::2].count(0), beginning[1::2].count(0)
    if (
        max(even, odd) > len(beginning) // 8
    ):  # every other byte of Latin text in UTF-16; a single NUL costs only its line
        raise Misconfigured(f"{path} is UTF-16.", _recode(path, "UTF-16LE" if odd > even else "UTF-16BE"))
    if b"\n" not in beginning and b"\r" in beginning.rstrip(b"\r"):
        hint = f"tr '\\r' '\\n' < {path} > {path.stem}-lines{path.suffix}"
        raise Misconfigured(f"{path} ends its lines with CR only, which is not supported.", hint)


def separator_of(header: str, ours: str) -> str | None:
    """Returns the separator that a header uses, if it is not `ours`; None if it may be `ours`.

    >>> separator_of("event_time;event_type;price", ","), separator_of("event_time,price", ",")
    (';', None)
    """
    found = max((separator for separator in (",", *_SEPARATORS) if separator != ours), key=header.count)
    return found if ours not in header and header.count(found) else None


def _recode(path: Path, encoding: str) -> str:
    return f"iconv -f {encoding} -t UTF-8 {path} > {path.stem}-utf8{path.suffix}"
