"""docs/senders.md and docs/evolution.md name what there is: whoever has only them and the schemas writes a sender that works."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import msgspec
import pytest
from aiokafka.partitioner import DefaultPartitioner as AiokafkaPartitioner
from kafka.partitioner.default import murmur2 as kafka_python_murmur2

from schemas import codec
from schemas.base import AbortType
from schemas.json_schema import public_topics, topic_schema
from schemas.messages import Cancellation, Feedback, FeedbackStatus, Message
from schemas.topics import BY_NAME
from tests.support.workers import ROOT
from workers.adapters.kafka.partitioner import partition_of
from workers.adapters.observability.metric_catalogue import as_markdown
from workers.settings import Settings

PAGE = (ROOT / "docs" / "senders.md").read_text()
EVOLUTION = (ROOT / "docs" / "evolution.md").read_text()
FIELDS = {field.encode_name for struct in (Message, Cancellation) for field in msgspec.structs.fields(struct)}


def section(title: str, page: str = PAGE) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def table(text: str, head: str) -> list[list[str]]:
    """The rows of the table whose head begins so, each as its cells."""
    lines = text[text.index(f"| {head} |") :].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def words(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def values(definition: str, topic: str = "message.cancellations") -> set[str]:
    found: list[str] = topic_schema(BY_NAME[topic])["$defs"][definition]["enum"]
    return set(found)


def test_every_field_that_a_sender_must_honour_is_one_of_a_message() -> None:
    named = [word for row in table(section("What to honour"), "field") for word in words(row[0])]
    assert {"idempotency_key", "send_at", "expires_at", "category"} <= set(named)
    assert set(named) - {"message.cancellations"} <= FIELDS


def test_every_status_and_field_that_a_sender_may_return_is_in_the_schema() -> None:
    feedback = {field.encode_name for field in msgspec.structs.fields(Feedback)}
    rows = {tuple(words(row[0])): words(row[1]) for row in table(section("What to return"), "fields")}
    assert {name for names in rows for name in names} <= feedback
    assert rows["status",] == list(get_args(FeedbackStatus))
    assert set(rows["bounce_type",]) == values("FeedbackBounceType", "message.feedback")
    happened = table(section("What to return"), "what happened")
    assert {word for row in happened for word in words(row[1])} <= set(get_args(FeedbackStatus))
    known = (
        feedback | set(get_args(AbortType)) | values("FeedbackBounceType", "message.feedback") | {"sent", "delivered"}
    )
    assert {word for row in happened for word in words(row[2])} <= known
    needed = section("What to return").partition("Required: ")[2].partition(".")[0]
    assert set(words(needed)) == {field.name for field in msgspec.structs.fields(Feedback) if field.required}


def test_every_reason_why_feedback_is_refused_is_told() -> None:
    told = {word for row in table(section("What to return"), "reason") for word in words(row[0])}
    source = "".join(
        (ROOT / path).read_text()
        for path in (
            "schemas/codec.py",
            "workers/core/personalisation/processor.py",
            "workers/core/attribution/validation.py",
        )
    )
    for reason in told:
        assert f'"{reason}"' in source, f"{reason} is no reason any more"
    assert {"null_value", "broken_json", "wrong_type", "unknown_schema_version", "bad_timestamp"} <= told


def test_every_reason_why_feedback_counts_nowhere_is_told() -> None:
    metric = next(line for line in as_markdown().splitlines() if "attune_feedback_ignored_total" in line)
    reasons = set(re.findall(r"[a-z_]+", metric.partition("is not counted:")[2]))
    told = section("What to return").partition("not counted**")[2].partition("| fields")[0]
    assert reasons
    assert reasons <= set(words(told))


def test_every_reason_why_nothing_is_sent_is_told() -> None:
    told = words(section("What is never sent").partition("with its `reason`: one of")[2])
    assert set(told) == set(get_args(AbortType)) == values("AbortType")


def test_the_message_of_the_page_is_a_whole_one_as_it_is_on_the_wire() -> None:
    records: list[dict[str, Any]] = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    (shown,) = [record for record in records if "idempotency_key" in record]
    assert json.loads(codec.encode(codec.decode(Message, json.dumps(shown).encode()))) == shown
    (cancelled,) = [record for record in records if "cancelled_at" in record]
    assert json.loads(codec.encode(codec.decode(Cancellation, json.dumps(cancelled).encode()))) == cancelled


def test_every_enum_of_the_contract_has_its_kind() -> None:
    """Each list of values that somebody outside meets stands in one of the two tables, by its field's name."""
    told = set(words(section("Which lists of values are closed", EVOLUTION))) | set(words(section("What may change")))
    for topic in public_topics():
        if {"sender", "outside"} & {*topic.readers, *topic.writers}:
            for struct in (topic_schema(topic), *topic_schema(topic).get("$defs", {}).values()):
                for name, field in struct.get("properties", {}).items():
                    if "$ref" in field and "enum" in topic_schema(topic)["$defs"][field["$ref"].rpartition("/")[2]]:
                        assert name in told, f"{topic.name}: {name}"


def test_the_codec_and_its_settings_are_named() -> None:
    wire = section("A message on the wire")
    assert f"with {Settings().topic_compression}" in wire
    assert f"are {Settings().compression} (setting `compression`)" in wire
    assert not BY_NAME["messages.email"].busy
    assert BY_NAME["customer.events"].busy


@pytest.mark.parametrize("key", [b"ana", "李娜".encode(), b"u-4711", b"x" * 255])
def test_the_clients_of_python_place_keys_as_the_table_says(key: bytes) -> None:
    placed = AiokafkaPartitioner()(key, list(range(12)), list(range(12)))
    assert placed == (kafka_python_murmur2(key) & 0x7FFFFFFF) % 12 == partition_of(key, 12)
