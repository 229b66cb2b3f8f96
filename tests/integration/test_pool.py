"""The pool on a real broker: fill, look, approve, and a request that the real `generate` answers from it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from schemas import codec
from schemas.control import AuditRecord
from schemas.learning import PoolEntry
from schemas.messages import Candidate
from tests.integration.test_roles import ask, candidates, wait_alive
from tests.support.llm import FakeLlm
from tests.support.playbooks import SMART_DEVICES, copy_of
from tests.support.pool import TEXTS, chat, entry
from tests.support.waiting import wait_until
from tests.support.workers import prepare, produce, read, worker
from workers.adapters.kafka.broadcast_state import follow_pool
from workers.adapters.kafka.publisher import AUDIT
from workers.commands.content.pool import pool
from workers.core.generation.pool.entries import POOL
from workers.settings import Settings, to_environment

pytestmark = pytest.mark.kafka

#: Of the requests that test_roles makes.
ONE_KEY = ("--products", "smart-band", "--groups", "sports", "--languages", "en", "--channels", "push")
GOOD = {
    "title": "Still thinking it over?",
    "body": "Workout recording and sleep tracking: your Smart Band is in your cart.",
}


@pytest.fixture
def installation(settings: Settings, tmp_path: Path) -> Settings:
    """An installation whose cart campaign is pooled and has one arm, so that its requests have no tone."""
    folder = copy_of(SMART_DEVICES, tmp_path / "playbook")
    text = (folder / "campaigns.yaml").read_text()
    arms = text[text.index("    variants:") : text.index("    mode: live")]
    (folder / "campaigns.yaml").write_text(text.replace(arms, "    strategy: pooled\n", 1))
    return prepare(settings).changed(playbook=str(folder), llm_model="fake-1")


def run(settings: Settings, *arguments: str) -> Result:
    return CliRunner(env=to_environment(settings)).invoke(pool, arguments)


def entries(settings: Settings) -> list[PoolEntry]:
    return [codec.decode(PoolEntry, record.value) for record in read(settings, POOL)]


def put(settings: Settings, *values: PoolEntry) -> None:
    produce(settings, POOL, [(value.entry_id.encode(), codec.encode(value)) for value in values])


def test_a_pooled_request_is_answered_from_what_was_filled_and_approved_without_a_call(installation: Settings) -> None:
    with FakeLlm() as llm:
        llm.reply_with(200, chat(GOOD), {"Content-Type": "application/json"})
        running = installation.changed(llm=llm.base_url)
        filled = run(running, "fill", "--count", "1", *ONE_KEY)
        assert filled.exit_code == 0, filled.output
        [draft] = entries(running)
        assert (draft.status, draft.slots, draft.model) == ("draft", ["product_name"], "fake-1")
        asked = len(llm.requests)
        again = run(running, "fill", "--count", "1", *ONE_KEY)
        assert "0 texts to generate" in again.stderr
        assert len(entries(running)) == 1

        listed = run(running, "list", "--status", "draft")
        assert draft.entry_id in listed.stdout
        assert "Your {product_name}".casefold() in listed.stdout.casefold()
        [shown] = [json.loads(line) for line in run(running, "list", "--json").stdout.splitlines()]
        assert shown["entry_id"] == draft.entry_id

        with worker("generate", running) as process:
            ask(running, range(2))
            wait_alive(process, lambda: len(candidates(running)) == 2, "two candidates before the approval")
            assert {(one.generated_by, one.failure) for one in candidates(running)} == {("template", "pool_miss")}
            with follow_pool(running) as follower:
                approved = run(running, "approve", draft.entry_id, "--by", "mei", "--reason", "reads well")
                assert approved.stdout == "1 approved\n"
                wait_until(lambda: follower.current.entries, 10, "the approval is heard")
            wait_alive(process, lambda: answered(running), "a request is answered from the pool")
        found = next(one for one in candidates(running) if one.generated_by == "pool")
        assert (found.pool_entry_id, found.text.title, found.text.body) == (draft.entry_id, GOOD["title"], GOOD["body"])
        assert (found.usage.calls, found.usage.model) == (0, "fake-1")
        assert [call["max_tokens"] for call in llm.requests[asked:]] == [1], (
            "the worker's sign of life and nothing else"
        )
    [record] = [codec.decode(AuditRecord, record.value) for record in read(running, AUDIT)]
    assert (record.actor, record.action, record.detail) == ("mei", "approve", "reads well")
    assert record.subject == f"pool:{draft.entry_id}"


def answered(settings: Settings) -> list[Candidate]:
    """Those from the pool; while there are none, asks once more: the worker may not have heard the approval yet."""
    known = candidates(settings)
    from_pool = [one for one in known if one.generated_by == "pool"]
    if not from_pool:
        ask(settings, range(len(known), len(known) + 1))
    return from_pool


def test_what_is_retired_is_not_used_any_more(installation: Settings) -> None:
    put(installation, entry(0), entry(1))
    with follow_pool(installation) as follower:
        [(_, approved)] = follower.current.entries.items()
        assert [one.entry_id for one in approved] == ["e0", "e1"]
        assert run(installation, "retire", "e0", "e1").stdout == "2 retired\n"
        wait_until(lambda: not follower.current.entries, 10, "the retirement is heard")
    assert run(installation, "retire", "e0").stdout == "0 retired, 1 unchanged\n"


def test_a_text_that_no_longer_passes_is_not_approved_and_the_others_are(installation: Settings) -> None:
    wrong = entry(1, status="draft", text=msgspec.structs.replace(TEXTS[1], body="Your {product_name}: 50% off."))
    put(installation, entry(0, status="draft"), wrong, entry(2, status="draft", product_id="gone"))
    result = run(installation, "approve", "e0", "e1", "e2")
    assert result.exit_code == 1
    assert result.stdout == "1 approved, 2 refused\n"
    assert "e1 is not approved: numbers: " in result.stderr
    assert "e2 is not approved: the playbook has no product gone" in result.stderr
    newest = {one.entry_id: one.status for one in entries(installation)}
    assert newest == {"e0": "approved", "e1": "draft", "e2": "draft"}


def test_an_unknown_entry_changes_nothing(installation: Settings) -> None:
    put(installation, entry(0))
    result = run(installation, "retire", "e0", "e9")
    assert (result.exit_code, "no entry e9" in result.stderr) == (78, True)
    assert len(entries(installation)) == 1


def test_a_fill_without_an_llm_or_a_pooled_campaign_or_with_an_unknown_name_is_refused(installation: Settings) -> None:
    off = run(installation, "fill", "--llm", "off")
    assert (off.exit_code, "filling the pool needs it" in off.stderr) == (78, True)
    fresh = installation.changed(playbook=str(SMART_DEVICES))
    with FakeLlm() as llm:
        none = run(fresh, "fill", "--llm", llm.base_url)
        assert (none.exit_code, "no campaign of the playbook is pooled" in none.stderr) == (78, True)
        name = run(installation, "fill", "--llm", llm.base_url, "--products", "smart-band,sofa")
        assert (name.exit_code, "no product sofa" in name.stderr) == (78, True)
        assert llm.requests == []


def test_what_does_not_pass_is_not_written_and_the_table_says_so(installation: Settings) -> None:
    with FakeLlm() as llm:
        llm.reply_with(
            200, chat({**GOOD, "body": "Only today: 50% off your Smart Band."}), {"Content-Type": "application/json"}
        )
        result = run(installation, "fill", "--llm", llm.base_url, "--count", "2", *ONE_KEY)
    assert result.exit_code == 0, result.output
    assert "discarded: 6 guardrail" in result.stdout
    assert entries(installation) == []
