"""`attune demo`, looked at by a reader that trusts nothing of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.kafka.embedded import EmbeddedKafka
from schemas import codec
from schemas.messages import Message
from schemas.profiles import ProfileView
from tests.support_cli import attune
from tests.support_workers import ROOT, read
from workers.settings import Settings

pytestmark = [pytest.mark.kafka, pytest.mark.llm, pytest.mark.timeout(300)]

PLAYBOOK = ROOT / "playbooks" / "smart-devices"
CHANNELS = ("push", "email")
SHOPPERS = 90


class Aftermath:
    """What the demo said, and what lies in its topics."""

    def __init__(self, report: dict[str, Any], settings: Settings) -> None:
        self.report = report
        self.decisions = [codec.decode_topic(r.topic, r.value) for r in read(settings, "message.decisions")]
        self.requests = [codec.decode_topic(r.topic, r.value) for r in read(settings, "message.requests")]
        self.outcomes = [codec.decode_topic(r.topic, r.value) for r in read(settings, "message.outcomes")]
        self.messages = [
            codec.decode(Message, record.value)
            for channel in CHANNELS
            for record in read(settings, f"messages.{channel}")
        ]
        newest = {record.key: codec.decode(ProfileView, record.value) for record in read(settings, "customer.profiles")}
        self.profiles = {view.customer_id: view for view in newest.values()}
        self.dead_letters = read(settings, "dead.letters")


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    folder = tmp_path_factory.mktemp("demo")
    ports = {f"metrics_port_{role}": 0 for role in ("intake", "personalise", "generate")}
    settings = Settings(data_dir=str(folder), **ports)  # type: ignore[arg-type] # ints by name
    report = folder / "report.json"
    attune(settings, "demo", "--duration", "25", "--shoppers", str(SHOPPERS), "--report", str(report))
    assert processes_of(folder) == []
    with EmbeddedKafka(folder / "demo" / "kafka") as kafka:
        yield Aftermath(json.loads(report.read_text()), Settings(brokers=kafka.bootstrap, data_dir=str(folder)))


def processes_of(folder: Path) -> list[str]:
    """Commands of processes, other than this one, that name the folder or work in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (process / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if int(process.name) != os.getpid() and str(folder) in command + environment:
            found.append(command)
    return found


def test_everybody_is_there(aftermath: Aftermath) -> None:
    assert len(aftermath.profiles) >= 50
    assert aftermath.dead_letters == []
    assert aftermath.report["restarts"] == 0
    assert {message.locale.split("-")[0] for message in aftermath.messages} == {"zh", "en"}
    assert {message.target_group for message in aftermath.messages} >= {"young", "sports", "business"}
    assert {message.product_id for message in aftermath.messages} >= {"smart-band", "wireless-earphones"}


def test_the_report_says_what_the_topics_say(aftermath: Aftermath) -> None:
    report = aftermath.report
    assert report["triggers"] == len(aftermath.decisions)
    assert report["requests"] == len(aftermath.requests)
    assert report["messages"]["total"] == len(aftermath.messages)
    assert report["profiles"] == len(aftermath.profiles)
    assert set(report["llm_share"]) == {"zh", "en"}


def test_every_request_has_one_outcome_and_no_message_is_doubled(aftermath: Aftermath) -> None:
    assert sorted(outcome.message_id for outcome in aftermath.outcomes) == sorted(
        request.message_id for request in aftermath.requests
    )
    assert len({decision.decision_id for decision in aftermath.decisions}) == len(aftermath.decisions)
    assert len({message.message_id for message in aftermath.messages}) == len(aftermath.messages)


def test_nobody_heard_anything_without_consent(aftermath: Aftermath) -> None:
    for message in aftermath.messages:
        assert aftermath.profiles[message.user_id].consent[f"{message.channel}:marketing"].granted


def allowed_numbers(message: Message, products: dict[str, Any]) -> set[str]:
    """Every number that the product's own data holds."""
    product = products[message.product_id or ""]
    return set(re.findall(r"\d+(?:\.\d+)?", json.dumps(product, ensure_ascii=False))) | {
        f"{float(product['price']):g}",
        "1",
    }


def test_every_published_text_passes_an_independent_check(aftermath: Aftermath) -> None:
    entries = yaml.safe_load((PLAYBOOK / "products.yaml").read_text())
    products = {entry["product_id"]: entry for entry in (entries["products"] if isinstance(entries, dict) else entries)}
    listed = yaml.safe_load((PLAYBOOK / "channels.yaml").read_text())
    channels = {entry["id"]: entry for entry in (listed["channels"] if isinstance(listed, dict) else listed)}
    assert aftermath.messages
    for message in aftermath.messages:
        language = message.locale.split("-")[0]
        fields = {"title": message.title, "email_subject": message.email_subject, "preheader": message.preheader}
        texts = {name: text for name, text in {**fields, "body": message.body}.items() if text}
        for name, text in texts.items():
            limit = channels[message.channel]["fields"][name][language]
            assert len(text) <= limit["max_chars"], (name, text)
            assert not re.search(r"https?:|www\.|<[a-z/]|[{}]|\*\*|[\u200b-\u200f\u202a-\u202e]|@", text), text
            chinese = len(re.findall(r"[\u4e00-\u9fff]", text))
            assert (chinese > 0) == (language == "zh"), text
            assert set(re.findall(r"\d+(?:\.\d+)?", text)) <= allowed_numbers(message, products), text
            assert not re.search(r"最佳|第一|国家级|免费|折扣|\bfree\b|discount|sale\b|% off", text, re.IGNORECASE), (
                text
            )


def test_a_message_tells_where_it_came_from(aftermath: Aftermath) -> None:
    decisions = {decision.decision_id: decision for decision in aftermath.decisions}
    for message in aftermath.messages:
        decision = decisions[message.provenance.decision_id]
        assert decision.user_id == message.user_id
        assert decision.reason == "requested"
        assert message.provenance.source_event is not None
        assert message.ai_generated == (message.provenance.generated_by == "llm")
