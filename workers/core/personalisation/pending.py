"""Reports what is pending in one lane, and why: occurrences without a decision, and requests without an outcome.

Both are in the profile: a timer for each occurrence, and `open` for the requests. The counts are therefore exact and need no
record of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

import msgspec

from schemas.base import Instant
from workers.core.common.timestamps import instant
from workers.core.playbook.playbook import Playbook
from workers.core.profile.model import OpenRequest, Profile
from workers.core.triggers import registry
from workers.core.triggers.registry import Triggers

#: `delay`: the campaign's delay; `quiet_hours`; `rate`: the channel's rate is used up; `words`, `review`: a request waits for its
#: text or its verdict; `release`: a finished text waits until it may be published (after quiet hours or a backlog).
PendingReason = Literal["delay", "quiet_hours", "rate", "words", "review", "release"]
REASONS: tuple[PendingReason, ...] = get_args(PendingReason)
_OF_TIMERS: dict[str, PendingReason] = {
    registry.TIMER: "delay",
    registry.QUIET: "quiet_hours",
    registry.TURN: "rate",
}
encode_counts = msgspec.msgpack.Encoder().encode
decode_counts = msgspec.msgpack.Decoder(dict[str, int]).decode


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence or request that is waiting.

    At `until` the occurrence is decided, or the request ends; earlier if what it is waiting for arrives.

    `key`: the cart, product, visit or order that it is about. `timezone`: the customer's, where known. `idle`: no message would
    result at present, because the campaign's conditions do not hold (any more).
    """

    reason: PendingReason
    campaign_id: str
    trigger: str = ""
    key: str = ""
    until: Instant
    timezone: str | None = None
    message_id: str | None = None
    channel: str | None = None
    idle: bool = False


def pending(profile: Profile, playbook: Playbook | None) -> list[Pending]:
    """Returns everything that is pending for one customer, earliest first.

    A timer that is due too early stays until it fires (see Triggers). With the `playbook`, `until` is the time of the decision,
    and occurrences that no longer hold are left out; without it, `until` is the timer's time.
    """
    triggers = Triggers(playbook) if playbook is not None else None
    occurrences: dict[tuple[str, str], Pending] = {}
    for timer, due_s in profile.timers.items():
        if (parsed := registry.parse_timer_id(timer)) is None:
            continue
        kind, campaign_id, key = parsed
        entry = Pending(
            reason=_OF_TIMERS[kind],
            campaign_id=campaign_id,
            key=key,
            until=instant(due_s),
            timezone=profile.timezone,
        )
        if playbook is not None and triggers is not None:
            expected = _with_decision_time(profile, playbook, triggers, entry, due_s)
            if expected is None:
                continue
            entry = expected
        before = occurrences.get((campaign_id, key))
        if before is None or before.until < entry.until:  # the later of two timers decides
            occurrences[campaign_id, key] = entry
    requests = (_of_request(profile, opened, playbook) for opened in profile.open.values())
    return sorted([*occurrences.values(), *requests], key=lambda entry: (entry.until, entry.campaign_id, entry.key))


def _with_decision_time(
    profile: Profile, playbook: Playbook, triggers: Triggers, entry: Pending, timer_s: float
) -> Pending | None:
    """Returns the entry with the time and reason of its decision; None = there will be nothing to decide."""
    campaign = playbook.campaigns.get(entry.campaign_id)
    due_s = triggers.due_at(profile, campaign, entry.key) if campaign is not None else None
    if campaign is None or due_s is None:
        return None
    quiet = playbook.policy.quiet_hours
    return msgspec.structs.replace(
        entry,
        reason="delay" if due_s > timer_s else entry.reason,
        trigger=registry.name(campaign.trigger),
        until=instant(max(due_s, timer_s)),
        timezone=entry.timezone or (quiet.timezone if quiet is not None else None),
        idle=triggers.due(profile, campaign, entry.key) is None,
    )


def _of_request(profile: Profile, opened: OpenRequest, playbook: Playbook | None) -> Pending:
    timer_s = next((due_s for timer, due_s in profile.timers.items() if timer.endswith(f"|{opened.message_id}")), None)
    campaign = playbook.campaigns.get(opened.campaign_id) if playbook is not None else None
    quiet = playbook.policy.quiet_hours if playbook is not None else None
    return Pending(
        reason=reason_of(opened),
        campaign_id=opened.campaign_id,
        trigger=registry.name(campaign.trigger) if campaign is not None else "",
        key=opened.trigger_key,
        until=instant(opened.deadline_at if timer_s is None else timer_s),
        timezone=profile.timezone or (quiet.timezone if quiet is not None else None),
        message_id=opened.message_id,
        channel=opened.channel,
    )


def reason_of(opened: OpenRequest) -> PendingReason:
    """Returns what a request waits for."""
    if opened.held is None:
        return "words"
    return "review" if opened.held.is_in_review else "release"


class PendingCounts:
    """Counts what is pending in a lane, by reason. Updated with each batch; profiles are scanned only once, at the start."""

    def __init__(self, timers: Mapping[str, int], awaiting: Iterable[Profile]) -> None:
        """`timers`: committed timers by kind; `awaiting`: the profiles with open requests."""
        self._timers = Counter(timers)
        self._requests: Counter[PendingReason] = Counter()
        self._of_customer: dict[str, Counter[PendingReason]] = {}
        self.follow(awaiting, {})

    def follow(self, changed: Iterable[Profile], moved: Mapping[str, int]) -> None:
        """Applies a batch: the profiles it changed, and by how much the number of timers of each kind has grown."""
        for kind, number in moved.items():
            self._timers[kind] += number
        of_customer = self._of_customer
        for profile in changed:
            if not profile.open and profile.customer_id not in of_customer:
                continue
            self._requests.subtract(of_customer.pop(profile.customer_id, {}))
            if profile.open:
                now = of_customer[profile.customer_id] = Counter(map(reason_of, profile.open.values()))
                self._requests.update(now)

    def by_reason(self) -> dict[str, int]:
        """Returns the count for every reason, including zeros."""
        timers = {reason: self._timers[kind] for kind, reason in _OF_TIMERS.items()}
        return {reason: timers.get(reason, 0) + self._requests[reason] for reason in REASONS}
