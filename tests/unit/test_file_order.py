"""What a file of history itself says about time."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.support.intake import NOW
from workers.core.intake.event_files import LineMapper
from workers.core.intake.file_order import ROWS_BELOW, within_order

HOUR = 3600
DAY = 24 * HOUR
START = datetime(2024, 1, 1, tzinfo=UTC).timestamp()


def through(hours: list[float | None], **special: int) -> tuple[list[float], list[str]]:
    """The times that are left [hours since the beginning], and the numbers and reasons of what is refused.

    `no_at`: the row that is a refusal; None = the row has no time.
    """
    mapper = LineMapper("segment", "a.jsonl", NOW)
    rows = []
    for row, hour in enumerate(hours):
        call: dict[str, object] = {"type": "track", "event": "Looked", "userId": "ana", "messageId": f"m{row}"}
        if row == special.get("no_at"):
            call |= {"event": "Consent Updated", "properties": {"channel": "push", "status": "unsubscribed"}}
        if hour is not None:
            call["timestamp"] = datetime.fromtimestamp(START + hour * HOUR, UTC).isoformat()
        rows.append((row, mapper.map_line(row, json.dumps(call).encode())))
    left, refused = [], []
    numbers = []
    for number, mapped in within_order(iter(rows)):
        numbers.append(number)
        left += [
            (datetime.fromisoformat(json.loads(event.value)["timestamp"]).timestamp() - START) / HOUR
            for event in mapped.events
        ]
        refused += [f"{number} {error.reason}" for error in mapped.rejects]
        assert mapped.rejected == len(mapped.rejects)
    assert numbers == list(range(len(hours)))
    return left, refused


@pytest.mark.parametrize(
    ("hours", "refused"),
    [
        ([0, 1, 2, 3], []),
        ([0, 2000, 1, 2, 3], ["1"]),  # a clock ahead
        ([2000, 0, 1, 2, 3], ["0"]),  # at once
        ([0, None, 1, 2], ["1"]),  # no time: that of the reading
        ([None, None, None], []),  # a file without times
        ([0, 2000, 2500, 1, 2, 3, 4, 5], ["1", "2"]),
        ([0, 25, 1, 0], []),  # a day, as when it comes live
        ([0, 25.1, 1, 0], ["1"]),
        ([0, 1, 100, 101, 300, 301], []),  # gaps
        ([0, 1, 100, 2, 101, 102], []),  # a gap, and one from before it
        ([100, 1, 2, 101, 102, 103], []),  # late ones
        ([0, 1, 2, 2000], []),  # nothing below it says otherwise
        ([0, 1, 2000, 2], ["2"]),
        ([*range(ROWS_BELOW), 2000, *range(ROWS_BELOW, 2 * ROWS_BELOW)], [str(ROWS_BELOW)]),
        ([0, 2000, *range(2000, 2000 + ROWS_BELOW)], []),
        ([], []),
    ],
)
def test_a_row_ahead_of_those_around_it_is_refused(hours: list[float | None], refused: list[str]) -> None:
    left, found = through(hours)
    assert found == [f"{number} bad_timestamp" for number in refused]
    assert len(left) == len(hours) - len(refused)


@pytest.mark.parametrize(
    ("hours", "no_at", "left"),
    [
        ([0, 1, 2000, 3, 4], 2, [0, 1, 1, 3, 4]),
        ([2000, 3, 2, 4], 0, [2, 3, 2, 4]),
        ([0, 1, None, 3, 4], 2, [0, 1, 1, 3, 4]),
        ([0, 1, 20, 3, 4], 2, [0, 1, 20, 3, 4]),
    ],
)
def test_a_refusal_that_is_stamped_ahead_takes_the_time_of_the_rows_above(
    hours: list[float | None], no_at: int, left: list[float]
) -> None:
    assert through(hours, no_at=no_at) == (left, [])


def test_of_a_line_with_several_events_only_the_one_ahead_is_refused() -> None:
    def call(number: int, month: int) -> dict[str, object]:
        stamp = f"2024-{month:02}-01T00:00:00Z"
        return {"type": "track", "event": "Looked", "userId": "ana", "messageId": f"m{number}", "timestamp": stamp}

    mapper = LineMapper("segment", "a.jsonl", NOW)
    lines = [{"batch": [call(0, 1), call(1, 4), call(2, 1)]}, call(3, 1), call(4, 1)]
    rows = list(within_order((row, mapper.map_line(row, json.dumps(line).encode())) for row, line in enumerate(lines)))
    assert [json.loads(event.value)["messageId"] for event in rows[0][1].events] == ["m0", "m2"]
    assert [error.detail for error in rows[0][1].rejects] == ["more than a day ahead of the surrounding rows"]
