"""Builds the control state shared by all lanes: what is paused, and what has been learned about each arm."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from schemas import codec
from schemas.control import ControlSwitch
from schemas.learning import ArmStatistics, PolicySnapshot
from workers.core.experimentation.bandit import add_up
from workers.core.stream.records import Record

SWITCHES, SNAPSHOTS = "control.switches", "policy.snapshots"
#: The scope that covers everything.
EVERYTHING = "all"
_PROMPT = "prompt:"


class ControlState(msgspec.Struct, frozen=True, kw_only=True):
    """The control state at one moment; never changed afterwards, so that any thread may read it.

    `paused`: scopes of control.switches in state paused. `trusted`: prompt scopes (prompt_scope) in state running. `evidence`:
    campaign → context (target group) → arm → what was learned, summed over the partitions. `versions`: campaign → a hash that
    changes exactly when its evidence does.
    """

    paused: frozenset[str] = frozenset()
    trusted: frozenset[str] = frozenset()
    evidence: Mapping[str, Mapping[str, Mapping[str, ArmStatistics]]] = {}
    versions: Mapping[str, str] = {}


#: Nothing is paused and nothing has been learned.
NOTHING = ControlState()


class ControlStateReducer:
    """Builds the control state from records of control.switches and policy.snapshots, in the order of their topics.

    Applying the same records again, or only the newest of each key (compaction), leads to the same state. `ignored`
    counts records that could not be used.
    """

    def __init__(self) -> None:
        self.ignored = 0
        self._switches: dict[str, ControlSwitch] = {}
        self._snapshots: dict[str, dict[int, PolicySnapshot]] = {}
        self._current = NOTHING
        self._switched = False
        self._learnt: set[str] = set()

    def take(self, record: Record) -> bool:
        """Applies one record; returns False and changes nothing if it is from another topic or invalid."""
        taken = self._switch(record) if record.topic == SWITCHES else self._snapshot(record)
        self.ignored += not taken
        return taken

    @property
    def switches(self) -> Mapping[str, ControlSwitch]:
        """Scope → its newest switch, paused or running."""
        return self._switches

    @property
    def current(self) -> ControlState:
        """The control state after all records so far; the same object as long as nothing has changed."""
        if self._switched:
            paused = frozenset(scope for scope, switch in self._switches.items() if switch.state == "paused")
            running = self._switches.keys() - paused
            trusted = frozenset(scope for scope in running if scope.startswith(_PROMPT))
            self._switched = False
            if (paused, trusted) != (self._current.paused, self._current.trusted):
                self._current = msgspec.structs.replace(self._current, paused=paused, trusted=trusted)
        if self._learnt:
            evidence, versions = dict(self._current.evidence), dict(self._current.versions)
            for campaign in self._learnt:
                evidence.pop(campaign, None)
                versions.pop(campaign, None)
                if parts := self._snapshots.get(campaign):
                    evidence[campaign], versions[campaign] = _added_up(parts)
            self._learnt = set()
            if versions != self._current.versions:
                self._current = msgspec.structs.replace(self._current, evidence=evidence, versions=versions)
        return self._current

    def _switch(self, record: Record) -> bool:
        scope = (record.key or b"").decode(errors="replace")
        if record.value is None:
            self._switched |= self._switches.pop(scope, None) is not None
            return True
        try:
            switch = codec.decode(ControlSwitch, record.value)
        except codec.Malformed:
            return False
        if switch.scope != scope:
            return False
        known = self._switches.get(scope)
        if known is None or known.changed_at <= switch.changed_at:
            self._switches[scope] = switch
            self._switched = True
        return True

    def _snapshot(self, record: Record) -> bool:
        if record.topic != SNAPSHOTS:
            return False
        campaign, _, number = (record.key or b"").decode(errors="replace").rpartition("|")
        if not campaign or not number.isdecimal():
            return False
        parts = self._snapshots.setdefault(campaign, {})
        if record.value is None:
            parts.pop(int(number), None)
        else:
            try:
                snapshot = codec.decode(PolicySnapshot, record.value)
            except codec.Malformed:
                return False
            if (snapshot.campaign_id, snapshot.partition) != (campaign, int(number)):
                return False
            parts[snapshot.partition] = snapshot
        self._learnt.add(campaign)
        return True


def _added_up(parts: Mapping[int, PolicySnapshot]) -> tuple[dict[str, dict[str, ArmStatistics]], str]:
    """Returns the evidence and its version, summed in partition order so that all workers get the same floats."""
    ordered = sorted(parts.items())
    version = blake2b(codec.encode([(partition, snapshot.arms) for partition, snapshot in ordered]), digest_size=6)
    return add_up(arm for _, snapshot in ordered for arm in snapshot.arms), version.hexdigest()


def campaign_scope(campaign_id: str) -> str:
    """Returns the scope of one campaign.

    >>> campaign_scope("welcome")
    'campaign:welcome'
    """
    return f"campaign:{campaign_id}"


def channel_scope(channel: str) -> str:
    """Returns the scope of one channel.

    >>> channel_scope("push")
    'channel:push'
    """
    return f"channel:{channel}"


def prompt_scope(prompt: str, language: str, version: str) -> str:
    """Returns the scope of one version of a prompt in one language.

    >>> prompt_scope("welcome", "en", "3f0a")
    'prompt:welcome/en@3f0a'
    """
    return f"{_PROMPT}{prompt}/{language}@{version}"


def paused_by(control: ControlState, campaign_id: str, channel: str | None = None) -> str | None:
    """Returns the widest scope that pauses this campaign on this channel (None = any channel); None = nothing does.

    >>> paused_by(ControlState(paused=frozenset({"channel:push"})), "welcome", "push")
    'channel:push'
    >>> paused_by(NOTHING, "welcome", "push") is None
    True
    """
    scopes = [EVERYTHING, campaign_scope(campaign_id), *([channel_scope(channel)] if channel is not None else [])]
    return next((scope for scope in scopes if scope in control.paused), None)
