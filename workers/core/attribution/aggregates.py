"""Keeps the sums of one lane (counts per row, evidence per arm, delays per campaign) and publishes those that change."""

from __future__ import annotations

from collections.abc import Iterator

from schemas import codec
from workers.core.attribution import arm_evidence, counters, keys, reward_delays
from workers.core.attribution.arm_evidence import ArmEvidence, CampaignDelays
from workers.core.attribution.counters import Counts
from workers.core.attribution.metrics import COMPARED, FLAGS
from workers.core.attribution.model import HOLDOUT, MONEY_UNIT, REQUESTED, Contribution, Exposure
from workers.core.playbook.policy import Learning
from workers.core.stream.metrics import Tally
from workers.core.stream.records import Output, StateStore

METRICS, SNAPSHOTS = "feedback.metrics", "policy.snapshots"
_CONVERTED = 1 << FLAGS.index("converted")
_ORDERED = {kind: 1 << FLAGS.index(f"{kind}_converted") for kind in (REQUESTED, HOLDOUT)}
#: Rows kept in memory between batches.
_ROWS = 5_000


class Sums:
    """The sums of one lane: each adds up what exposures contribute, so the order in which exposures change does not matter.

    `begin` starts a batch; `puts` and `index_changes` return its changes. Arms and campaigns are few and stay in memory.
    """

    def __init__(self, store: StateStore, learning: Learning) -> None:
        self._store = store
        self._learning = learning
        self._rows: dict[bytes, Counts] = {}
        self._dirty = {key[1:] for key in store.scan(keys.DIRTY)}
        self._arms: dict[str, dict[bytes, ArmEvidence]] = {}
        for key in store.scan(keys.ARM):
            arm = arm_evidence.decode_arm(store.get(key) or b"")
            self._arms.setdefault(arm.campaign, {})[key] = arm
        campaigns = (arm_evidence.decode_campaign(store.get(key) or b"") for key in store.scan(keys.CAMPAIGN))
        self._campaigns = {campaign.campaign: campaign for campaign in campaigns}
        self._unpublished = set(self._campaigns)
        self._slot_ms = -1
        self.begin()

    def begin(self) -> None:
        """Starts a batch with no changes."""
        self._changed_rows: set[bytes] = set()
        self._changed_arms: dict[bytes, ArmEvidence] = {}
        self._changed_campaigns: set[str] = set()
        self._deleted: list[bytes] = []
        self._was_dirty = set(self._dirty)

    # -- adding ------------------------------------------------------------------------------------------------------

    def move(self, exposure: Exposure, new: Contribution, tally: Tally) -> None:
        """Replaces what this exposure has added with `new`, and stores `new` with the exposure."""
        old = exposure.counted
        if new == old:
            return
        exposure.counted = new
        self._row(counters.key_of(exposure), exposure).move(exposure.kind, old, new)
        _count_in_metrics(exposure, old, new, tally)
        if (old.happened, old.open_ms, old.delay) != (new.happened, new.open_ms, new.delay):
            self._move_evidence(exposure, old, new)

    def count_decision(self, exposure: Exposure) -> None:
        """Counts a decision whose effect is not measured; it is passed as an exposure for its labels."""
        counters.add(self._row(counters.key_of(exposure), exposure).flags, "decisions", 1)

    def compare(self, exposure: Exposure) -> None:
        """Counts the customer of an exposure that is being sealed, and whether the customer ordered, for the uplift."""
        customers, converted = COMPARED[exposure.kind]
        row = self._row(counters.key_of(exposure), exposure)
        counters.add(row.flags, customers, 1)
        if exposure.counted.flags & _ORDERED[exposure.kind]:
            counters.add(row.flags, converted, 1)

    def ignore(self, row_key: bytes, reason: str) -> None:
        """Counts ignored feedback by its reason, in the row of its message."""
        if (row := self._load(row_key)) is not None:
            counters.add(row.ignored, reason, 1)
            self._touch(row_key, row)

    def _row(self, key: bytes, exposure: Exposure) -> Counts:
        row = self._load(key)
        if row is None:
            row = self._rows[key] = counters.empty(exposure)
        self._touch(key, row)
        return row

    def _load(self, key: bytes) -> Counts | None:
        row = self._rows.get(key)
        if row is None and (stored := self._store.get(key)) is not None:
            row = self._rows[key] = counters.decode(stored)
        return row

    def _touch(self, key: bytes, row: Counts) -> None:
        row.dirty = True
        self._dirty.add(key)
        self._changed_rows.add(key)

    def _move_evidence(self, exposure: Exposure, old: Contribution, new: Contribution) -> None:
        name, key = exposure.campaign, keys.arm_key(exposure.campaign, exposure.context, exposure.arm)
        arms = self._arms.setdefault(name, {})
        if key not in arms:
            arms[key] = ArmEvidence(name, exposure.context, exposure.arm)
        arms[key].move(old, new)
        self._changed_arms[key] = arms[key]
        if name not in self._campaigns:
            self._campaigns[name] = CampaignDelays(name)
            self._changed_campaigns.add(name)
        if self._campaigns[name].move(old, new):
            self._changed_campaigns.add(name)
        self._unpublished.add(name)

    # -- publishing --------------------------------------------------------------------------------------------------

    def publish(self, partition: int, clock_s: float) -> list[Output]:
        """Returns the records of all rows and snapshots that changed since they were last published.

        A snapshot also changes as its trials age.
        """
        outputs = []
        for key in sorted(self._dirty):
            row = self._load(key)
            if row is None:
                continue
            row.dirty = False
            self._changed_rows.add(key)
            outputs.append(Output(METRICS, row.topic_key(partition), codec.encode(row.record(partition, clock_s))))
        self._dirty = set()
        slot_ms = reward_delays.slot_ms(clock_s, self._learning.attribution_s)
        if slot_ms != self._slot_ms:
            self._slot_ms = slot_ms
            self._unpublished.update(self._campaigns)
        for name in sorted(self._unpublished):
            campaign = self._campaigns[name]
            shown = arm_evidence.snapshot(
                campaign, self._arms.get(name, {}).values(), self._learning, partition, clock_s
            )
            if shown.snapshot_version != campaign.emitted:
                campaign.emitted = shown.snapshot_version
                self._changed_campaigns.add(name)
                outputs.append(Output(SNAPSHOTS, f"{name}|{partition}".encode(), codec.encode(shown)))
        self._unpublished = set()
        return outputs

    def forget_rows(self, before_ms: int) -> None:
        """Drops the rows of windows that began before `before_ms`; their published records stay in the topic."""
        for key in self._store.scan(keys.ROW):
            if keys.row_start_ms(key) >= before_ms:
                break
            if key not in self._dirty:
                self._rows.pop(key, None)
                self._changed_rows.discard(key)
                self._deleted.append(key)

    # -- results of a batch ------------------------------------------------------------------------------------------

    def puts(self, clock_s: float) -> Iterator[tuple[bytes, bytes | None]]:
        """Yields the state records that have changed."""
        for key in self._changed_rows:
            yield key, counters.encode(self._rows[key])
        for key, arm in self._changed_arms.items():
            arm.forget_closed(clock_s - 2 * self._learning.attribution_s)
            yield key, arm_evidence.encode(arm)
        for name in self._changed_campaigns:
            yield keys.campaign_key(name), arm_evidence.encode(self._campaigns[name])
        for key in self._deleted:
            yield key, None
        if len(self._rows) > _ROWS:
            self._rows = {key: row for key, row in self._rows.items() if row.dirty}

    def index_changes(self) -> tuple[list[bytes], list[bytes]]:
        """Returns (entries to add, entries to delete) of the index of unpublished rows."""
        added, removed = self._dirty - self._was_dirty, self._was_dirty - self._dirty
        return [keys.DIRTY + key for key in added], [keys.DIRTY + key for key in removed]


def _count_in_metrics(exposure: Exposure, old: Contribution, new: Contribution, tally: Tally) -> None:
    """Adds what is new to the metrics. What later moves to another exposure is counted there again."""
    if new.flags & ~old.flags & _CONVERTED:
        tally["conversions", exposure.campaign] += 1
    for currency, amount in new.revenue.items():
        if (more := amount - old.revenue.get(currency, 0)) > 0:
            tally["revenue", currency] += more / MONEY_UNIT  # type: ignore[assignment] # a Counter adds floats as well
    for reason, number in new.ignored.items():
        if (more := number - old.ignored.get(reason, 0)) > 0:
            tally["feedback_ignored", reason] += more
