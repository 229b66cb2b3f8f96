"""Decides each occurrence once, and ends each request once."""

from __future__ import annotations

from collections.abc import Callable

from schemas.messages import Candidate, Decision, MessageText
from schemas.topics import message_topic
from workers.core import consent, facts, ids, policy, publishing, triggers
from workers.core.fallback import template_text
from workers.core.fold import instant
from workers.core.guidance import Guidance
from workers.core.pace import Pace
from workers.core.playbook import Campaign, Playbook
from workers.core.policy import Ruling, Situation
from workers.core.profile import OpenRequest, Profile, Send
from workers.core.triggers import Occurrence, Triggers
from workers.core.workspace import Workspace

#: Prefix of the timer after which a request's template leaves without the LLM.
DEADLINE = "deadline|"


class Deciding:
    """The decisions of one lane. `salt` makes customer_ref a pseudonym, `seed` decides every draw, `presumed` is for
    consent.allows, `guidance` tells what is paused and what was learnt.

    `open` counts requests without an outcome.
    """

    def __init__(
        self,
        playbook: Playbook,
        workspace: Workspace,
        trigger: Triggers,
        pace: Pace,
        guidance: Callable[[], Guidance],
        *,
        salt: str,
        seed: str,
        presumed: frozenset[str],
    ) -> None:
        self._playbook = playbook
        self._workspace = workspace
        self._triggers = trigger
        self._pace = pace
        self._guidance = guidance
        self._salt = salt
        self._seed = seed
        self._presumed = presumed
        self.open = workspace.count_timers(DEADLINE)

    def decide(
        self, profile: Profile, occurrence: Occurrence, now_s: float, timer_due_s: float, *, its_turn: bool
    ) -> None:
        """Exactly one ledger record for this occurrence, and a request if the policy says yes.

        Unless it must wait: for the end of the quiet hours, or (when it is not `its_turn` yet) for room on the channel.
        Then a timer brings it back, and all is checked anew. `timer_due_s` is when it should have been decided.
        """
        campaign = occurrence.campaign
        profile.sends = policy.forget_old_sends(profile.sends, self._playbook.policy.caps, now_s)
        personalised = consent.may_personalise(profile, now_s)
        situation = Situation(
            campaign=campaign,
            decision_id=ids.decision_id(profile.customer_id, campaign.id, occurrence.occurrence_id),
            now_s=now_s,
            due_at_s=occurrence.due_at_s,
            late_s=now_s - timer_due_s,
            group=(profile.target_group or publishing.GENERIC) if personalised else publishing.GENERIC,
            personalised=personalised,
            guidance=self._guidance(),
            seed=self._seed,
            presumed=self._presumed,
        )
        ruling = self._ruling(profile, occurrence, situation)
        if self._waits(profile, occurrence, ruling, now_s, its_turn=its_turn):
            return
        message_id = None
        if ruling.channel is not None and ruling.reason in (None, "holdout"):
            message_id = ids.message_id(profile.customer_id, campaign.id, occurrence.occurrence_id, ruling.channel)
            kind = "holdout" if ruling.reason else "shadow" if ruling.shadow else "message"
            profile.sends.append(Send(message_id, now_s, ruling.channel, campaign.category, kind))
        decision = self._decision(profile, occurrence, situation, ruling, message_id if ruling.reason is None else None)
        if message_id is not None and ruling.reason is None:
            self._request(profile, message_id, occurrence, situation, ruling)
        self._triggers.done(profile, occurrence, now_s)
        self._workspace.put("message.decisions", profile, decision)
        self._workspace.count("decisions", campaign.id, decision.reason)
        if ruling.variation_id is not None:
            self._workspace.count("arms", campaign.id, ruling.variation_id)

    def _ruling(self, profile: Profile, occurrence: Occurrence, situation: Situation) -> Ruling:
        ruling = policy.rule(profile, self._playbook, situation) if occurrence.objection is None else Ruling()
        if occurrence.objection is not None:
            ruling.failed("occasion", *occurrence.objection)
        return ruling

    def _waits(self, profile: Profile, occurrence: Occurrence, ruling: Ruling, now_s: float, *, its_turn: bool) -> bool:
        """Sets the timer of an occurrence that must wait."""
        campaign, until_s, timer, why = occurrence.campaign, ruling.defer_until_s, triggers.TIMER, "quiet_hours"
        if until_s is None and ruling.reason is None and ruling.channel is not None and not its_turn:
            turn_s = self._pace.turn(ruling.channel, now_s)
            if turn_s > now_s:
                until_s, timer, why = turn_s, triggers.TURN, "rate"
        if until_s is None:
            return False
        self._workspace.timers.set(profile, triggers.timer_id(campaign.id, occurrence.key, timer), until_s)
        self._workspace.count("deferred", campaign.id, why)
        return True

    def _decision(
        self, profile: Profile, occurrence: Occurrence, situation: Situation, ruling: Ruling, message_id: str | None
    ) -> Decision:
        campaign = occurrence.campaign
        return Decision(
            decision_id=situation.decision_id,
            user_id=profile.customer_id,
            campaign_id=campaign.id,
            occurrence_id=occurrence.occurrence_id,
            trigger=triggers.name(campaign.trigger),
            decided_at=instant(situation.now_s),
            reason=ruling.reason or ("shadow" if ruling.shadow else "requested"),
            detail=ruling.checks[-1].detail if ruling.reason else "",
            checks=ruling.checks,
            message_id=message_id,
            channel=ruling.channel,
            variation_id=ruling.variation_id,
            experiment_id=_experiment(campaign, ruling),
            target_group=situation.group,
            locale=facts.language_of(profile, self._playbook)[1],
            product_id=occurrence.line.product_id,
            category=campaign.category,
            propensity=ruling.propensity,
            propensities=ruling.chances,
            due_at=instant(occurrence.due_at_s),
            policy_version=policy.POLICY_VERSION,
            playbook_version=self._playbook.version,
            profile_version=profile.version,
            snapshot_version=situation.guidance.versions.get(campaign.id, "") if ruling.chances else "",
            source_event=occurrence.source,
        )

    def _request(
        self, profile: Profile, message_id: str, occurrence: Occurrence, situation: Situation, ruling: Ruling
    ) -> None:
        """Asks for the words, and sets the deadline after which the template leaves."""
        campaign, arm, now_s = occurrence.campaign, ruling.arm, situation.now_s
        language, locale = facts.language_of(profile, self._playbook)
        opened = OpenRequest(
            decision_id=situation.decision_id,
            campaign_id=campaign.id,
            occurrence_id=occurrence.occurrence_id,
            channel=ruling.channel or "",
            trigger_key=occurrence.key,
            locale=locale,
            language=language,
            target_group=situation.group,
            personalised=situation.personalised,
            product=facts.product_facts(occurrence.line, occurrence.currency, self._playbook, language),
            requested_at=now_s,
            deadline_at=now_s + campaign.deadline_s,
            expires_at=now_s + campaign.ttl_s,
            propensity=ruling.propensity,
            variation_id=ruling.variation_id,
            experiment_id=_experiment(campaign, ruling),
            prompt=arm.prompt if arm is not None else campaign.prompt,
            tone=arm.tone if arm is not None else None,
            shadow=ruling.shadow,
            source=occurrence.source,
        )
        profile.open[message_id] = opened
        self.open += 1
        self._workspace.timers.set(profile, DEADLINE + message_id, opened.deadline_at)
        request = publishing.request(profile, message_id, opened, campaign, self._playbook, self._salt)
        self._workspace.put("message.requests", profile, request)

    def ask_again(self, customer_id: str) -> None:
        """Sends a customer's open requests once more: `candidate` takes one answer of each."""
        profile = self._workspace.load(customer_id)
        for message_id, opened in profile.open.items() if profile is not None else ():
            campaign = self._playbook.campaigns.get(opened.campaign_id)
            if profile is not None and campaign is not None:
                request = publishing.request(profile, message_id, opened, campaign, self._playbook, self._salt)
                self._workspace.put("message.requests", profile, request)

    def candidate(self, profile: Profile | None, candidate: Candidate, now_s: float) -> None:
        """The words have come. Those for a request that is not open (repeated, or later than the template) change nothing."""
        opened = profile.open.get(candidate.message_id) if profile is not None else None
        if profile is None or opened is None:
            self._workspace.count("candidates", "ignored")
            return
        self._workspace.count("candidates", "taken")
        self._end(profile, candidate.message_id, opened, candidate.text, candidate, "", now_s)

    def deadline(self, profile: Profile, message_id: str, now_s: float) -> None:
        """The words did not come in time: the template leaves, without any help from outside."""
        opened = profile.open.get(message_id)
        if opened is None:
            return
        campaign = self._playbook.campaigns.get(opened.campaign_id)
        if campaign is None:  # the campaign left the playbook while the request was open
            self._end(profile, message_id, opened, MessageText(), None, "", now_s)
            return
        group = opened.target_group if opened.personalised else None
        text, version = template_text(
            self._playbook,
            campaign.prompt,
            opened.language,
            group,
            opened.channel,
            opened.product,
            tone=opened.tone,
            locale=opened.locale,
        )
        self._end(profile, message_id, opened, text, None, version, now_s)

    def _end(
        self,
        profile: Profile,
        message_id: str,
        opened: OpenRequest,
        text: MessageText,
        candidate: Candidate | None,
        template_version: str,
        now_s: float,
    ) -> None:
        """Rechecks against the newest profile, then publishes or discards: the one outcome of this request."""
        workspace = self._workspace
        workspace.touch(profile)
        del profile.open[message_id]
        self.open -= 1
        workspace.timers.cancel(profile, DEADLINE + message_id)
        objection = publishing.objection(
            profile, opened, self._playbook, self._triggers, self._guidance(), now_s, self._presumed
        )
        if objection is None and not text.body:
            objection = "stale", "the playbook has no words for this channel and language any more"
        message = None
        if objection is None:
            message = publishing.message(
                profile, message_id, opened, text, candidate, template_version, self._playbook, now_s
            )
            workspace.put(message_topic(opened.channel), profile, message)
            profile.sent += 1
            workspace.count("messages", opened.channel, message.provenance.generated_by, opened.language)
        elif objection[0] != "shadow":  # what is only looked at has its place among the shadows
            profile.sends = [send for send in profile.sends if send.message_id != message_id]
        ended = publishing.outcome(profile, message_id, opened, objection, message, now_s)
        workspace.put("message.outcomes", profile, ended)
        workspace.count("outcomes", opened.campaign_id, ended.reason)
        workspace.observe("request_seconds", now_s - opened.requested_at, opened.campaign_id)


def _experiment(campaign: Campaign, ruling: Ruling) -> str | None:
    """A campaign's arms are one experiment."""
    return campaign.id if ruling.chances else None
