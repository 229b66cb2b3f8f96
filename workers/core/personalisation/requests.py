"""Tracks open message requests and ends each exactly once: with the generated text, after a review, or with the template.

Every message is published from one place (`OpenRequests._publish_or_hold`), and only when a timer fires: by then everything
earlier in the log has been applied. Incoming texts and verdicts are held with a timer that is due at once, so that everything the
customer has done in the meantime is known before publication, even if it is in a backlog of minutes. Before publication every
check runs again, including quiet hours.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import msgspec

from schemas.messages import Candidate, Message, MessageText, Review, ReviewVerdict
from schemas.topics import message_topic
from workers.core.common.timestamps import instant
from workers.core.decisioning import policy
from workers.core.decisioning.control_state import ControlState
from workers.core.generation.templates import TextContext, template_text
from workers.core.guardrails.check import check, rejections
from workers.core.partition import timers
from workers.core.partition.unit_of_work import UnitOfWork
from workers.core.playbook.playbook import Playbook
from workers.core.profile.model import MAX_SKETCHES, OpenRequest, PendingText, Profile
from workers.core.publishing import cancellations, messages, recheck, review_rules
from workers.core.text import near_duplicates
from workers.core.triggers.base import Objection
from workers.core.triggers.registry import Triggers

#: Prefix of the timer that ends a request's wait for its text, its verdict or the end of quiet hours.
DEADLINE = f"{timers.DEADLINE}|"


class OpenRequests:
    """The open requests of one lane. `live` False = a replay: it has no reviewers, and no backlog when a text arrives because its
    clock stands still while texts are awaited. The other arguments are those of DecisionMaker.

    `awaited` counts the requests whose text is still awaited; the creator sets it for a lane that has open requests.
    """

    def __init__(
        self,
        playbook: Playbook,
        workspace: UnitOfWork,
        trigger: Triggers,
        control: Callable[[], ControlState],
        *,
        seed: str,
        presumed: frozenset[str],
        live: bool,
    ) -> None:
        self._playbook = playbook
        self._workspace = workspace
        self._triggers = trigger
        self._control = control
        self._seed = seed
        self._presumed = presumed
        self._live = live
        self.awaited = 0

    def open(self, profile: Profile, opened: OpenRequest, now_s: float) -> bool:
        """Opens a request. Returns True if it now waits for its text, which it does until its deadline at most.

        If a provider's template is sent, there is no text to wait for: the message is published or held at once. `open` is called
        when a timer fires, so all earlier records have already been applied.
        """
        profile.open[opened.message_id] = opened
        self.awaited += 1
        channel = self._playbook.channels.get(opened.channel)
        if channel is not None and channel.is_templated(opened.language):
            self._publish_or_hold(profile, opened, PendingText(text=MessageText()), now_s)
            return False
        self._workspace.timers.set(profile, DEADLINE + opened.message_id, opened.deadline_at)
        return True

    def candidate(self, profile: Profile | None, candidate: Candidate, now_s: float) -> None:
        """Applies a generated text. One for a request that does not await a text (duplicate or too late) changes nothing."""
        opened = profile.open.get(candidate.message_id) if profile is not None else None
        if profile is None or opened is None or opened.held is not None:
            self._workspace.count("candidates", "ignored")
            return
        self._workspace.count("candidates", "taken")
        held = PendingText(text=candidate.text, candidate=candidate)
        why = self._why_review(candidate, opened)
        if not self._live and review_rules.doubt(candidate):
            held = self._template(opened)  # a replay has no reviewers
        if why and self._objection(profile, opened, now_s) is None:
            self._request_review(profile, opened, held, why, now_s)
        else:
            self._release(profile, opened, held, now_s)

    def verdict(self, profile: Profile | None, verdict: ReviewVerdict, now_s: float) -> None:
        """Applies a reviewer's verdict. One on a text not in review (duplicate or too late) and a mere rating change nothing.

        An edited text that the guardrails reject is refused: the review stays open until its timeout.
        """
        opened = profile.open.get(verdict.message_id) if profile is not None else None
        held = opened.held if opened is not None else None
        if verdict.verdict == "rate" or profile is None or opened is None or held is None or not held.is_in_review:
            self._workspace.count("reviews", "rated" if verdict.verdict == "rate" else "ignored")
            return
        match verdict.verdict:
            case "approve":
                held.reviewed = "approved"
            case "edit" if (edited := self._edited(held, opened, verdict)) is not None:
                held = edited
            case "edit":
                self._workspace.count("reviews", "refused")
                return
            case "reject" if self._playbook.policy.review.on_reject == "template":
                held = self._template(opened)
            case "reject":
                self._workspace.count("reviews", "rejected")
                reasons = f": {', '.join(verdict.reasons)}" if verdict.reasons else ""
                objection = self._objection(profile, opened, now_s) or ("rejected", f"a reviewer rejected it{reasons}")
                self._end(profile, opened, held, now_s, objection)
                return
        self._workspace.count("reviews", held.reviewed or "rejected")
        self._release(profile, opened, held, now_s)

    def deadline(self, profile: Profile, message_id: str, now_s: float) -> None:
        """Ends the wait at its deadline: the template replaces a missing text; an open review ends as the playbook specifies."""
        opened = profile.open.get(message_id)
        if opened is None:
            return
        held = opened.held
        if held is None:
            held = self._template(opened)
        elif held.is_in_review:
            self._workspace.count("reviews", "timeout")
            if (unreviewed := self._unreviewed(opened, held)) is None:
                self._discard_unreviewed(profile, opened, held, now_s)
                return
            held = unreviewed
        self._publish_or_hold(profile, opened, held, now_s)

    # -- review ------------------------------------------------------------------------------------------------------

    def _why_review(self, candidate: Candidate, opened: OpenRequest) -> str:
        rules = self._playbook.policy.review
        if not self._live or opened.channel not in self._playbook.channels:
            return ""
        return review_rules.review_reason(candidate, opened, rules, self._control(), self._seed)

    def _request_review(self, profile: Profile, opened: OpenRequest, held: PendingText, why: str, now_s: float) -> None:
        """Requests a review and holds the text until the verdict or the timeout."""
        until_s = review_rules.ends_at(opened, self._playbook.policy.review, now_s)
        if until_s <= now_s:
            self._workspace.count("reviews", "no_time")
            if (unreviewed := self._unreviewed(opened, held)) is None:
                self._discard_unreviewed(profile, opened, held, now_s)
            else:
                self._release(profile, opened, unreviewed, now_s)
            return
        self._hold(profile, opened, held, until_s)
        candidate = held.candidate
        review = Review(
            message_id=opened.message_id,
            user_id=profile.customer_id,
            campaign_id=opened.campaign_id,
            channel=opened.channel,
            locale=opened.locale,
            target_group=opened.target_group,
            product=opened.product,
            text=held.text,
            prompt=opened.prompt,
            language=opened.language,
            prompt_version=candidate.prompt_version if candidate else "",
            verdicts=candidate.verdicts if candidate else [],
            why=why,
            asked_at=instant(now_s),
            timeout_at=instant(until_s),
        )
        self._workspace.put("message.reviews", profile, review)
        self._workspace.count("reviews", "asked")

    def _edited(self, held: PendingText, opened: OpenRequest, verdict: ReviewVerdict) -> PendingText | None:
        """Returns the text as edited by the reviewer; None = the guardrails reject it."""
        if verdict.text is None or held.candidate is None or opened.channel not in self._playbook.channels:
            return None
        about = TextContext(
            language=opened.language, channel=opened.channel, product=opened.product, locale=opened.locale
        )
        checked = check(verdict.text, about, self._playbook)
        if rejections(checked):
            return None
        candidate = msgspec.structs.replace(held.candidate, verdicts=checked)
        return PendingText(text=verdict.text, candidate=candidate, reviewed="edited")

    def _unreviewed(self, opened: OpenRequest, held: PendingText) -> PendingText | None:
        """Returns the text to publish when the review times out; None = nothing is published."""
        doubtful = held.candidate is not None and bool(review_rules.doubt(held.candidate))
        match self._playbook.policy.review.on_timeout:
            case "publish" if not doubtful:
                held.reviewed = "timeout"
                return held
            case "template" | "publish":
                return self._template(opened)
            case "discard":
                return None

    def _discard_unreviewed(self, profile: Profile, opened: OpenRequest, held: PendingText, now_s: float) -> None:
        objection = self._objection(profile, opened, now_s) or ("rejected", "no one reviewed it in time")
        self._end(profile, opened, held, now_s, objection)

    # -- publication -------------------------------------------------------------------------------------------------

    def _release(self, profile: Profile, opened: OpenRequest, held: PendingText, now_s: float) -> None:
        """Schedules a finished text for publication at the next firing of timers. One that must not be published ends at once."""
        held.released = True
        if (objection := self._objection(profile, opened, now_s)) is not None:
            self._end(profile, opened, held, now_s, objection)
        elif self._live:
            self._hold(profile, opened, held, now_s)
        else:
            self._publish_or_hold(profile, opened, held, now_s)

    def _publish_or_hold(self, profile: Profile, opened: OpenRequest, held: PendingText, now_s: float) -> None:
        """Publishes or discards a finished text, or holds it until the customer's quiet hours end."""
        objection = self._objection(profile, opened, now_s)
        if objection is None:
            category = self._playbook.campaigns[opened.campaign_id].category
            publishable_s = policy.publishable_at(profile, self._playbook, opened.channel, category, now_s)
            if now_s < publishable_s < opened.expires_at:
                held.released = True
                self._hold(profile, opened, held, publishable_s)
                return
            if publishable_s == inf:
                objection = "missing_timezone", "the customer's time zone is no longer known"
            elif publishable_s > now_s:
                objection = "quiet_hours", "it was ready in quiet hours, and expires before they end"
        self._end(profile, opened, held, now_s, objection)

    def _hold(self, profile: Profile, opened: OpenRequest, held: PendingText, until_s: float) -> None:
        """Holds a text until `until_s` or, if that has passed, until timers next fire."""
        self._no_longer_awaited(opened)
        opened.held = held
        self._workspace.touch(profile)
        self._workspace.timers.set(profile, DEADLINE + opened.message_id, until_s)

    # -- the end -----------------------------------------------------------------------------------------------------

    def abandon(self, profile: Profile, message_id: str, now_s: float) -> None:
        """Ends a request that cannot be ended in any other way, after an internal error. Nothing is published."""
        opened = profile.open.get(message_id)
        if opened is not None:
            self._end(
                profile,
                opened,
                PendingText(text=MessageText()),
                now_s,
                ("stale", "an internal error ended the request"),
            )

    def _template(self, opened: OpenRequest) -> PendingText:
        """Returns the hand-written template; empty if the campaign was removed from the playbook while the request was open."""
        campaign = self._playbook.campaigns.get(opened.campaign_id)
        if campaign is None:
            return PendingText(text=MessageText())
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
        return PendingText(text=text, template_version=version)

    def _objection(self, profile: Profile, opened: OpenRequest, now_s: float) -> Objection | None:
        return recheck.objection(
            profile, opened, self._playbook, self._triggers, self._control(), now_s, self._presumed, self._seed
        )

    def _end(
        self,
        profile: Profile,
        opened: OpenRequest,
        held: PendingText,
        now_s: float,
        objection: Objection | None,
    ) -> None:
        """Ends the request with its only outcome: published, or discarded for the reason in `objection`."""
        workspace, message = self._workspace, None
        if objection is None:  # first: if this raises, the request still exists and can be abandoned
            built = messages.message(profile, opened, held, self._playbook, now_s)
            message, objection = (built, None) if isinstance(built, Message) else (None, built)
        workspace.touch(profile)
        self._no_longer_awaited(opened)
        del profile.open[opened.message_id]
        workspace.timers.cancel(profile, DEADLINE + opened.message_id)
        if message is not None:
            self._publish(profile, opened, message, held.text.body, now_s)
        ended = messages.outcome(profile, opened, objection, message, now_s)
        workspace.put("message.outcomes", profile, ended)
        workspace.count("outcomes", opened.campaign_id, ended.reason)
        workspace.observe("request_seconds", now_s - opened.requested_at, opened.campaign_id)

    def recall(self, profile: Profile, now_s: float) -> None:
        """Cancels messages that were published to this customer and must no longer be delivered."""
        for cancellation in cancellations.due(profile, self._playbook, self._triggers, now_s, self._presumed):
            self._workspace.put("message.cancellations", profile, cancellation)
            self._workspace.count("cancellations", cancellation.channel, cancellation.reason)

    def _no_longer_awaited(self, opened: OpenRequest) -> None:
        """Updates `awaited`; call it before the text is stored as held or the request ends."""
        self.awaited -= opened.held is None

    def _publish(self, profile: Profile, opened: OpenRequest, message: Message, body: str, now_s: float) -> None:
        self._workspace.put(message_topic(opened.channel), profile, message)
        profile.sent += 1
        for send in profile.sends:
            if send.message_id == message.message_id:
                send.at = now_s  # from now on the caps count from publication
        cancellations.remember(profile, opened, message, now_s)
        if body:
            profile.sketches = [*profile.sketches, near_duplicates.sketch(body)][-MAX_SKETCHES:]
        self._workspace.count("messages", opened.channel, message.provenance.generated_by, opened.language)
