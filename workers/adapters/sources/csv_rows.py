"""Reads rows of CSV so that a broken row affects only its own line."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator

#: Errors of a row. A multi-line cell ends at the longest cell that csv accepts, or at the end of the file.
_NUL = "a NUL byte, which text never contains"
_UNCLOSED = "a quotation mark is never closed"


class CsvRows:
    """Iterates over the rows of `lines`; a quoted cell may span several lines, as CSV allows.

    A row that cannot be read raises csv.Error, and reading continues on the line after its first one: otherwise an unclosed
    quotation mark would swallow the lines below it, silently so at the end of the file.
    """

    def __init__(self, lines: Iterator[str], delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._pending: deque[str] = deque()
        self._taken: list[str] = []
        self._first = 1
        self._cut_off = False
        self._reader = self._new_reader()

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        self._first += len(self._taken)
        self._taken.clear()
        try:
            row = next(self._reader)
        except csv.Error as error:
            swallowed = len(self._taken) > 1 and _NUL not in str(error)
            raise self._reject_first_line(_UNCLOSED if swallowed else str(error)) from error
        if self._cut_off:
            raise self._reject_first_line(_UNCLOSED)
        return row

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._supply(), delimiter=self._delimiter)

    def _supply(self) -> Iterator[str]:
        while True:
            if self._pending:
                line = self._pending.popleft()
            else:
                try:
                    line = next(self._lines)
                except StopIteration:
                    self._cut_off = bool(self._taken)  # more was requested in the middle of a row
                    return
            self._taken.append(line)
            if "\0" in line:
                raise csv.Error(_NUL)
            yield line

    def _reject_first_line(self, what: str) -> csv.Error:
        """Returns the error for a row; the lines that the row took after its first one will be read again."""
        self._pending.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]
        self._cut_off = False
        self._reader = self._new_reader()
        return csv.Error(f"line {self._first}: {what}")
