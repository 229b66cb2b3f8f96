"""Tells what is stamped ahead in a file of history: its own order bounds the future, as the wall clock does at intake.

In a replay time is that of the events, so that one of next year would make all below it too late, and fire every timer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from math import inf
from statistics import median_high
from typing import NamedTuple

import msgspec

from schemas import codec
from schemas.values import Json
from workers.core.intake.canonical.finish import MappedEvent, is_refusal
from workers.core.intake.canonical.rejections import reject
from workers.core.intake.mapping import Mapped

#: An event may be so far ahead of the rows around it, as it may be ahead of the wall clock when it comes live [s].
MAX_AHEAD_S = 86_400.0
#: So many rows below one are asked what time it is.
ROWS_BELOW = 100


class _Row(NamedTuple):
    number: int
    mapped: Mapped
    times: list[float]


def within_order(rows: Iterable[tuple[int, Mapped]]) -> Iterator[tuple[int, Mapped]]:
    """The rows, in which an event that is stamped ahead is a reject (`bad_timestamp`); a refusal takes the time before it.

    Ahead is what lies more than MAX_AHEAD_S beyond both the newest time above it and the middle one of the ROWS_BELOW rows
    below it: after a gap the rows below agree with it, and late ones move neither. A row without a time carries that of its
    reading, which is ahead in a history. With nothing below it an event is as it says. Expects rows by time, roughly.
    """
    newest_s = -inf
    below: deque[_Row] = deque()
    for number, mapped in rows:
        below.append(_Row(number, mapped, [_time_of(event) for event in mapped.events]))
        if len(below) > ROWS_BELOW:
            row = below.popleft()
            newest_s = _judge(row, newest_s, below)
            yield row.number, row.mapped
    while below:
        row = below.popleft()
        newest_s = _judge(row, newest_s, below)
        yield row.number, row.mapped


def _judge(row: _Row, newest_s: float, below: Iterable[_Row]) -> float:
    """Takes out of the row what is ahead; returns the newest time so far."""
    if max(row.times, default=-inf) <= newest_s + MAX_AHEAD_S:
        return max([newest_s, *row.times])
    following = [at_s for other in below for at_s in other.times]
    latest_s = max(newest_s, median_high(following)) + MAX_AHEAD_S if following else inf
    kept = []
    for event, at_s in zip(row.mapped.events, row.times, strict=True):
        if at_s <= latest_s:
            kept.append(event)
            newest_s = max(newest_s, at_s)
        elif is_refusal(word := _json.decode(event.value)):
            kept.append(_at(event, word, newest_s if newest_s > -inf else min(following)))
        else:
            row.mapped.reject(reject("bad_timestamp", "more than a day ahead of the rows around it"))
    row.mapped.events = kept
    return newest_s


def _time_of(event: MappedEvent) -> float:
    return codec.decode_event(event.value).timestamp.timestamp()


def _at(event: MappedEvent, word: Json, at_s: float) -> MappedEvent:
    told = {name: value for name, value in word.items() if name not in ("sentAt", "receivedAt", "originalTimestamp")}
    return MappedEvent(event.key, _encoder.encode(told | {"timestamp": datetime.fromtimestamp(at_s, UTC)}))


_json = msgspec.json.Decoder(Json)
_encoder = msgspec.json.Encoder()
