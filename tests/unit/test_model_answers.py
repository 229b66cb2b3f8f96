"""From a model's answer to a text, whatever stands around the JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.messages import MessageText
from workers.core.generation.answer_parsing import parse


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"title": "Hi", "body": "All good."}', MessageText(title="Hi", body="All good.")),
        (' {"title": " Hi\\t there ", "body": "All  good. "}\n', MessageText(title="Hi there", body="All good.")),
        ('```json\n{"title": "Hi", "body": "x"}\n```', MessageText(title="Hi", body="x")),
        ('<think>\nhm {"a": 1}\n</think>\n{"title": "Hi", "body": "x"}', MessageText(title="Hi", body="x")),
        ('{"title": "Hi", "body": "x", "price": 3, "cta_text": "Go"}', MessageText(title="Hi", body="x")),
        ('{"title": "Hi", "body": "a\\nb"}', MessageText(title="Hi", body="a\nb")),
        ("", "the answer is not JSON"),
        ("Sure! Here is your message.", "the answer is not JSON"),
        ('{"title": "Hi", "body": "x"', "the answer is not JSON"),
        ("[" * 5000, "the answer is not JSON"),
        ("[]", "the answer is not a JSON object"),
        ('"text"', "the answer is not a JSON object"),
        ("{}", "the answer has none of the fields"),
        ('{"headline": "x"}', "the answer has none of the fields"),
        ('{"title": ["Hi"], "body": "x"}', "a field of the answer is not a string"),
        ('{"title": null, "body": "x"}', "a field of the answer is not a string"),
        ("x" * 20_001, "the answer is too long"),
    ],
)
def test_an_answer_becomes_a_text_or_a_reason(answer: str, expected: MessageText | str) -> None:
    assert parse(answer, ("title", "body")) == expected


@given(st.text())
def test_no_answer_makes_parsing_raise(answer: str) -> None:
    assert isinstance(parse(answer), MessageText | str)


TEXT = '{"title": "Hi", "body": "All good."}'
DRAFT = '{"title": "Draft", "body": "Not yet."}'


@pytest.mark.parametrize(
    "answer",
    [
        f"I think so.\n</think>\n\n{TEXT}",
        f"<think>\n\n</think>\n\n{TEXT}",
        f"<think>one {DRAFT}</think>\n<think>two {DRAFT}</think>{TEXT}",
        f"one {DRAFT}</think>two</think>{TEXT}",
        f"<thinking>{DRAFT}</thinking>{TEXT}",
        f"[THINK]{DRAFT}[/THINK]{TEXT}",
        f"◁think▷{DRAFT}◁/think▷{TEXT}",
        (
            f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant"
            f"<|channel|>final <|constrain|>json<|message|>{TEXT}<|return|>"
        ),
        f"```json {TEXT}```",
        f"```{TEXT}```",
        f"```JSON\n{TEXT}\n```",
        f"~~~\n{TEXT}\n~~~",
        f"Here is your message:\n```json\n{TEXT}\n```\nShall I make it shorter?",
        f"Sure! {TEXT} I hope that {{helps}}.",
        f"For {{product}} I suggest {TEXT}",
        f'{{"note": "see below"}}\n{TEXT}',
        f"{TEXT}<|im_end|>",
        f"{TEXT}</s>",
        f"{TEXT}<end_of_turn>\n",
        f"{TEXT}<|eot_id|><|start_header_id|>assistant<|end_header_id|>{DRAFT}",
        f"{TEXT}<|im_end|>\n<|im_start|>user\nMore!<|im_end|>\n<|im_start|>assistant\n{DRAFT}",
        f"<|im_start|>assistant\n{TEXT}<|im_end|>",
        f"\ufeff{TEXT}",
        f"```json\n{TEXT}\n```\n```json\n{DRAFT}\n```",
    ],
)
def test_what_chat_models_and_servers_put_around_an_answer_is_taken_off(answer: str) -> None:
    assert parse(answer, ("title", "body")) == MessageText(title="Hi", body="All good.")


def test_a_line_end_that_is_written_out_in_a_string_is_read() -> None:
    assert parse('{"title": "Hi", "body": "One.\nTwo."}') == MessageText(title="Hi", body="One.\nTwo.")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (f"<think>perhaps {DRAFT}", "the answer did not end its reasoning"),
        (f"<think>a</think><think>perhaps {DRAFT}", "the answer did not end its reasoning"),
        (f"{TEXT}</think>", "the answer is not JSON"),
        ('{"title": "Hi", "body": "x"', "the answer is not JSON"),
        ('Sure: {"title": "\\ud800", "body": "x"}', "the answer is not JSON"),
        ('Sure: {"title": NaN}', "a field of the answer is not a string"),
        ('Sure: {"headline": "x"} or {"text": "y"}', "the answer has none of the fields"),
        ("{" * 40 + TEXT, "the answer is not JSON"),
        ("Sure: " + '{"a":' * 3000, "the answer is not JSON"),
    ],
)
def test_a_draft_or_a_half_answer_is_none(answer: str, reason: str) -> None:
    assert parse(answer, ("title", "body")) == reason
