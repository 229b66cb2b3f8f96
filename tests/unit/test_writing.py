"""Writing one text: ask, check, ask once more with the reason, else the template."""

from __future__ import annotations

import json
from datetime import timedelta

import msgspec
import pytest

from schemas.messages import MessageRequest
from tests.support.playbooks import NOW, facts, models, playbook, request
from tests.unit.recorded_answers import CHINESE
from workers.core.generation.draft import FAILURES, Draft
from workers.core.generation.llm import Completion, CompletionUsage
from workers.core.generation.templates import template_text
from workers.core.guardrails.check import NAMES, passed
from workers.core.playbook.copy import Decoding

GOOD = json.dumps(
    {"title": "Your Smart Band is waiting", "body": "Heart-rate monitoring and sleep tracking, in your cart."}
)
BAD = json.dumps(
    {"title": "Your Smart Band is waiting", "body": "Only today: 50% off your Smart Band, still in your cart."}
)
WORSE = json.dumps({"title": "Your Smart Band is waiting", "body": "The Smart Band lasts 30 days, still in your cart."})


def answer(text: str, finish_reason: str = "stop") -> Completion:
    """An answer of the model."""
    usage = CompletionUsage(input_tokens=100, output_tokens=20)
    return Completion(text=text, model="tiny", finish_reason=finish_reason, usage=usage, latency_s=0.5)


def draft(asked: MessageRequest | None = None, attempts: int = 2) -> Draft:
    """A draft of a push message about the band."""
    return Draft(playbook(), asked or request(), models(), attempts=attempts)


@pytest.mark.parametrize(("product", "channel", "group", "recorded"), CHINESE)
def test_good_chinese_answers_are_accepted_at_the_first_try(
    product: str, channel: str, group: str, recorded: str
) -> None:
    writing = draft(request(product, language="zh", channel=channel, group=group))
    assert writing.next_call() is not None
    writing.answer(answer(recorded))
    candidate = writing.result(NOW)
    assert writing.rejections == []
    assert candidate.generated_by == "llm"
    assert candidate.failure == ""
    assert candidate.text.body
    assert candidate.prompt_version == playbook().prompts["cart-abandonment", "zh"].version


def test_a_good_answer_is_the_candidate() -> None:
    writing = draft()
    call = writing.next_call()
    assert call is not None
    assert call.schema is not None
    writing.answer(answer(GOOD))
    assert writing.next_call() is None
    candidate = writing.result(NOW + timedelta(seconds=3))
    assert candidate.generated_by == "llm"
    assert candidate.text.title == "Your Smart Band is waiting"
    assert [verdict.name for verdict in candidate.verdicts] == list(NAMES)
    assert passed(candidate.verdicts)
    assert candidate.usage.calls == 1
    assert candidate.usage.model == "tiny"
    assert (candidate.message_id, candidate.user_id) == ("m-1", "ana")
    assert candidate.generated_at == NOW + timedelta(seconds=3)


def test_of_several_samples_the_first_that_passes_is_taken() -> None:
    writing = draft()
    writing.answer(msgspec.structs.replace(answer(BAD), others=("no JSON", GOOD, WORSE)))
    candidate = writing.result(NOW)
    assert candidate.generated_by == "llm"
    assert candidate.text.body == json.loads(GOOD)["body"]
    assert candidate.usage.calls == 1


def test_when_no_sample_passes_the_first_says_why() -> None:
    writing = draft()
    writing.answer(msgspec.structs.replace(answer(BAD), others=("no JSON", WORSE)))
    assert writing.rejections[0].name == "numbers"
    again = writing.next_call()
    assert again is not None
    assert "50%" in again.messages[-1].content or "Only today" in again.messages[-1].content


def test_how_a_prompt_is_decoded_is_what_the_server_is_asked_for() -> None:
    known = playbook()
    prompt = known.prompts["cart-abandonment", "en"]
    decoding = Decoding(temperature=0.0, frequency_penalty=0.3, samples=3)
    prompts = known.prompts | {("cart-abandonment", "en"): msgspec.structs.replace(prompt, decoding=decoding)}
    call = Draft(msgspec.structs.replace(known, prompts=prompts), request(), models()).next_call()
    assert call is not None
    assert (call.temperature, call.frequency_penalty, call.samples) == (0.0, 0.3, 3)


def test_a_rejected_answer_is_asked_for_again_with_the_reason() -> None:
    writing = draft()
    first = writing.next_call()
    writing.answer(answer(BAD))
    second = writing.next_call()
    assert first is not None
    assert second is not None
    assert second.messages[:-1] == first.messages[:-1]
    assert second.messages[-1].content.startswith(first.messages[-1].content)
    assert '"50%" is not in the product facts' in second.messages[-1].content
    assert "Only today" not in second.messages[-1].content
    assert second.seed != first.seed
    writing.answer(answer(GOOD))
    candidate = writing.result(NOW)
    assert candidate.generated_by == "llm"
    assert candidate.usage.calls == 2
    assert candidate.usage.input_tokens == 200
    assert candidate.usage.output_tokens == 40
    assert candidate.usage.latency_s == 1.0
    assert {verdict.name for verdict in writing.rejections} == {"numbers", "offers", "market"}


def test_after_the_last_attempt_the_template_leaves_with_the_reason() -> None:
    writing = draft()
    writing.answer(answer(BAD))
    writing.answer(answer(WORSE))
    assert writing.next_call() is None
    candidate = writing.result(NOW)
    product = facts("smart-band", "en")
    text, version = template_text(playbook(), "cart-abandonment", "en", "sports", "push", product)
    assert (candidate.text, candidate.prompt_version) == (text, version)
    assert candidate.generated_by == "template"
    assert candidate.failure == "guardrail"
    assert [verdict.name for verdict in candidate.verdicts if not verdict.passed] == ["numbers"]
    assert candidate.usage.calls == 2


@pytest.mark.parametrize(
    ("given", "failure"),
    [
        (answer("Sure, here you are!"), "malformed"),
        (answer(""), "malformed"),
        (answer('{"title": "x"}'), "guardrail"),
        (answer(GOOD[:40], "length"), "cut_off"),
        (answer(GOOD, "length"), "cut_off"),
        (answer(BAD), "guardrail"),
    ],
)
def test_a_failure_is_one_word_of_a_closed_set(given: Completion, failure: str) -> None:
    writing = draft(attempts=1)
    writing.answer(given)
    candidate = writing.result(NOW)
    assert candidate.failure == failure
    assert failure in FAILURES
    assert candidate.generated_by == "template"
    assert any(not verdict.passed and verdict.detail for verdict in candidate.verdicts)


def test_a_call_that_failed_ends_the_writing() -> None:
    writing = draft()
    assert writing.next_call() is not None
    writing.failed("deadline")
    assert writing.next_call() is None
    candidate = writing.result(NOW)
    assert candidate.failure == "deadline"
    assert candidate.generated_by == "template"


def test_a_failed_call_after_a_rejected_answer_keeps_what_was_said_against_it() -> None:
    writing = draft()
    writing.answer(answer(BAD))
    writing.failed("refused")
    candidate = writing.result(NOW)
    assert candidate.failure == "refused"
    assert not passed(candidate.verdicts)


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_there_are_as_many_calls_as_allowed(attempts: int) -> None:
    writing = draft(attempts=attempts)
    calls = 0
    while writing.next_call() is not None:
        calls += 1
        writing.answer(answer(BAD))
    assert calls == attempts


def test_the_same_request_asks_the_same_questions() -> None:
    def questions(message_id: str) -> list[object]:
        writing = draft(request(message_id=message_id))
        first = writing.next_call()
        writing.answer(answer(BAD))
        return [first, writing.next_call()]

    assert questions("m-1") == questions("m-1")
    assert questions("m-1") != questions("m-2")


def test_asking_twice_without_an_answer_asks_the_same() -> None:
    writing = draft()
    assert writing.next_call() == writing.next_call()


def test_a_customer_without_personalisation_gets_the_generic_template_and_no_call() -> None:
    writing = draft(request(group="generic"))
    assert writing.next_call() is None
    candidate = writing.result(NOW)
    assert candidate.generated_by == "template"
    assert candidate.failure == "not_personalised"
    assert (
        candidate.text
        == template_text(playbook(), "cart-abandonment", "en", None, "push", facts("smart-band", "en"))[0]
    )


def test_a_variants_template_is_that_of_its_campaign_in_the_tone_of_the_request() -> None:
    writing = draft(request(prompt="cart-abandonment-question", template="cart-abandonment", tone="brisk"))
    call = writing.next_call()
    assert call is not None
    assert "short and direct" in call.messages[-1].content
    writing.failed("deadline")
    product = facts("smart-band", "en")
    expected = template_text(playbook(), "cart-abandonment", "en", "sports", "push", product, "brisk")
    candidate = writing.result(NOW)
    assert (candidate.text, candidate.prompt_version) == expected
    assert candidate.text != template_text(playbook(), "cart-abandonment", "en", "sports", "push", product)[0]


@pytest.mark.parametrize(("spoken", "channel"), [("fr", "push"), ("en", "fax")])
def test_a_request_of_another_playbook_makes_no_call(spoken: str, channel: str) -> None:
    writing = draft(request(facts("smart-band", "en"), language=spoken, channel=channel))
    assert writing.next_call() is None
    assert writing.result(NOW).failure == "stale"


def test_the_tokens_of_an_answer_are_the_smaller_of_prompt_and_setting() -> None:
    of_prompt = playbook().prompts["cart-abandonment", "en"].decoding.max_tokens
    for most, expected in ((None, of_prompt), (16, 16), (4096, of_prompt)):
        call = Draft(playbook(), request(), models(), max_tokens=most).next_call()
        assert call is not None
        assert call.max_tokens == expected
