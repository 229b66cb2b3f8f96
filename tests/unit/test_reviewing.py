"""People in the loop: which texts wait for a verdict, what each verdict does, and that no wait is without an end."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from schemas.messages import GuardrailVerdict, MessageText
from tests.support.core import DELAY_S, NOON, LaneHarness, make_playbook
from workers.core.decisioning.control_state import ControlState
from workers.core.playbook.policy import Cap, Policy, QuietHours, ReviewRules

LATER = NOON + DELAY_S + 1
HOUR_S = 3600.0
GOOD = MessageText(title="Sleep tracking", body="Your Smart Band with sleep tracking is still here.")
TRUSTED = ControlState(trusted=frozenset({"prompt:cart-abandonment/en@p1"}))


def lane_with(rules: ReviewRules, quiet: QuietHours | None = None, **config: Any) -> LaneHarness:
    """Ana has left a cart, and its words have been asked for."""
    policy = Policy(caps=[Cap(messages=2, per_s=7 * 86_400.0)], review=rules, quiet_hours=quiet)
    lane = LaneHarness(make_playbook(policy=policy), **config)
    lane.run([*lane.allow("push"), lane.add()])
    lane.run([], wall_s=LATER)
    return lane


def lane_in_review(rules: ReviewRules | None = None, quiet: QuietHours | None = None) -> LaneHarness:
    """The words have come and wait for a verdict."""
    lane = lane_with(rules or ReviewRules(new_prompts=True), quiet)
    lane.run([lane.candidate(lane.requests[0])], wall_s=LATER)
    assert (len(lane.reviews), lane.messages, lane.outcomes) == (1, [], [])
    return lane


def reasons(lane: LaneHarness) -> list[str]:
    return [outcome.reason for outcome in lane.outcomes]


# -- which texts ---------------------------------------------------------------------------------------------------------


def test_without_rules_nobody_is_asked() -> None:
    lane = lane_with(ReviewRules())
    lane.run([lane.candidate(lane.requests[0], calls=2)], wall_s=LATER)
    assert (lane.reviews, reasons(lane)) == ([], ["published"])


def test_the_texts_of_a_prompt_that_nobody_trusts_wait_and_say_why() -> None:
    (review,) = lane_in_review().reviews
    assert "cart-abandonment/en@p1" in review.why
    assert (review.prompt, review.language, review.prompt_version) == ("cart-abandonment", "en", "p1")
    assert review.product.facts == ["sleep tracking"]
    assert (review.timeout_at - review.asked_at).total_seconds() == ReviewRules().timeout_s


def test_a_trusted_version_of_a_prompt_needs_no_look_and_its_next_version_does() -> None:
    lane = lane_with(ReviewRules(new_prompts=True))
    lane.control = TRUSTED
    lane.run([lane.candidate(lane.requests[0])], wall_s=LATER)
    assert reasons(lane) == ["published"]
    lane = lane_with(ReviewRules(new_prompts=True))
    lane.control = ControlState(trusted=frozenset({"prompt:cart-abandonment/en@p0"}))
    lane.run([lane.candidate(lane.requests[0])], wall_s=LATER)
    assert len(lane.reviews) == 1


@pytest.mark.parametrize(("calls", "asked"), [(1, 0), (2, 1)])
def test_a_text_of_which_an_earlier_draft_was_rejected_is_looked_at(calls: int, asked: int) -> None:
    lane = lane_with(ReviewRules(after_reask=True))
    lane.run([lane.candidate(lane.requests[0], calls=calls)], wall_s=LATER)
    assert len(lane.reviews) == asked


def test_a_sample_is_drawn_by_the_message_and_is_as_large_as_asked_for() -> None:
    lane = LaneHarness(make_playbook(policy=Policy(review=ReviewRules(sample=0.2))))
    users = [f"u{number}" for number in range(400)]
    lane.run([record for user in users for record in (*lane.allow("push", user=user), lane.add(user=user))])
    lane.run([], wall_s=LATER)
    lane.run([lane.candidate(request) for request in lane.requests], wall_s=LATER)
    share = len(lane.reviews) / len(users)
    assert 0.2 - 4 * 0.02 < share < 0.2 + 4 * 0.02  # four standard errors
    assert len(lane.reviews) + len(lane.messages) == len(users)


@pytest.mark.parametrize("generated_by", ["template", "pool"])
def test_words_of_people_are_not_looked_at_again(generated_by: Any) -> None:
    lane = lane_with(ReviewRules(new_prompts=True, sample=1.0))
    lane.run([lane.candidate(lane.requests[0], generated_by=generated_by)], wall_s=LATER)
    assert (lane.reviews, reasons(lane)) == ([], ["published"])


DOUBT = GuardrailVerdict(name="unsupported", passed=False, doubtful=True, detail='"It flies." is stated by no fact')


@pytest.mark.parametrize("on_timeout", ["template", "publish"])
def test_a_doubtful_text_needs_a_person_whatever_the_rules_say(on_timeout: Any) -> None:
    rules = ReviewRules(on_timeout=on_timeout)
    lane = lane_with(rules)
    lane.run([lane.candidate(lane.requests[0], verdicts=[DOUBT])], wall_s=LATER)
    assert lane.reviews[0].why == 'it is doubtful: "It flies." is stated by no fact'
    lane.run([], wall_s=LATER + rules.timeout_s + 1)
    assert [message.provenance.generated_by for message in lane.messages] == ["template"]


def test_a_doubtful_text_leaves_when_a_person_approves_it() -> None:
    lane = lane_with(ReviewRules())
    lane.run([lane.candidate(lane.requests[0], verdicts=[DOUBT])], wall_s=LATER)
    lane.run([lane.verdict(lane.reviews[0], "approve")], wall_s=LATER + 1)
    assert [message.provenance.generated_by for message in lane.messages] == ["llm"]


def test_a_doubtful_text_is_replaced_in_a_replay_which_has_no_reviewers() -> None:
    lane = lane_with(ReviewRules(), clock="event", presumed=frozenset({"push"}))
    lane.run([lane.punctuation(LATER)])
    lane.run([lane.candidate(lane.requests[0], verdicts=[DOUBT])])
    assert [message.provenance.generated_by for message in lane.messages] == ["template"]


@pytest.mark.parametrize("config", [{}, {"clock": "event", "presumed": frozenset({"push"})}], ids=["live", "replay"])
def test_a_template_that_replaces_a_doubtful_text_leaves_as_it_came(config: dict[str, Any]) -> None:
    lane = lane_with(ReviewRules(), **config)
    lane.run([lane.punctuation(LATER)] if config else [], wall_s=LATER)
    candidate = lane.candidate(lane.requests[0], "From the template.", generated_by="template", verdicts=[DOUBT])
    lane.run([candidate], wall_s=LATER)
    (message,) = lane.messages
    assert (message.body, message.provenance.generated_by) == ("From the template.", "template")
    assert lane.reviews == []


def test_a_replay_asks_nobody_so_that_its_time_goes_on() -> None:
    lane = lane_with(ReviewRules(new_prompts=True), clock="event", presumed=frozenset({"push"}))
    lane.run([lane.punctuation(LATER)])
    lane.run([lane.candidate(lane.requests[0])])
    assert (lane.reviews, reasons(lane)) == ([], ["published"])


def test_what_must_not_leave_any_more_is_not_shown_to_anybody() -> None:
    lane = lane_with(ReviewRules(new_prompts=True))
    lane.run([lane.buy(at_s=LATER), lane.candidate(lane.requests[0])], wall_s=LATER)
    assert (lane.reviews, reasons(lane)) == ([], ["converted"])


# -- verdicts ------------------------------------------------------------------------------------------------------------


def test_an_approved_text_leaves_as_it_is_and_says_so() -> None:
    lane = lane_in_review()
    lane.run([lane.verdict(lane.reviews[0], "approve")], wall_s=LATER + 60)
    (message,) = lane.messages
    assert (message.body, message.provenance.reviewed) == ("Your band is still here.", "approved")
    assert (message.provenance.generated_by, message.ai_generated) == ("llm", True)
    assert reasons(lane) == ["published"]


def test_an_edited_text_leaves_in_the_reviewers_words() -> None:
    lane = lane_in_review()
    lane.run([lane.verdict(lane.reviews[0], "edit", text=GOOD)], wall_s=LATER + 60)
    (message,) = lane.messages
    assert (message.title, message.body, message.provenance.reviewed) == (GOOD.title, GOOD.body, "edited")


@pytest.mark.parametrize("body", ["Half price today: the Smart Band!", "See https://evil.example now.", ""])
def test_an_edited_text_that_the_guardrails_reject_never_leaves_and_the_review_goes_on(body: str) -> None:
    lane = lane_in_review()
    worse = MessageText(title=GOOD.title, body=body)
    lane.run([lane.verdict(lane.reviews[0], "edit", text=worse)], wall_s=LATER + 60)
    assert (lane.messages, lane.outcomes) == ([], [])
    lane.run([lane.verdict(lane.reviews[0], "edit", text=GOOD)], wall_s=LATER + 61)
    assert [message.body for message in lane.messages] == [GOOD.body]


def test_a_rejected_text_ends_without_a_message_and_keeps_its_place() -> None:
    lane = lane_in_review()
    lane.run([lane.verdict(lane.reviews[0], "reject", reasons=["sounds odd"])], wall_s=LATER + 60)
    (outcome,) = lane.outcomes
    assert (lane.messages, outcome.reason) == ([], "rejected")
    assert "sounds odd" in outcome.detail
    assert [send.kind for send in lane.profile().sends] == ["message"]


def test_the_playbook_may_let_the_template_leave_instead_of_a_rejected_text() -> None:
    lane = lane_in_review(ReviewRules(new_prompts=True, on_reject="template"))
    lane.run([lane.verdict(lane.reviews[0], "reject")], wall_s=LATER + 60)
    (message,) = lane.messages
    assert (message.provenance.generated_by, message.body) == ("template", "It is still in your cart.")


def test_only_the_first_verdict_counts_and_a_rating_is_none() -> None:
    lane = lane_in_review()
    review = lane.reviews[0]
    lane.run([lane.verdict(review, "rate", rating=2)], wall_s=LATER + 1)
    assert lane.outcomes == []
    said = [lane.verdict(review, "approve"), lane.verdict(review, "reject"), lane.verdict(review, "edit", text=GOOD)]
    lane.run(said, wall_s=LATER + 2)
    lane.run(said, wall_s=LATER + 3)
    assert [message.provenance.reviewed for message in lane.messages] == ["approved"]
    assert len(lane.outcomes) == 1


def test_a_verdict_survives_a_restart_between_question_and_answer() -> None:
    lane = lane_in_review()
    lane.restart()
    lane.run([lane.candidate(lane.requests[0], "Other words for it.")], wall_s=LATER + 1)  # the call was repeated
    lane.run([lane.verdict(lane.reviews[0], "approve")], wall_s=LATER + 60)
    assert [message.body for message in lane.messages] == ["Your band is still here."]
    assert len(lane.reviews) == 1


def test_a_verdict_of_another_customer_or_about_nothing_is_no_verdict() -> None:
    lane = lane_in_review()
    unknown = msgspec.structs.replace(lane.reviews[0], message_id="nobody-asked")
    lane.run([lane.verdict(unknown, "approve"), lane.verdict(lane.reviews[0], "approve", user="bob")], wall_s=LATER + 1)
    assert lane.outcomes == []
    assert lane.effects[-1].tally["reviews", "ignored"] == 2


@pytest.mark.parametrize(("says", "reason"), [("buys", "converted"), ("unsubscribes", "consent")])
def test_an_approval_is_rechecked_against_the_newest_profile(says: str, reason: str) -> None:
    lane = lane_in_review()
    meanwhile = (
        [lane.buy(at_s=LATER + 30)] if says == "buys" else lane.allow("push", at_s=LATER + 30, status="unsubscribed")
    )
    lane.run(meanwhile, wall_s=LATER + 30)
    lane.run([lane.verdict(lane.reviews[0], "approve")], wall_s=LATER + 60)
    assert (lane.messages, reasons(lane)) == ([], [reason])


# -- when nobody looks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_timeout", "reason", "generated_by", "reviewed"),
    [
        ("template", "published", "template", ""),
        ("publish", "published", "llm", "timeout"),
        ("discard", "rejected", None, None),
    ],
)
def test_a_review_that_nobody_looks_at_ends_as_the_playbook_says(
    on_timeout: Any, reason: str, generated_by: str | None, reviewed: str | None
) -> None:
    rules = ReviewRules(new_prompts=True, on_timeout=on_timeout)
    lane = lane_in_review(rules)
    lane.run([], wall_s=LATER + rules.timeout_s - 1)
    assert lane.outcomes == []
    lane.run([], wall_s=LATER + rules.timeout_s + 1)
    assert reasons(lane) == [reason]
    assert [message.provenance.generated_by for message in lane.messages] == ([generated_by] if generated_by else [])
    assert [message.provenance.reviewed for message in lane.messages] == ([reviewed] if generated_by else [])
    lane.run([lane.verdict(lane.reviews[0], "approve")], wall_s=LATER + rules.timeout_s + 2)
    assert len(lane.outcomes) == 1


def test_a_review_ends_before_its_message_expires() -> None:
    lane = lane_in_review(ReviewRules(new_prompts=True, timeout_s=30 * 86_400.0))
    (review,), (request,) = lane.reviews, lane.requests
    ttl_s = lane.playbook.campaigns["cart-abandonment"].ttl_s
    due_at = lane.decisions[-1].due_at
    assert due_at is not None
    assert due_at < request.requested_at
    assert (review.timeout_at - due_at).total_seconds() == ttl_s - 60
    lane.run([], wall_s=LATER + ttl_s - 30)
    assert reasons(lane) == ["published"]


def test_a_message_that_lives_too_short_for_a_review_ends_at_once() -> None:
    campaign = msgspec.structs.replace(make_playbook().campaigns["cart-abandonment"], ttl_s=50.0, deadline_s=20.0)
    policy = Policy(review=ReviewRules(new_prompts=True))
    lane = LaneHarness(make_playbook(policy=policy, campaigns={campaign.id: campaign}))
    lane.run([*lane.allow("push"), lane.add()])
    lane.run([], wall_s=LATER)
    lane.run([lane.candidate(lane.requests[0])], wall_s=LATER)
    assert lane.reviews == []
    assert [message.provenance.generated_by for message in lane.messages] == ["template"]
    assert lane.effects[-1].tally["reviews", "no_time"] == 1


# -- the night -----------------------------------------------------------------------------------------------------------

#: It is 12:30 UTC when the words come; the verdict comes at 14:00, the night lasts until 20:00.
NIGHT = QuietHours(start="13:00", end="20:00", timezone="UTC")


@pytest.mark.parametrize("how", ["approve", "edit", "timeout"])
def test_what_is_decided_at_night_leaves_in_the_morning_once(how: str) -> None:
    lane = lane_in_review(ReviewRules(new_prompts=True, timeout_s=1.5 * HOUR_S), NIGHT)
    verdict = [] if how == "timeout" else [lane.verdict(lane.reviews[0], how, text=GOOD if how == "edit" else None)]
    at_s = NOON + 2 * HOUR_S if how != "timeout" else LATER + 1.5 * HOUR_S + 1
    lane.run(verdict, wall_s=at_s)
    lane.run([lane.verdict(lane.reviews[0], "reject")], wall_s=at_s + 1)
    assert (lane.messages, lane.outcomes) == ([], [])
    lane.restart()
    lane.run([], wall_s=NOON + 8 * HOUR_S + 1)
    assert len(lane.messages) == len(lane.outcomes) == 1


def test_a_purchase_in_the_night_still_stops_what_was_approved() -> None:
    lane = lane_in_review(ReviewRules(new_prompts=True), NIGHT)
    lane.run([lane.verdict(lane.reviews[0], "approve")], wall_s=NOON + 2 * HOUR_S)
    lane.run([lane.buy(at_s=NOON + 3 * HOUR_S)], wall_s=NOON + 3 * HOUR_S)
    lane.run([], wall_s=NOON + 8 * HOUR_S + 1)
    assert (lane.messages, reasons(lane)) == ([], ["converted"])


def test_what_would_expire_before_the_morning_ends_as_quiet_hours() -> None:
    campaign = msgspec.structs.replace(make_playbook().campaigns["cart-abandonment"], ttl_s=4 * HOUR_S)
    policy = Policy(review=ReviewRules(new_prompts=True), quiet_hours=NIGHT)
    lane = LaneHarness(make_playbook(policy=policy, campaigns={campaign.id: campaign}))
    lane.run([*lane.allow("push"), lane.add()])
    lane.run([], wall_s=LATER)
    lane.run([lane.candidate(lane.requests[0])], wall_s=LATER)
    lane.run([lane.verdict(lane.reviews[0], "approve")], wall_s=NOON + 2 * HOUR_S)
    assert (lane.messages, reasons(lane)) == ([], ["quiet_hours"])


# -- what was said before ------------------------------------------------------------------------------------------------


def test_the_next_request_knows_what_the_last_messages_were_like_and_not_what_they_said() -> None:
    lane = lane_with(ReviewRules())
    assert lane.requests[0].sketches == []
    lane.run([lane.candidate(lane.requests[0])], wall_s=LATER)
    lane.run([lane.add("cart-2", at_s=LATER)], wall_s=LATER)
    lane.run([], wall_s=LATER + DELAY_S + 1)
    (sketch,) = lane.requests[1].sketches
    assert sketch
    assert all(isinstance(number, int) for number in sketch)


def test_a_profile_remembers_the_last_messages_only() -> None:
    lane = LaneHarness(make_playbook(policy=Policy()))
    lane.run(lane.allow("push"))
    for number in range(8):
        at_s = NOON + number * HOUR_S
        lane.run([lane.add(f"cart-{number}", at_s=at_s)], wall_s=at_s)
        lane.run([], wall_s=at_s + DELAY_S + 1)
        lane.run([lane.candidate(lane.requests[-1], f"Text number {number} of many.")], wall_s=at_s + DELAY_S + 2)
    assert Counter(reasons(lane)) == {"published": 8}
    assert len(lane.profile().sketches) == 5
