"""Frequency caps: finds the cap that a further message would exceed, and drops sends that no cap counts any more."""

from __future__ import annotations

from collections.abc import Collection

from workers.core.playbook.policy import Cap
from workers.core.profile.model import CapReservation


def exceeded_cap(
    sends: list[CapReservation],
    caps: list[Cap],
    channel: str,
    category: str,
    now_s: float,
    *,
    shadow: bool = False,
    open_ids: Collection[str] = (),
) -> Cap | None:
    """Returns the first cap that one more message would exceed; shadow messages count only towards shadow messages.

    A message counts from its publication. Until then (`open_ids`) it counts as if it were published now, however long its
    text or its verdict takes.
    """
    for cap in caps:
        if cap.category != category or cap.channel not in (None, channel):
            continue
        counted = sum(
            send.category == category
            and cap.channel in (None, send.channel)
            and (send.at > now_s - cap.per_s or send.message_id in open_ids)
            and (shadow or send.kind != "shadow")
            for send in sends
        )
        if counted >= cap.messages:
            return cap
    return None


def forget_old_sends(
    sends: list[CapReservation], caps: list[Cap], now_s: float, open_ids: Collection[str] = ()
) -> list[CapReservation]:
    """Drops the sends that no cap can count any more."""
    window = max((cap.per_s for cap in caps), default=0.0)
    return [send for send in sends if send.at > now_s - window or send.message_id in open_ids]
