"""Rejects events with timestamps too far ahead in a file of past events: the order of the rows limits them, as the wall clock
does for live events.

In a replay, event time is the clock: an event dated next year would make all later rows too late and fire every timer.
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
from workers.core.intake.canonical.finish import MappedEvent, is_opt_out
from workers.core.intake.canonical.rejections import reject
from workers.core.intake.mapping import Mapped

#: An event may be this far ahead of the surrounding rows, as a live event may be ahead of the wall clock [s].
MAX_AHEAD_S = 86_400.0
#: Number of following rows whose median time an event is compared with.
ROWS_BELOW = 100


class _Row(NamedTuple):
    number: int
    mapped: Mapped
    times: list[float]


def within_order(rows: Iterable[tuple[int, Mapped]]) -> Iterator[tuple[int, Mapped]]:
    """Yields the rows, rejecting events that are ahead (`bad_timestamp`); an opt-out gets the newest time before it instead.

    An event is ahead if it is more than MAX_AHEAD_S later than both the newest time above it and the median of the ROWS_BELOW
    rows below it: after a gap the rows below agree with it, and late rows change neither. A row without a timestamp has the time
    at which it was read, which is ahead in past data. Without rows below, an event keeps its time. Expects rows roughly in time
    order.
    """
    newest_s = -inf
    below: deque[_Row] = deque()
    for number, mapped in rows:
        below.append(_Row(number, mapped, [_time_of(event) for event in mapped.events]))
        if len(below) > ROWS_BELOW:
            row = below.popleft()
            newest_s = _reject_ahead(row, newest_s, below)
            yield row.number, row.mapped
    while below:
        row = below.popleft()
        newest_s = _reject_ahead(row, newest_s, below)
        yield row.number, row.mapped


def _reject_ahead(row: _Row, newest_s: float, below: Iterable[_Row]) -> float:
    """Removes from the row the events that are ahead; returns the newest time so far."""
    if max(row.times, default=-inf) <= newest_s + MAX_AHEAD_S:
        return max([newest_s, *row.times])
    following = [at_s for other in below for at_s in other.times]
    latest_s = max(newest_s, median_high(following)) + MAX_AHEAD_S if following else inf
    kept = []
    for event, at_s in zip(row.mapped.events, row.times, strict=True):
        if at_s <= latest_s:
            kept.append(event)
            newest_s = max(newest_s, at_s)
        elif is_opt_out(content := _json.decode(event.value)):
            kept.append(_at(event, content, newest_s if newest_s > -inf else min(following)))
        else:
            row.mapped.reject(reject("bad_timestamp", "more than a day ahead of the surrounding rows"))
    row.mapped.events = kept
    return newest_s


def _time_of(event: MappedEvent) -> float:
    return codec.decode_event(event.value).timestamp.timestamp()


def _at(event: MappedEvent, content: Json, at_s: float) -> MappedEvent:
    """Returns the event with another timestamp, and without its other times."""
    kept = {name: value for name, value in content.items() if name not in ("sentAt", "receivedAt", "originalTimestamp")}
    return MappedEvent(event.key, _encoder.encode(kept | {"timestamp": datetime.fromtimestamp(at_s, UTC)}))


_json = msgspec.json.Decoder(Json)
_encoder = msgspec.json.Encoder()
