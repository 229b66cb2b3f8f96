"""Keeps what one lane has learned about each arm, and builds the snapshot of a campaign for the policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

import msgspec

from schemas import codec
from schemas.learning import ArmStatistics, PolicySnapshot
from workers.core.attribution import reward_delays
from workers.core.attribution.model import Contribution
from workers.core.attribution.rewards import worth
from workers.core.common.timestamps import instant
from workers.core.playbook.policy import Learning


class ArmEvidence(msgspec.Struct, array_like=True):
    """The trials of one arm in one context.

    `happened`: bits of what happened → number of trials. `open`: slot of decision time [ms] → number of trials that have
    earned nothing yet. Entries that are 0 are omitted.
    """

    campaign: str
    context: str
    arm: str
    happened: dict[int, int] = {}
    open: dict[int, int] = {}

    def move(self, old: Contribution, new: Contribution) -> None:
        """Replaces what one exposure has added."""
        for contribution, sign in ((old, -1), (new, 1)):
            if contribution.happened >= 0:
                _add(self.happened, contribution.happened, sign)
            if contribution.open_ms >= 0:
                _add(self.open, contribution.open_ms, sign)

    def forget_closed(self, before_s: float) -> None:
        """Drops slots whose window is over: each of their trials then has a weight of 1."""
        for slot_ms in [slot_ms for slot_ms in self.open if slot_ms < before_s * 1000]:
            del self.open[slot_ms]

    def statistics(self, clock_s: float, learning: Learning, known: Mapping[int, int]) -> ArmStatistics:
        """Returns the arm's part of a snapshot at this moment; `known` is the campaign's delays (bucket → rewards).

        Ages are differences between slots, so all moments within one slot give the same statistics.
        """
        now_ms, window_s = reward_delays.slot_ms(clock_s, learning.attribution_s), learning.attribution_s
        trials, pending = float(sum(self.happened.values())), 0
        for slot_ms, exposures in sorted(self.open.items()):
            age_s = (now_ms - slot_ms) / 1000
            if age_s < window_s:
                pending += exposures
                trials -= exposures * (1.0 - reward_delays.share_within(age_s, window_s, known))
        earned = [(worth(bits, learning.rewards), number) for bits, number in sorted(self.happened.items())]
        return ArmStatistics(
            arm=self.arm,
            context=self.context,
            trials=trials,
            pending=float(pending),
            rewards=sum((reward * number for reward, number in earned), 0.0),
            reward_squares=sum((reward * reward * number for reward, number in earned), 0.0),
        )


class CampaignDelays(msgspec.Struct, array_like=True):
    """The distribution of a campaign's reward delays: bucket → count. `emitted`: the version of its last snapshot."""

    campaign: str
    delays: dict[int, int] = {}
    emitted: str = ""

    def move(self, old: Contribution, new: Contribution) -> bool:
        """Replaces what one exposure has added; returns False if that changes nothing."""
        if old.delay == new.delay:
            return False
        for contribution, sign in ((old, -1), (new, 1)):
            if contribution.delay >= 0:
                _add(self.delays, contribution.delay, sign)
        return True


encode = msgspec.msgpack.Encoder().encode
decode_arm = msgspec.msgpack.Decoder(ArmEvidence).decode
decode_campaign = msgspec.msgpack.Decoder(CampaignDelays).decode


def snapshot(
    campaign: CampaignDelays, arms: Iterable[ArmEvidence], learning: Learning, partition: int, clock_s: float
) -> PolicySnapshot:
    """Returns all arms of a campaign that have evidence, sorted by context and name. The version depends only on the content."""
    found = [arm.statistics(clock_s, learning, campaign.delays) for arm in arms if arm.happened]
    found.sort(key=lambda arm: (arm.context, arm.arm))
    return PolicySnapshot(
        campaign_id=campaign.campaign,
        partition=partition,
        arms=found,
        snapshot_version=blake2b(codec.encode(found), digest_size=6).hexdigest() if found else "",
        taken_at=instant(clock_s),
    )


def _add(sums: dict[int, int], place: int, change: int) -> None:
    total = sums.get(place, 0) + change
    if total:
        sums[place] = total
    else:
        sums.pop(place, None)
