"""Files that are not what they seem: one line with a hint, before anything is read; a broken row costs itself alone."""

from __future__ import annotations

import csv
import gzip
import json
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.intake import NOW
from workers.adapters.sources.csv_rows import CsvRows
from workers.adapters.sources.event_files import open_events
from workers.commands.run.replay import replay
from workers.core.errors import Misconfigured

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
ROWS = [f"2019-10-01 00:00:{second:02} UTC,view,{second},1,,acme,1.0,5,s-1" for second in range(20)]
TABLE = "\n".join((HEADER, *ROWS, ""))
JSON = '{"type":"track","event":"X","userId":"u","timestamp":"2024-04-01T10:00:00Z"}\n'
ZIP = b"PK\x03\x04\x14\x00\x00\x00"


@pytest.mark.parametrize("form", ["rees46", "segment"])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda text: text.replace("\n", "\r").encode() * 2,
            "with CR only, which is not supported. Hint: tr",
        ),
        (lambda text: text.encode("utf-16"), "is UTF-16. Hint: iconv -f UTF-16 -t UTF-8"),
        (lambda text: text.encode("utf-16-le"), "is UTF-16. Hint: iconv -f UTF-16LE"),
        (lambda text: text.encode("utf-16-be"), "is UTF-16. Hint: iconv -f UTF-16BE"),
        (lambda text: text.encode("utf-32"), "is UTF-32. Hint: iconv -f UTF-32"),
        (lambda _: b"", "is empty. Hint: "),
        (lambda _: gzip.compress(b""), "is empty. Hint: "),
        (lambda _: b"\x1f\x8b this is no gzip", "cut off or damaged after row 0: "),
        (lambda text: gzip.compress(text.encode())[:11], "cut off or damaged after row 0: "),
        (lambda text: gzip.compress(gzip.compress(text.encode())), "is compressed twice. Hint: `gunzip`"),
        (lambda text: lzma.compress(text.encode()), "is compressed with xz. Hint: `unxz`"),
        (lambda _: ZIP, "is a ZIP archive or a spreadsheet. Hint: "),
    ],
)
def test_a_file_of_another_kind_is_refused_with_its_cure(
    tmp_path: Path, form: str, change: Callable[[str], bytes], words: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(change(TABLE if form == "rees46" else JSON))
    told = CliRunner().invoke(replay, [str(path), "--format", form])
    assert (told.exit_code, told.exception.__class__) == (78, SystemExit), told.output
    (line,) = told.stderr.splitlines()
    assert words in line


def test_a_byte_order_mark_of_utf_8_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + TABLE.replace("\n", "\r\n").encode())
    assert sum(len(mapped.events) for _, mapped in open_events(path, "rees46", None, NOW)) == len(ROWS)


@pytest.mark.parametrize(
    ("separator", "words"),
    [
        (";", 'separated by `;`, not by `,`. Hint: write it with `,`, or use --format csv and `delimiter: ";"`'),
        ("\t", 'separated by tabs, not by `,`. Hint: write it with `,`, or use --format csv and `delimiter: "\\t"`'),
        ("|", "separated by `|`"),
    ],
)
def test_another_separator_is_named(tmp_path: Path, separator: str, words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TABLE.replace(",", separator))
    with pytest.raises(Misconfigured) as caught:
        open_events(path, "rees46", None, NOW)
    assert words in str(caught.value)


def test_another_separator_than_that_of_the_mapping_is_named(tmp_path: Path) -> None:
    mapping, path = tmp_path / "plan.yaml", tmp_path / "a.csv"
    mapping.write_text("columns: {who: userId, when: timestamp, what: event}")
    path.write_text("who;when;what\n")
    with pytest.raises(Misconfigured, match='Hint: `delimiter: ";"` in the mapping'):
        open_events(path, "csv", mapping, NOW)


@pytest.mark.parametrize("header", [f'"{HEADER}', f'"{"x" * 200_000}",{HEADER}', f"\0{HEADER}"])
def test_a_header_that_cannot_be_read_is_one_line(tmp_path: Path, header: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join((header, *ROWS, "")))
    with pytest.raises(
        Misconfigured, match=r"a\.csv: line 1: (a quotation mark is never closed|field larger|a NUL byte)"
    ):
        open_events(path, "rees46", None, NOW)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ('2019-10-01 00:00:07 UTC,view,9,1,,"acme,1.0,5,s-1', "a quotation mark is never closed"),
        (f'2019-10-01 00:00:07 UTC,view,9,1,,"{"x" * 200_000}",1.0,5,s-1', "field larger than field limit"),
        ("2019-10-01 00:00:07 UTC,view,9,1,,ac\0me,1.0,5,s-1", "a NUL byte, which text never contains"),
    ],
    ids=["unclosed", "huge", "NUL"],
)
@pytest.mark.parametrize("behind", [3, 5_000])
def test_a_broken_row_costs_itself_and_none_below_it(tmp_path: Path, bad: str, words: str, behind: int) -> None:
    path = tmp_path / "a.csv"
    below = [ROWS[number % len(ROWS)] for number in range(behind)]
    path.write_text("\n".join((HEADER, ROWS[0], bad, *below, "")))
    rows = list(open_events(path, "rees46", None, NOW))
    assert [number for number, _ in rows] == list(range(1, behind + 3))
    assert [str(error) for _, mapped in rows for error in mapped.rejects] == [
        str(error) for error in rows[1][1].rejects
    ]
    assert "line 3: " in str(rows[1][1].rejects[0])
    assert words in str(rows[1][1].rejects[0])
    assert sum(len(mapped.events) for _, mapped in rows) == behind + 1


def test_a_quoted_cell_may_still_run_over_lines() -> None:
    lines = iter(["a,b\n", '"1\n', '2",3\n', "4,5\n"])
    assert list(CsvRows(lines, ",")) == [["a", "b"], ["1\n2", "3"], ["4", "5"]]


def test_whatever_comes_rows_end_and_each_line_is_asked_for_once() -> None:
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for number in range(2_000):
            taken.append('"' * (number % 3) + f"{number},x\n")
            yield taken[-1]

    rows, found, broken = CsvRows(lines(), ","), 0, 0
    while True:
        try:
            next(rows)
        except csv.Error:
            broken += 1
        except StopIteration:
            break
        else:
            found += 1
    assert len(taken) == 2_000
    assert found + broken > 1_000


@pytest.mark.slow
def test_damage_in_the_middle_is_told_behind_the_rows_before_it(tmp_path: Path) -> None:
    text = "\n".join((HEADER, *(ROWS * 5_000), ""))
    packed = bytearray(gzip.compress(text.encode(), compresslevel=0))
    packed[-8:-4] = zlib.crc32(b"other").to_bytes(4, "little")
    path = tmp_path / "a.csv.gz"
    path.write_bytes(packed)
    rows = iter(open_events(path, "rees46", None, NOW))
    assert json.loads(next(rows)[1].events[0].value)["event"] == "Product Viewed"
    with pytest.raises(Misconfigured, match=r"cut off or damaged after row \d+"):
        list(rows)
