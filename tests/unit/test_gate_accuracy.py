"""The measurement of the guardrails: shares of labelled texts, whatever the guardrails are, and bad lines named."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.support.playbooks import playbook
from workers.cli import main
from workers.core.generation.evaluation.gate_accuracy import Judged, LabelledText, accuracy, judge
from workers.core.guardrails.models import NO_MODELS

GOOD = "Your Smart Band is still in your cart, ready when you are."
BAD = "The Smart Band cures insomnia."


def row(number: int, body: str, verdict: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"t{number}",
        "lang": "en",
        "locale": "en-US",
        "channel": "push",
        "product": "smart-band",
        "group": "young",
        "campaign": "cart-abandonment",
        "fields": {"title": "Your Smart Band", "body": body},
        "verdict": verdict,
        "kind": "plain" if verdict == "good" else "health_effect",
    } | changes


def judged(*rows: dict[str, Any]) -> list[Judged]:
    ticks = count()
    texts = msgspec.convert(list(rows), list[LabelledText])
    return judge(playbook(), texts, NO_MODELS, lambda: 0.004 * next(ticks))


def test_shares_are_of_the_bad_and_of_the_good_texts_in_all_by_language_and_by_kind() -> None:
    rows = [
        row(1, BAD, "bad"),
        row(2, GOOD, "bad", kind="subtle"),
        row(3, GOOD, "good"),
        row(4, BAD, "good"),
        row(
            5,
            "智能手环还在购物车里，有空回来看看吧。",
            "good",
            lang="zh",
            locale="zh-CN",
            fields={"title": "智能手环在等你", "body": "智能手环还在购物车里，有空回来看看吧。"},
        ),
    ]
    found = accuracy(playbook(), judged(*rows))
    assert (found.texts, found.bad, found.good, found.recall, found.false_rejects) == (5, 2, 3, 0.5, 0.3333)
    assert (found.by_language["zh"].recall, found.by_language["zh"].false_rejects) == (None, 0.0)
    assert (found.by_kind["health_effect"].recall, found.by_kind["subtle"].recall) == (1.0, 0.0)
    assert found.ms_per_text == 4.0
    assert found.rejected_by["market"] == 2


def test_misses_and_false_rejects_name_the_guardrails() -> None:
    miss, false_reject = judged(row(1, GOOD, "bad"), row(2, BAD, "good"))
    assert (miss.is_miss, miss.is_false_reject, miss.rejected_by) == (True, False, [])
    assert (false_reject.is_miss, false_reject.is_false_reject) == (False, True)
    assert "market" in {verdict.name for verdict in false_reject.rejected_by}


def test_a_product_that_the_playbook_does_not_describe_has_no_facts() -> None:
    text = "It tracks your heart rate."
    (described, undescribed) = judged(row(1, text, "good"), row(2, text, "bad", product="4711"))
    assert "claims" not in {verdict.name for verdict in described.rejected_by}
    assert "claims" in {verdict.name for verdict in undescribed.rejected_by}


def test_a_field_that_no_channel_has_is_named() -> None:
    with pytest.raises(msgspec.ValidationError, match="no field headline"):
        judged(row(1, GOOD, "good", fields={"headline": "x", "body": GOOD}))


def evaluated(folder: Path, *lines: str) -> Result:
    data = folder / "texts.jsonl"
    data.write_text("\n".join(lines))
    return CliRunner().invoke(main, ["eval", "guardrails", "--data", str(data)])


def test_the_command_prints_one_line_of_json_and_the_rest_for_people(tmp_path: Path) -> None:
    lines = [json.dumps(row(1, f"{GOOD} [bold]\x1b[31m", "bad")), "", json.dumps(row(2, BAD, "good"))]
    result = evaluated(tmp_path, *lines)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["recall"], found["false_rejects"], found["doubtful"]) == (1.0, 1.0, 0)
    assert "good texts that were rejected" in result.stderr
    assert "\x1b[31m" not in result.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2"),
        (json.dumps(row(1, GOOD, "maybe")), "line 2"),
        (json.dumps(row(1, GOOD, "good", channel="fax")), "line 2: no channel fax"),
        (json.dumps(row(1, GOOD, "good", fields={"headline": "x"})), "line 2: there is no field headline"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, line: str, message: str) -> None:
    result = evaluated(tmp_path, json.dumps(row(1, GOOD, "good")), line)
    assert result.exit_code == 78
    assert message in result.stderr.replace("\n", " ")


def test_a_file_without_texts_is_refused(tmp_path: Path) -> None:
    assert "has no texts" in evaluated(tmp_path, "").stderr


def explained(text: str, *options: str) -> Result:
    arguments = ["guardrails", "explain", text, "--product", "smart-band", "--lang", "en", *options]
    return CliRunner().invoke(main, arguments)


def test_a_text_is_explained_with_every_verdict_and_the_facts() -> None:
    bad, good = explained(BAD), explained(GOOD)
    assert (bad.exit_code, good.exit_code) == (1, 0)
    assert "rejected by market" in bad.stdout
    assert "sleep tracking" in good.stdout
    assert "rejected by" not in good.stdout


def test_the_form_of_a_whole_message_is_checked_only_with_a_title() -> None:
    assert "rejected by length" in explained(GOOD, "--title", "No").stdout
    assert "rejected by length" not in explained(GOOD).stdout


@pytest.mark.parametrize(("option", "known"), [("--lang", "zh, en"), ("--channel", "push")])
def test_an_unknown_language_or_channel_is_named_with_those_there_are(option: str, known: str) -> None:
    result = explained(GOOD, option, "xx")
    assert result.exit_code == 78
    assert "xx" in result.stderr
    assert known in result.stderr
