"""One row of feedback.metrics: the counts of a campaign, channel, arm, target group and time window, in one lane."""

from __future__ import annotations

import msgspec

from schemas.learning import FeedbackMetrics
from workers.core.attribution.keys import row_key
from workers.core.attribution.metrics import FLAGS, with_rates
from workers.core.attribution.model import HOLDOUT, MONEY_UNIT, REQUESTED, Contribution, Exposure
from workers.core.common.timestamps import instant


class Counts(msgspec.Struct, array_like=True):
    """The sums of a row. Entries that are 0 are omitted. `dirty`: changed since last published.

    `start_ms` and `end_ms`: the window of decision time [ms since the epoch].
    """

    campaign: str
    channel: str
    arm: str
    group: str
    start_ms: int
    end_ms: int
    flags: dict[str, int] = {}
    rating_sum: int = 0
    revenue: dict[str, int] = {}
    requested_revenue: dict[str, int] = {}
    holdout_revenue: dict[str, int] = {}
    ignored: dict[str, int] = {}
    dirty: bool = False

    def move(self, kind: str, old: Contribution, new: Contribution) -> None:
        """Replaces one exposure's contribution, `old`, with `new`; `kind` is the kind of that exposure."""
        for place, name in enumerate(FLAGS):
            if change := (new.flags >> place & 1) - (old.flags >> place & 1):
                add(self.flags, name, change)
        self.rating_sum += new.rating - old.rating
        add_all(self.revenue, old.revenue, -1)
        add_all(self.revenue, new.revenue, 1)
        if kind in (REQUESTED, HOLDOUT):
            own = self.requested_revenue if kind == REQUESTED else self.holdout_revenue
            add_all(own, old.own_revenue, -1)
            add_all(own, new.own_revenue, 1)
        add_all(self.ignored, old.ignored, -1)
        add_all(self.ignored, new.ignored, 1)
        self.dirty = True

    def record(self, partition: int, clock_s: float) -> FeedbackMetrics:
        """Returns the row as a record of feedback.metrics."""
        counts = FeedbackMetrics(
            campaign_id=self.campaign,
            partition=partition,
            window_start=instant(self.start_ms / 1000),
            window_end=instant(self.end_ms / 1000),
            channel=self.channel,
            variation_id=self.arm,
            target_group=self.group,
            rating_sum=self.rating_sum,
            revenue=_amounts(self.revenue),
            requested_revenue=_amounts(self.requested_revenue),
            holdout_revenue=_amounts(self.holdout_revenue),
            ignored=dict(sorted(self.ignored.items())),
            updated_at=instant(clock_s),
        )
        return with_rates(msgspec.structs.replace(counts, **self.flags))

    def topic_key(self, partition: int) -> bytes:
        """Returns the key of its records: campaign|channel|arm|group|window start [s since the epoch]|partition."""
        labels = (self.campaign, self.channel, self.arm, self.group, str(self.start_ms // 1000), str(partition))
        return "|".join(labels).encode()


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Counts).decode


def window_ms(at_s: float, window_s: float) -> tuple[int, int]:
    """Returns (start, end) of the window that holds a moment [ms]. A window is at least one second long.

    >>> window_ms(3_601.5, 3_600)
    (3600000, 7200000)
    """
    at_ms, width_ms = round(at_s * 1000), max(1000, round(window_s * 1000))
    start_ms = at_ms - at_ms % width_ms
    return start_ms, start_ms + width_ms


def key_of(exposure: Exposure) -> bytes:
    """Returns the key of the row in which an exposure counts."""
    return row_key(exposure.start_ms, exposure.campaign, exposure.channel, exposure.arm, exposure.context)


def empty(exposure: Exposure) -> Counts:
    """Returns a row for this exposure with nothing counted yet."""
    return Counts(
        exposure.campaign, exposure.channel, exposure.arm, exposure.context, exposure.start_ms, exposure.end_ms
    )


def add(sums: dict[str, int], name: str, change: int) -> None:
    """Adds to one of several sums; a sum that becomes 0 is removed."""
    total = sums.get(name, 0) + change
    if total:
        sums[name] = total
    else:
        sums.pop(name, None)


def add_all(sums: dict[str, int], changes: dict[str, int], sign: int) -> None:
    """Adds several changes, or subtracts them with sign -1."""
    for name, change in changes.items():
        add(sums, name, sign * change)


def _amounts(sums: dict[str, int]) -> dict[str, float]:
    return {currency: amount / MONEY_UNIT for currency, amount in sorted(sums.items())}
