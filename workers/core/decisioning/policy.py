"""Decides whether an occurrence becomes a message, on which channel and with which arm; gives the reason for every refusal.

The checks run in a fixed order and each adds a line to the ledger: pause, age, rollout, identifiers, consent, caps, quiet
hours, room, arm, holdout. The checks that can defer a decision come before the draw: an arm is drawn once, from the evidence
of that moment, so that its propensity is the probability with which it was chosen. The holdout comes last, for a send that is
decided in every other respect, so that the customers who get the message and those who do not differ in nothing else. A campaign
in shadow mode holds no one out, because its messages reach no one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from math import inf
from typing import Literal

import msgspec

from schemas.base import AbortType
from schemas.learning import ArmStatistics
from schemas.messages import PolicyCheck
from workers.core.decisioning import quiet_hours
from workers.core.decisioning.control_state import ControlState, paused_by
from workers.core.decisioning.frequency_caps import exceeded_cap
from workers.core.experimentation import arms, bandit, sampling
from workers.core.experimentation.arms import Arm
from workers.core.playbook.campaigns import Campaign
from workers.core.playbook.playbook import Playbook
from workers.core.playbook.policy import Cap, QuietHours
from workers.core.profile import consent
from workers.core.profile.model import Profile

#: Changes whenever the same inputs would be decided differently; stamped on every decision.
POLICY_VERSION = "3"
MARKETING = "marketing"
#: Takes the next slot on a channel and returns its time [s]; now or earlier = send at once.
Room = Callable[[str], float]


def at_once(_channel: str) -> float:
    """A `Room` without a limit."""
    return 0.0


class DecisionContext(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs of a decision besides the profile and the playbook.

    `due_at_s`: when the occurrence was due; `late_s`: the delay of its decision; `group`: the target group
    whose copy is used and whose evidence counts; `personalised` False = no customer data may be used.
    `presumed`: see consent.allows. `seed`, with `decision_id` or the customer, determines every draw.
    """

    campaign: Campaign
    decision_id: str
    now_s: float
    due_at_s: float
    late_s: float
    group: str
    personalised: bool
    control: ControlState
    seed: str
    presumed: Collection[str] = ()


class PolicyDecision(msgspec.Struct, kw_only=True):
    """The result of the policy, and the checks in order.

    `reason` None = request a message on `channel` with `arm`; `shadow` = without publishing it. With `defer_until_s` there is
    no decision yet, and `deferred_for` is the reason for the wait. `chances`: the probabilities of all arms (empty = nothing to
    choose); `variation_id`: the arm that was drawn; both are set for a holdout too. `ghost` = held out, but a text is
    generated all the same.
    """

    checks: list[PolicyCheck] = []
    reason: AbortType | None = None
    defer_until_s: float | None = None
    deferred_for: Literal["", "quiet_hours", "rate"] = ""
    channel: str | None = None
    arm: Arm | None = None
    variation_id: str | None = None
    chances: dict[str, float] = {}
    shadow: bool = False
    ghost: bool = False

    def passed(self, name: str, detail: str = "") -> None:
        """Adds a check that passed."""
        self.checks = [*self.checks, PolicyCheck(name=name, passed=True, detail=detail)]

    def failed(self, name: str, reason: AbortType, detail: str) -> None:
        """Adds the failed check, which ends the decision."""
        self.checks = [*self.checks, PolicyCheck(name=name, passed=False, detail=detail)]
        self.reason = reason

    @property
    def needs_text(self) -> bool:
        """True if a text must be generated, for the customer or for comparison."""
        return self.reason is None or self.ghost

    @property
    def propensity(self) -> float:
        """The probability with which the arm was drawn; 1 if there was nothing to choose."""
        return self.chances.get(self.variation_id or "", 1.0)


def rule(profile: Profile, playbook: Playbook, situation: DecisionContext, room: Room = at_once) -> PolicyDecision:
    """Applies the policy to one occurrence. Pure except for `room`, which takes a slot; the caller reserves and records."""
    ruling = PolicyDecision()
    if not _is_rolled_out(profile, playbook, situation, ruling):
        return ruling
    channels = _channels(profile, playbook, situation, ruling)
    if channels and _has_room(channels[0], situation, room, ruling):
        _choose_arm(situation, playbook, ruling)
        ruling.channel = channels[0]
        _hold_out(profile, playbook, situation, ruling)
    return ruling


# -- whether this campaign may send at all -------------------------------------------------------------------------------


def _is_rolled_out(profile: Profile, playbook: Playbook, situation: DecisionContext, ruling: PolicyDecision) -> bool:
    campaign = situation.campaign
    open_channels = [c for c in campaign.channels if paused_by(situation.control, campaign.id, c) is None]
    if not open_channels:
        scope = paused_by(situation.control, campaign.id, campaign.channels[0])
        ruling.failed("pause", "paused", f"{scope} is paused")
    elif situation.late_s > campaign.max_age_s:
        ruling.passed("pause")
        ruling.failed("age", "stale", f"decided {_duration(situation.late_s)} late, after an outage or a pause of ours")
    elif situation.now_s >= situation.due_at_s + campaign.ttl_s:
        ruling.passed("pause")
        ruling.failed("age", "expired", f"it waited for {_duration(situation.now_s - situation.due_at_s)}")
    elif (outside := outside_rollout(profile, playbook, campaign, situation.seed)) is not None:
        ruling.passed("pause")
        ruling.passed("age")
        ruling.failed("rollout", "not_in_rollout", outside)
    else:
        ruling.passed("pause")
        ruling.passed("age")
        ruling.passed("rollout", campaign.mode)
        ruling.shadow = campaign.mode == "shadow"
    return ruling.reason is None


def outside_rollout(profile: Profile, playbook: Playbook, campaign: Campaign, seed: str) -> str | None:
    """Returns why a campaign is not rolled out to this customer; None = it is, if only in shadow mode."""
    if campaign.mode == "allowlist" and profile.user_id not in playbook.policy.allowlist:
        return "the campaign is rolled out to the allowlist only"
    if campaign.mode == "ramp":
        percentile = sampling.uniform(seed, "rollout", campaign.id, profile.customer_id) * 100
        if percentile >= campaign.ramp_percent:
            return f"the campaign is rolled out to {campaign.ramp_percent:g} % of customers"
    return None


# -- on which channel -----------------------------------------------------------------------------------------------------


def _channels(profile: Profile, playbook: Playbook, situation: DecisionContext, ruling: PolicyDecision) -> list[str]:
    """Returns the channels on which the message may be published now, in campaign order; [] = the ruling has the reason."""
    campaign = situation.campaign
    if profile.user_id is None:
        ruling.failed("identifiers", "missing_identifier", "the customer is anonymous")
        return []
    reachable = [channel for channel in campaign.channels if is_reachable(profile, channel)]
    if not reachable:
        ruling.failed("identifiers", "missing_identifier", f"the address bounced on {' and '.join(campaign.channels)}")
        return []
    ruling.passed("identifiers")
    allowed = [
        channel for channel in reachable if consent.allows(profile, channel, campaign.category, situation.presumed)
    ]
    if not allowed:
        ruling.failed("consent", "consent", f"no {campaign.category} consent for {' or '.join(reachable)}")
        return []
    ruling.passed("consent", ", ".join(allowed))
    running = [channel for channel in allowed if paused_by(situation.control, campaign.id, channel) is None]
    if not running:
        ruling.failed("pause", "paused", f"channel {' and '.join(allowed)} is paused")
        return []
    free = _under_caps(profile, playbook, situation, running, ruling)
    return _outside_quiet_hours(profile, playbook, situation, free, ruling) if free else []


def is_reachable(profile: Profile, channel: str) -> bool:
    """Returns False after a hard bounce, until the customer allows the channel again and so has an address again."""
    bounced_at = profile.unreachable.get(channel)
    if bounced_at is None:
        return True
    statement = profile.consent.get(consent.consent_key(channel))
    return statement is not None and statement.granted and statement.captured_at > bounced_at


def _under_caps(
    profile: Profile, playbook: Playbook, situation: DecisionContext, channels: list[str], ruling: PolicyDecision
) -> list[str]:
    category, shadow, now_s = situation.campaign.category, ruling.shadow, situation.now_s
    full: Cap | None = None
    free = []
    for channel in channels:
        exceeded = exceeded_cap(
            profile.sends, playbook.policy.caps, channel, category, now_s, shadow=shadow, open_ids=profile.open
        )
        full = full or exceeded
        if exceeded is None:
            free.append(channel)
    if free:
        ruling.passed("caps")
    elif full is not None:
        days = f"{full.per_s / 86_400:g} days"
        detail = f"{full.messages} {full.category} messages in {days} are sent or reserved"
        ruling.failed("caps", "frequency_capped", detail)
    return free


def _outside_quiet_hours(
    profile: Profile, playbook: Playbook, situation: DecisionContext, channels: list[str], ruling: PolicyDecision
) -> list[str]:
    """Returns the channels that are not in their quiet hours."""
    quiet, campaign = playbook.policy.quiet_hours, situation.campaign
    if quiet is None or campaign.category != MARKETING:
        ruling.passed("quiet hours")
        return channels
    quiet_channels = [channel for channel in channels if quiet.channels is None or channel in quiet.channels]
    zone = _zone(profile, quiet)
    free = [channel for channel in channels if channel not in quiet_channels]
    if not free and zone is None:
        ruling.failed("quiet hours", "missing_timezone", "the customer's time zone is not known")
        return []
    ends_s = quiet_hours.ends_at(quiet, zone, situation.now_s) if zone is not None else None
    if zone is not None and ends_s is None:
        free = channels
    if free:
        waited = (
            zone is not None and quiet_hours.ends_at(quiet, zone, situation.due_at_s) is not None and ends_s is None
        )
        ruling.passed("quiet hours", f"it waited for {quiet.end} in {zone}" if waited else "")
    elif ends_s is not None and ends_s >= situation.due_at_s + campaign.ttl_s:
        ruling.failed("quiet hours", "quiet_hours", f"quiet hours in {zone} last until the message expires")
    else:
        ruling.defer_until_s, ruling.deferred_for = ends_s, "quiet_hours"
    return free


def _has_room(channel: str, situation: DecisionContext, room: Room, ruling: PolicyDecision) -> bool:
    """Takes a slot on the channel, except in shadow mode; False = the ruling has the end of the wait or the reason."""
    turn_s = situation.now_s if ruling.shadow else room(channel)
    if turn_s <= situation.now_s:
        return True
    if turn_s >= situation.due_at_s + situation.campaign.ttl_s:
        ruling.failed("room", "expired", f"{channel} has no free slot until the message expires")
    else:
        ruling.defer_until_s, ruling.deferred_for = turn_s, "rate"
    return False


def publishable_at(profile: Profile, playbook: Playbook, channel: str, category: str, now_s: float) -> float:
    """Returns when a message that is ready at `now_s` may be published: then, or at the end of the quiet hours [s].

    Infinite if the customer's zone is no longer known because the playbook or the time zone data have changed.
    """
    quiet = playbook.policy.quiet_hours
    if quiet is None or category != MARKETING or (quiet.channels is not None and channel not in quiet.channels):
        return now_s
    zone = _zone(profile, quiet)
    if zone is None:
        return inf
    ends_s = quiet_hours.ends_at(quiet, zone, now_s)
    return now_s if ends_s is None else ends_s


def _zone(profile: Profile, quiet: QuietHours) -> str | None:
    """Returns the zone that applies to a customer: the customer's own, else the playbook's; None = neither is known."""
    return next((zone for zone in (profile.timezone, quiet.timezone) if zone and quiet_hours.is_known(zone)), None)


# -- which arm, and whether held out -----------------------------------------------------------------------------------


def _choose_arm(situation: DecisionContext, playbook: Playbook, ruling: PolicyDecision) -> None:
    """Draws the arm. Customers who must not get personalised copy are not trials: they get the first arm."""
    campaign, learning = situation.campaign, playbook.policy.learning
    sending, every = arms.sending(campaign), arms.names(campaign)
    if len(every) == 1 or not situation.personalised:
        ruling.arm = next(iter(sending.values()))
        ruling.passed("arm")
        return
    evidence: Mapping[str, ArmStatistics] = situation.control.evidence.get(campaign.id, {}).get(situation.group, {})
    ruling.chances = bandit.probabilities(evidence, every, learning.epsilon, learning.prior_trials)
    ruling.variation_id = sampling.choose(ruling.chances, situation.seed, situation.decision_id)
    ruling.arm = sending.get(ruling.variation_id)
    drawn = f"{ruling.variation_id} of {len(every)}, drawn with probability {ruling.propensity:.2f}"
    if ruling.arm is None:
        ruling.failed("arm", "no_action_chosen", drawn)
    else:
        ruling.passed("arm", drawn)


def _hold_out(profile: Profile, playbook: Playbook, situation: DecisionContext, ruling: PolicyDecision) -> None:
    if ruling.reason is not None or ruling.shadow or situation.campaign.category != MARKETING:
        return
    if sampling.uniform(situation.seed, "holdout", profile.customer_id) < playbook.policy.holdout:
        ruling.failed("holdout", "holdout", f"in the control group of {playbook.policy.holdout * 100:g} %")
        ruling.ghost = sampling.uniform(situation.seed, "ghost", situation.decision_id) < playbook.policy.ghost_share
    else:
        ruling.passed("holdout")


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
