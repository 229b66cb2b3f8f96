"""Decides each occurrence exactly once, and requests a text if a message is to be sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from schemas.base import AbortType
from schemas.messages import Decision
from workers.core.catalogue import product_facts
from workers.core.common import ids
from workers.core.common.timestamps import instant
from workers.core.decisioning import frequency_caps, policy
from workers.core.decisioning.channel_rate import ChannelRateLimiter
from workers.core.decisioning.control_state import ControlState
from workers.core.decisioning.policy import DecisionContext, PolicyDecision
from workers.core.partition.unit_of_work import UnitOfWork
from workers.core.personalisation.requests import OpenRequests
from workers.core.playbook.campaigns import Campaign
from workers.core.playbook.playbook import Playbook
from workers.core.profile import consent
from workers.core.profile.model import CapReservation, OpenRequest, Profile
from workers.core.publishing import messages
from workers.core.triggers import registry
from workers.core.triggers.base import Occurrence
from workers.core.triggers.registry import Triggers


class DecisionMaker:
    """Makes the decisions of one lane. `salt` makes customer_ref a pseudonym, `seed` decides every draw, `presumed` is for
    consent.allows, `control` returns the current pauses and learnt snapshots; `closing` ends the requests that this opens.
    """

    def __init__(
        self,
        playbook: Playbook,
        workspace: UnitOfWork,
        trigger: Triggers,
        pace: ChannelRateLimiter,
        closing: OpenRequests,
        control: Callable[[], ControlState],
        *,
        salt: str,
        seed: str,
        presumed: frozenset[str],
    ) -> None:
        self._playbook = playbook
        self._workspace = workspace
        self._triggers = trigger
        self._pace = pace
        self._closing = closing
        self._control = control
        self._salt = salt
        self._seed = seed
        self._presumed = presumed

    def decide(
        self, profile: Profile, occurrence: Occurrence, now_s: float, timer_due_s: float, *, its_turn: bool
    ) -> None:
        """Writes exactly one ledger record for this occurrence, and opens a request if the policy approves.

        The exception is an occurrence that must wait for the end of the quiet hours or (when it is not `its_turn` yet) for a free
        slot on the channel: a timer schedules it, and then every check runs again. `timer_due_s` is when it was due.
        """
        campaign = occurrence.campaign
        profile.sends = frequency_caps.forget_old_sends(profile.sends, self._playbook.policy.caps, now_s, profile.open)
        personalised = consent.may_personalise(profile, now_s)
        situation = DecisionContext(
            campaign=campaign,
            decision_id=ids.decision_id(profile.customer_id, campaign.id, occurrence.occurrence_id),
            now_s=now_s,
            due_at_s=occurrence.due_at_s,
            late_s=now_s - timer_due_s,
            group=(profile.target_group or messages.GENERIC) if personalised else messages.GENERIC,
            personalised=personalised,
            control=self._control(),
            seed=self._seed,
            presumed=self._presumed,
        )
        ruling = self._ruling(profile, occurrence, situation, its_turn=its_turn)
        if self._waits(profile, occurrence, ruling):
            return
        opened = None
        if ruling.channel is not None and ruling.reason in (None, "holdout"):
            message_id = ids.message_id(profile.customer_id, campaign.id, occurrence.occurrence_id, ruling.channel)
            kind = "shadow" if ruling.shadow else "holdout" if ruling.reason else "message"
            profile.sends.append(CapReservation(message_id, now_s, ruling.channel, campaign.category, kind))
            if ruling.needs_text:
                opened = self._request(profile, message_id, ruling.channel, occurrence, situation, ruling)
        decision = self._decision(profile, occurrence, situation, ruling, opened)
        self._triggers.done(profile, occurrence, now_s)
        self._workspace.put("message.decisions", profile, decision)
        self._workspace.count("decisions", campaign.id, decision.reason)
        if ruling.variation_id is not None:
            self._workspace.count("arms", campaign.id, ruling.variation_id)
        if opened is not None and self._closing.open(profile, opened, now_s):
            self._send_request(profile, opened, campaign)

    def _ruling(
        self, profile: Profile, occurrence: Occurrence, situation: DecisionContext, *, its_turn: bool
    ) -> PolicyDecision:
        objection = occurrence.objection
        if objection is None and not product_facts.may_mention(occurrence.line.product_id, self._playbook):
            objection = "guardrail", f"product {occurrence.line.product_id[:64]} is not described in products.yaml"
        if objection is None:
            now_s, turn = situation.now_s, self._pace.turn
            room = policy.at_once if its_turn else lambda channel: turn(channel, now_s)
            return policy.rule(profile, self._playbook, situation, room)
        ruling = PolicyDecision()
        ruling.failed("occasion", *objection)
        return ruling

    def _waits(self, profile: Profile, occurrence: Occurrence, ruling: PolicyDecision) -> bool:
        """Sets the timer of an occurrence that must wait; returns whether it must."""
        if ruling.defer_until_s is None:
            return False
        campaign = occurrence.campaign
        kind = registry.TURN if ruling.deferred_for == "rate" else registry.QUIET
        timer = registry.timer_id(campaign.id, occurrence.key, kind)
        self._workspace.timers.set(profile, timer, ruling.defer_until_s)
        self._workspace.count("deferred", campaign.id, ruling.deferred_for)
        return True

    def _decision(
        self,
        profile: Profile,
        occurrence: Occurrence,
        situation: DecisionContext,
        ruling: PolicyDecision,
        opened: OpenRequest | None,
    ) -> Decision:
        campaign = occurrence.campaign
        return Decision(
            decision_id=situation.decision_id,
            user_id=profile.customer_id,
            campaign_id=campaign.id,
            occurrence_id=occurrence.occurrence_id,
            trigger=registry.name(campaign.trigger),
            decided_at=instant(situation.now_s),
            reason=_reason(ruling),
            detail=ruling.checks[-1].detail if ruling.reason else "",
            checks=ruling.checks,
            message_id=opened.message_id if opened is not None else None,
            channel=ruling.channel,
            variation_id=ruling.variation_id,
            experiment_id=_experiment(campaign, ruling),
            target_group=situation.group,
            locale=product_facts.language_of(profile, self._playbook)[1],
            product_id=occurrence.line.product_id,
            category=campaign.category,
            mode=campaign.mode,
            propensity=ruling.propensity,
            propensities=ruling.chances,
            holdout_share=self._playbook.policy.holdout if campaign.category == policy.MARKETING else 0.0,
            due_at=instant(occurrence.due_at_s),
            policy_version=policy.POLICY_VERSION,
            playbook_version=self._playbook.version,
            profile_version=profile.version,
            snapshot_version=situation.control.versions.get(campaign.id, "") if ruling.chances else "",
            source_event=occurrence.source,
        )

    def _request(
        self,
        profile: Profile,
        message_id: str,
        channel: str,
        occurrence: Occurrence,
        situation: DecisionContext,
        ruling: PolicyDecision,
    ) -> OpenRequest:
        """Returns the request to open, with the deadline after which the template is published."""
        campaign, arm, now_s = occurrence.campaign, ruling.arm, situation.now_s
        language, locale = product_facts.language_of(profile, self._playbook)
        return OpenRequest(
            message_id=message_id,
            decision_id=situation.decision_id,
            campaign_id=campaign.id,
            occurrence_id=occurrence.occurrence_id,
            channel=channel,
            trigger_key=occurrence.key,
            locale=locale,
            language=language,
            target_group=situation.group,
            personalised=situation.personalised,
            product=product_facts.product_facts(occurrence.line, occurrence.currency, self._playbook, language),
            requested_at=now_s,
            deadline_at=min(now_s + campaign.deadline_s, occurrence.due_at_s + campaign.ttl_s),
            expires_at=occurrence.due_at_s + campaign.ttl_s,
            propensity=ruling.propensity,
            variation_id=ruling.variation_id,
            experiment_id=_experiment(campaign, ruling),
            prompt=arm.prompt if arm is not None else campaign.prompt,
            tone=arm.tone if arm is not None else None,
            shadow=ruling.shadow,
            held_out=ruling.ghost,
            source=occurrence.source,
        )

    def request_again(self, customer_id: str) -> None:
        """Sends a customer's open requests again: OpenRequests accepts only one answer to each."""
        profile = self._workspace.load(customer_id)
        for opened in profile.open.values() if profile is not None else ():
            campaign = self._playbook.campaigns.get(opened.campaign_id)
            if profile is not None and campaign is not None and opened.held is None:
                self._send_request(profile, opened, campaign)

    def _send_request(self, profile: Profile, opened: OpenRequest, campaign: Campaign) -> None:
        request = messages.request(profile, opened, campaign, self._playbook, self._salt)
        self._workspace.put("message.requests", profile, request)


def _reason(ruling: PolicyDecision) -> AbortType | Literal["requested"]:
    """Returns the reason as the ledger records it: a campaign in shadow mode sends nothing, even if no-send was drawn."""
    if ruling.shadow and ruling.reason in (None, "no_action_chosen"):
        return "shadow"
    return ruling.reason or "requested"


def _experiment(campaign: Campaign, ruling: PolicyDecision) -> str | None:
    """Returns the id of the experiment: the arms of a campaign form one; None = nothing was drawn."""
    return campaign.id if ruling.chances else None
