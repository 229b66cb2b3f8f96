"""Ends each request once: with the words that came, after a person's verdict, or with the template."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from schemas.messages import Candidate, Message, MessageText, Review, ReviewVerdict
from schemas.topics import message_topic
from workers.core import guardrails, policy, publishing, reviewing, sketch, timers
from workers.core.fallback import Situation, template_text
from workers.core.fold import instant
from workers.core.guidance import Guidance
from workers.core.playbook import Playbook
from workers.core.profile import MAX_SKETCHES, Held, OpenRequest, Profile
from workers.core.triggers import Objection, Triggers
from workers.core.workspace import Workspace

#: Prefix of the timer that ends the waiting for a request's words, verdict or morning.
DEADLINE = f"{timers.DEADLINE}|"


class Closing:
    """How the open requests of one lane end. `reviews` False = nobody is asked to look (a replay has no people); the other
    arguments are those of Deciding.

    `open` counts requests without an outcome.
    """

    def __init__(
        self,
        playbook: Playbook,
        workspace: Workspace,
        trigger: Triggers,
        guidance: Callable[[], Guidance],
        *,
        seed: str,
        presumed: frozenset[str],
        reviews: bool,
    ) -> None:
        self._playbook = playbook
        self._workspace = workspace
        self._triggers = trigger
        self._guidance = guidance
        self._seed = seed
        self._presumed = presumed
        self._reviews = reviews
        self.open = workspace.timers_at_start[timers.DEADLINE]

    def opened(self, profile: Profile, message_id: str, request: OpenRequest) -> None:
        """A request begins: its words are awaited until its deadline, unless a provider's template needs none."""
        profile.open[message_id] = request
        self.open += 1
        if not self.is_templated(request):
            self._workspace.timers.set(profile, DEADLINE + message_id, request.deadline_at)

    def is_templated(self, opened: OpenRequest) -> bool:
        """Whether a provider's template leaves, so that nobody writes words: `templated` ends it."""
        channel = self._playbook.channels.get(opened.channel)
        return channel is not None and channel.is_templated(opened.language)

    def templated(self, profile: Profile, message_id: str, opened: OpenRequest, now_s: float) -> None:
        """Publishes a provider's template at once."""
        self._end(profile, message_id, opened, Held(text=MessageText()), now_s)

    def candidate(self, profile: Profile | None, candidate: Candidate, now_s: float) -> None:
        """The words have come. Those for a request that does not await any (repeated, or too late) change nothing."""
        opened = profile.open.get(candidate.message_id) if profile is not None else None
        if profile is None or opened is None or opened.held is not None:
            self._workspace.count("candidates", "ignored")
            return
        self._workspace.count("candidates", "taken")
        held = Held(text=candidate.text, candidate=candidate)
        why = self._why_review(candidate, opened)
        if why and self._objection(profile, opened, now_s) is None:
            self._ask(profile, candidate.message_id, opened, held, why, now_s)
        else:
            self._end(profile, candidate.message_id, opened, held, now_s)

    def verdict(self, profile: Profile | None, verdict: ReviewVerdict, now_s: float) -> None:
        """A person has looked. A text that nobody was asked about (repeated, too late) and a mere rating change nothing.

        An edited text that the guardrails reject is refused: the review goes on until its end.
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
                reason = f"a reviewer said: {', '.join(verdict.reasons)}" if verdict.reasons else "a reviewer said no"
                self._end(profile, verdict.message_id, opened, held, now_s, ("rejected", reason))
                return
        self._workspace.count("reviews", held.reviewed or "rejected")
        self._leave(profile, verdict.message_id, opened, held, now_s)

    def deadline(self, profile: Profile, message_id: str, now_s: float) -> None:
        """The waiting ends, without any help from outside: for words with the template, for people as the playbook says."""
        opened = profile.open.get(message_id)
        if opened is None:
            return
        if opened.held is None:
            self._end(profile, message_id, opened, self._template(opened), now_s)
        elif opened.held.is_in_review:
            self._workspace.count("reviews", "timeout")
            self._unreviewed(profile, message_id, opened, opened.held, now_s)
        else:
            self._end(profile, message_id, opened, opened.held, now_s)

    # -- people ------------------------------------------------------------------------------------------------------

    def _why_review(self, candidate: Candidate, opened: OpenRequest) -> str:
        rules = self._playbook.policy.review
        if not self._reviews or opened.channel not in self._playbook.channels:
            return ""
        return reviewing.why_review(candidate, opened, rules, self._guidance(), self._seed)

    def _ask(self, profile: Profile, message_id: str, opened: OpenRequest, held: Held, why: str, now_s: float) -> None:
        """Lets the text wait for a verdict."""
        until_s = reviewing.ends_at(opened, self._playbook.policy.review, now_s)
        if until_s <= now_s:
            self._workspace.count("reviews", "no_time")
            self._unreviewed(profile, message_id, opened, held, now_s)
            return
        self._hold(profile, message_id, opened, held, until_s)
        candidate = held.candidate
        review = Review(
            message_id=message_id,
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

    def _edited(self, held: Held, opened: OpenRequest, verdict: ReviewVerdict) -> Held | None:
        """The text as the reviewer would have it; None = the guardrails reject it."""
        if verdict.text is None or held.candidate is None or opened.channel not in self._playbook.channels:
            return None
        about = Situation(
            language=opened.language, channel=opened.channel, product=opened.product, locale=opened.locale
        )
        checked = guardrails.check(verdict.text, about, self._playbook)
        if not guardrails.passed(checked):
            return None
        candidate = msgspec.structs.replace(held.candidate, verdicts=checked)
        return Held(text=verdict.text, candidate=candidate, reviewed="edited")

    def _unreviewed(self, profile: Profile, message_id: str, opened: OpenRequest, held: Held, now_s: float) -> None:
        """Nobody has looked in time."""
        match self._playbook.policy.review.on_timeout:
            case "publish":
                held.reviewed = "timeout"
                self._leave(profile, message_id, opened, held, now_s)
            case "template":
                self._leave(profile, message_id, opened, self._template(opened), now_s)
            case "discard":
                self._end(profile, message_id, opened, held, now_s, ("rejected", "nobody looked at it in time"))

    def _leave(self, profile: Profile, message_id: str, opened: OpenRequest, held: Held, now_s: float) -> None:
        """Publishes what has waited for people, or lets it wait on until the customer's night is over."""
        campaign = self._playbook.campaigns.get(opened.campaign_id)
        category = campaign.category if campaign is not None else policy.MARKETING
        awake_s = policy.awake_at(profile, self._playbook, opened.channel, category, now_s)
        if awake_s <= now_s:
            self._end(profile, message_id, opened, held, now_s)
        elif awake_s >= opened.expires_at:
            night: Objection = ("quiet_hours", "the verdict came at night, and the message expires before the morning")
            self._end(profile, message_id, opened, held, now_s, night)
        else:
            self._hold(profile, message_id, opened, held, awake_s)

    def _hold(self, profile: Profile, message_id: str, opened: OpenRequest, held: Held, until_s: float) -> None:
        opened.held = held
        self._workspace.touch(profile)
        self._workspace.timers.set(profile, DEADLINE + message_id, until_s)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _template(self, opened: OpenRequest) -> Held:
        """The hand-written words. Empty if the campaign has left the playbook while the request was open."""
        campaign = self._playbook.campaigns.get(opened.campaign_id)
        if campaign is None:
            return Held(text=MessageText())
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
        return Held(text=text, template_version=version)

    def _objection(self, profile: Profile, opened: OpenRequest, now_s: float) -> Objection | None:
        return publishing.objection(
            profile, opened, self._playbook, self._triggers, self._guidance(), now_s, self._presumed
        )

    def _end(
        self,
        profile: Profile,
        message_id: str,
        opened: OpenRequest,
        held: Held,
        now_s: float,
        objection: Objection | None = None,
    ) -> None:
        """Rechecks against the newest profile, then publishes or discards: the one outcome of this request.

        `objection`: why it must not leave, if that is known already; what the recheck finds goes before it.
        """
        workspace = self._workspace
        workspace.touch(profile)
        del profile.open[message_id]
        self.open -= 1
        workspace.timers.cancel(profile, DEADLINE + message_id)
        objection = self._objection(profile, opened, now_s) or objection
        message = None
        if objection is None:
            made = publishing.message(profile, message_id, opened, held, self._playbook, now_s)
            message, objection = (made, None) if isinstance(made, Message) else (None, made)
        if message is not None:
            self._publish(profile, opened, message, held.text.body)
        elif not opened.held_out and objection is not None and objection[0] != "shadow":
            # What nobody hears keeps its place: among the shadows, or as the virtual send of a holdout.
            profile.sends = [send for send in profile.sends if send.message_id != message_id]
        ended = publishing.outcome(profile, message_id, opened, objection, message, now_s)
        workspace.put("message.outcomes", profile, ended)
        workspace.count("outcomes", opened.campaign_id, ended.reason)
        workspace.observe("request_seconds", now_s - opened.requested_at, opened.campaign_id)

    def _publish(self, profile: Profile, opened: OpenRequest, message: Message, body: str) -> None:
        self._workspace.put(message_topic(opened.channel), profile, message)
        profile.sent += 1
        if body:
            profile.sketches = [*profile.sketches, sketch.sketch(body)][-MAX_SKETCHES:]
        self._workspace.count("messages", opened.channel, message.provenance.generated_by, opened.language)
