"""Decides each occurrence once, and ends each request once."""

from __future__ import annotations

from schemas.messages import Candidate, Decision, MessageText
from schemas.topics import message_topic
from workers.core import consent, facts, ids, policy, publishing, triggers
from workers.core import profile as profiles
from workers.core.fallback import template_text
from workers.core.fold import instant
from workers.core.playbook import Campaign, Playbook
from workers.core.profile import OpenRequest, Profile, Send
from workers.core.workspace import Workspace

#: Prefix of the timer after which a request's template leaves without the LLM.
DEADLINE = "deadline|"


class Deciding:
    """The decisions of one lane. `salt` makes customer_ref a pseudonym, `presumed` is for consent.allows.

    `open` counts requests without an outcome.
    """

    def __init__(self, playbook: Playbook, workspace: Workspace, salt: str, presumed: frozenset[str]) -> None:
        self._playbook = playbook
        self._workspace = workspace
        self._salt = salt
        self._presumed = presumed
        self.open = workspace.count_timers(DEADLINE)

    def decide(self, profile: Profile, occurrence: triggers.Occurrence, now_s: float) -> None:
        """Exactly one ledger record for this occurrence, and a request if the policy says yes."""
        campaign = occurrence.campaign
        profile.sends = policy.forget_old_sends(profile.sends, self._playbook.policy.caps, now_s)
        ruling = policy.rule(profile, campaign, self._playbook, now_s, self._presumed)
        language, locale = facts.language_of(profile, self._playbook)
        personalised = consent.may_personalise(profile, now_s)
        group = (profile.target_group or publishing.GENERIC) if personalised else publishing.GENERIC
        decision_id = ids.decision_id(profile.customer_id, campaign.id, occurrence.occurrence_id)
        message_id = None
        if ruling.channel is not None:
            message_id = ids.message_id(profile.customer_id, campaign.id, occurrence.occurrence_id, ruling.channel)
            opened = OpenRequest(
                decision_id=decision_id,
                campaign_id=campaign.id,
                occurrence_id=occurrence.occurrence_id,
                channel=ruling.channel,
                cart_id=occurrence.cart_id,
                locale=locale,
                language=language,
                target_group=group,
                personalised=personalised,
                product=facts.product_facts(occurrence.line, occurrence.currency, self._playbook, language),
                requested_at=now_s,
                deadline_at=now_s + campaign.deadline_s,
                expires_at=now_s + campaign.ttl_s,
                source=occurrence.source,
            )
            self._request(profile, message_id, opened, campaign)
        done = triggers.done_key(campaign.id, occurrence.occurrence_id)
        profiles.remember(profile.done, done, now_s, profiles.MAX_DONE)
        reason = ruling.reason or "requested"
        decision = Decision(
            decision_id=decision_id,
            user_id=profile.customer_id,
            campaign_id=campaign.id,
            occurrence_id=occurrence.occurrence_id,
            trigger=triggers.name(campaign.trigger),
            decided_at=instant(now_s),
            reason=reason,
            detail=ruling.checks[-1].detail if ruling.reason else "",
            checks=ruling.checks,
            message_id=message_id,
            channel=ruling.channel,
            target_group=group,
            locale=locale,
            product_id=occurrence.line.product_id,
            due_at=instant(occurrence.due_at_s),
            policy_version=policy.POLICY_VERSION,
            playbook_version=self._playbook.version,
            profile_version=profile.version,
            source_event=occurrence.source,
        )
        self._workspace.put("message.decisions", profile, decision)
        self._workspace.count("decisions", campaign.id, reason)

    def _request(self, profile: Profile, message_id: str, opened: OpenRequest, campaign: Campaign) -> None:
        """Reserves the cap, asks for the words, and sets the deadline after which the template leaves."""
        profile.sends.append(Send(message_id, opened.requested_at, opened.channel, campaign.category))
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
            self._playbook, campaign.prompt, opened.language, group, opened.channel, opened.product
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
        objection = publishing.objection(profile, opened, self._playbook, now_s, self._presumed)
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
        else:
            profile.sends = [send for send in profile.sends if send.message_id != message_id]
        ended = publishing.outcome(profile, message_id, opened, objection, message, now_s)
        workspace.put("message.outcomes", profile, ended)
        workspace.count("outcomes", opened.campaign_id, ended.reason)
