"""The contract of the public topics: golden messages, JSON Schemas, the AsyncAPI document and the table agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import yaml
from jsonschema import Draft202012Validator

from schemas import codec, generate, json_schema
from schemas.base import FIRST_VERSION, SCHEMA_VERSION
from schemas.events import AnyEvent, Properties
from schemas.messages import Message
from schemas.topics import BY_NAME, DEFAULT_COMPRESSION, SOURCE, TOPICS, Topic
from workers.settings import Settings

FOLDER = Path(generate.__file__).parent
PUBLIC = json_schema.public_topics()
VERSIONS = tuple(range(1, SCHEMA_VERSION + 1))
#: No worker reads these: reviews are for people (console, command line), dead letters for `attune dlq`.
READ_BY_PEOPLE = {"message.reviews", "dead.letters"}


@cache
def golden(version: int, topic: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / "golden" / f"v{version}" / f"{topic}.json").read_text("utf-8"))
    return found


def every_golden() -> Iterator[Any]:
    for version in VERSIONS:
        for path in sorted((FOLDER / "golden" / f"v{version}").glob("*.json")):
            for index, message in enumerate(golden(version, path.stem)):
                yield pytest.param(path.stem, message, id=f"v{version}-{path.stem}-{index}")


def encoded(message: object) -> bytes:
    return json.dumps(message).encode()


def version_field(topic: str) -> str:
    return "schemaVersion" if topic == "customer.events" else "schema_version"


@pytest.mark.parametrize(("topic", "message"), list(every_golden()))
def test_a_golden_message_decodes_and_encodes_with_every_field_kept(topic: str, message: dict[str, Any]) -> None:
    decoded = codec.decode_topic(topic, encoded(message))
    again = json.loads(codec.encode(decoded))
    assert missing(message, again) == []
    assert codec.decode_topic(topic, encoded(again)) == decoded


def missing(wanted: Any, found: Any, place: str = "$") -> list[str]:
    """What one value has that another one has not; what the other has beside it are defaults written out."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [line for name in wanted for line in missing(wanted[name], found.get(name), f"{place}.{name}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [line for index, each in enumerate(wanted) for line in missing(each, found[index], f"{place}[{index}]")]
    return [] if wanted == found else [f"{place} is {found!r}, not {wanted!r}"]


@pytest.mark.parametrize("topic", ["messages.email", "messages.push", "messages.sms", "messages.in_app"])
def test_every_field_of_a_message_is_on_the_wire_whatever_its_value(topic: str) -> None:
    for sparse in golden(1, topic):
        written = json.loads(codec.encode(codec.decode_topic(topic, encoded(sparse))))
        assert set(written) == {field.encode_name for field in msgspec.structs.fields(Message)}
        assert set(written["cta"]) == {"text", "link_url"}
        assert written["category"] in ("marketing", "transactional")
        assert isinstance(written["ai_generated"], bool)


@pytest.mark.parametrize("topic", [topic.name for topic in PUBLIC if topic.name != "customer.events"])
def test_a_record_always_says_which_version_it_is_of(topic: str) -> None:
    for message in golden(1, topic):
        written = json.loads(codec.encode(codec.decode_topic(topic, encoded(message))))
        assert written["schema_version"] == message.get("schema_version", FIRST_VERSION)


@pytest.mark.parametrize("topic", ["message.decisions", "message.requests"])
def test_whoever_reads_the_ledger_sees_whether_it_was_marketing(topic: str) -> None:
    for message in golden(1, topic):
        written = json.loads(codec.encode(codec.decode_topic(topic, encoded(message))))
        assert written["category"] == message.get("category", "marketing")


@pytest.mark.parametrize(("topic", "message"), list(every_golden()))
def test_a_golden_message_validates_against_its_json_schema(topic: str, message: dict[str, Any]) -> None:
    schema = json.loads((FOLDER / "json" / f"{topic}.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    assert [error.message for error in Draft202012Validator(schema).iter_errors(message)] == []


@pytest.mark.parametrize(("topic", "message"), list(every_golden()))
def test_unknown_fields_are_ignored_at_every_level(topic: str, message: dict[str, Any]) -> None:
    grown = {**message, "added_tomorrow": {"deep": [1]}}
    if topic == "customer.events":
        grown["properties"] = {**message.get("properties", {}), "added_tomorrow": 1}
    assert codec.decode_topic(topic, encoded(grown)) == codec.decode_topic(topic, encoded(message))


@pytest.mark.parametrize("topic", [topic.name for topic in PUBLIC])
def test_a_newer_version_is_refused_by_codec_and_schema(topic: str) -> None:
    newer = {**golden(1, topic)[0], version_field(topic): SCHEMA_VERSION + 1}
    with pytest.raises(codec.Malformed) as caught:
        codec.decode_topic(topic, encoded(newer))
    assert caught.value.reason == "unknown_schema_version"
    assert not Draft202012Validator(json_schema.topic_schema(BY_NAME[topic])).is_valid(newer)


def test_an_event_names_its_version_as_soon_as_there_is_more_than_one() -> None:
    newest = codec.decode_event(encoded(golden(1, "customer.events")[0]))
    written = codec.encode(msgspec.structs.replace(newest, schema_version=SCHEMA_VERSION))
    assert SCHEMA_VERSION == 1 or b"schemaVersion" in written


@pytest.mark.parametrize("ids", [{}, {"userId": ""}, {"userId": None, "anonymousId": ""}])
def test_an_event_of_nobody_is_refused_by_codec_and_schema(ids: dict[str, str | None]) -> None:
    nobody = {"type": "track", "event": "X", "messageId": "m", "timestamp": "2024-05-01T10:00:00Z", **ids}
    with pytest.raises(codec.Malformed, match="no_identity"):
        codec.decode_event(encoded(nobody))
    schema = Draft202012Validator(json_schema.topic_schema(BY_NAME["customer.events"]))
    assert not schema.is_valid(nobody)
    assert schema.is_valid({**nobody, "userId": "", "anonymousId": "a"})


def nodes(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


@pytest.mark.parametrize("topic", PUBLIC, ids=lambda topic: topic.name)
def test_a_schema_has_the_shape_that_code_generators_understand(topic: Topic) -> None:
    schema = json_schema.topic_schema(topic)
    assert schema["title"].isidentifier()
    for node in nodes(schema):
        assert {"type": "null"} not in node.get("anyOf", []), "a nullable field is `type: [..., null]`"
        default = node.get("default", 0)
        assert default not in ([], {}, None), "no generator writes code for it that compiles"
        assert not (isinstance(default, float) and default.is_integer()), "a whole number is no double in Java"
        if "enum" in node and node not in [schema.get("if")]:
            named = node["enum"] == ["", None] or (node["title"].isidentifier() and node["type"] == "string")
            assert named, "an enum without a name is numbered by its place"


def test_an_enum_has_one_name_wherever_it_stands() -> None:
    found: dict[str, list[str]] = {}
    for topic in PUBLIC:
        for name, definition in json_schema.topic_schema(topic).get("$defs", {}).items():
            if "enum" in definition:
                assert name == definition["title"]
                assert found.setdefault(name, definition["enum"]) == definition["enum"]
    assert {"AbortType", "Category", "FeedbackStatus", "FeedbackBounceType", "GeneratedBy", "DecisionReason"} <= set(
        found
    )


def test_topics_that_programs_of_others_read_have_the_codec_that_every_client_knows() -> None:
    document = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text("utf-8"))
    assert Settings().topic_compression == DEFAULT_COMPRESSION
    for topic in PUBLIC:
        shown = document["channels"][topic.name]["bindings"]["kafka"]["topicConfiguration"].get("compression.type")
        assert shown == topic.broker_config().get("compression.type") == (None if topic.busy else DEFAULT_COMPRESSION)
        assert not (topic.busy and {"sender", "outside"} & {*topic.readers}), topic.name


@pytest.mark.parametrize("version", VERSIONS)
def test_every_public_topic_and_no_other_has_golden_messages(version: int) -> None:
    found = {path.stem for path in (FOLDER / "golden" / f"v{version}").glob("*.json")}
    assert found >= {topic.name for topic in PUBLIC} if version == SCHEMA_VERSION else found <= set(BY_NAME)
    assert all(len(golden(version, topic)) >= 2 for topic in found)


def structs_of(topic: Topic) -> tuple[type[msgspec.Struct], ...]:
    return get_args(AnyEvent) if topic.struct is AnyEvent else (topic.struct,)


@pytest.mark.parametrize("topic", PUBLIC, ids=lambda topic: topic.name)
def test_the_golden_messages_show_every_field_and_every_value_of_status_and_kind(topic: Topic) -> None:
    messages = [message for version in VERSIONS for message in golden(version, topic.name)]
    for struct in structs_of(topic):
        info = msgspec.inspect.type_info(struct)
        assert isinstance(info, msgspec.inspect.StructType)
        own = [m for m in messages if topic.struct is not AnyEvent or m["type"] == info.tag]
        for field in info.fields:
            shown = [message[field.encode_name] for message in own if field.encode_name in message]
            inherited = topic.struct is AnyEvent and field.name in (
                "context",
                "sent_at",
                "received_at",
                "user_id",
                "anonymous_id",
            )
            assert shown or inherited or field.name == "schema_version", (
                f"{topic.name}: {field.encode_name} is in no golden message"
            )
            if isinstance(field.type, msgspec.inspect.LiteralType) and field.name in (
                "status",
                "kind",
                "verdict",
                "state",
            ):
                assert set(shown) == set(field.type.values), f"{topic.name}: {field.encode_name}"
    if topic.struct is AnyEvent:
        properties = {name for message in messages for name in message.get("properties", {})}
        assert {field.encode_name for field in msgspec.structs.fields(Properties)} <= properties


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_every_topic_has_a_writer_and_a_reader(topic: Topic) -> None:
    assert topic.writers
    assert topic.readers or topic.name in READ_BY_PEOPLE
    assert topic.struct is not None or set(topic.writers) == set(topic.readers)


def test_the_generated_files_are_up_to_date() -> None:
    assert generate.stale() == [], "run `make schemas`"


def test_check_finds_what_changed(tmp_path: Path) -> None:
    generate.write(tmp_path)
    assert generate.stale(tmp_path) == []
    (tmp_path / "json" / "gone.schema.json").write_text("{}")
    (tmp_path / "json" / "audit.trail.schema.json").write_text("{}")
    (tmp_path / "asyncapi.yaml").unlink()
    assert sorted(generate.stale(tmp_path)) == [
        "asyncapi.yaml is missing",
        "json/audit.trail.schema.json is not up to date",
        "json/gone.schema.json belongs to no topic",
    ]
    generate.write(tmp_path)
    assert generate.stale(tmp_path) == []


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield str(value)
            else:
                yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolve(document: Any, pointer: str) -> object:
    for part in filter(None, pointer.split("/")):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document


def test_the_asyncapi_document_describes_every_topic_and_every_reference_resolves() -> None:
    document = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text("utf-8"))
    assert document["asyncapi"] == "3.0.0"
    assert set(document["channels"]) == {topic.name for topic in PUBLIC} | {SOURCE}
    for name, channel in document["channels"].items():
        assert channel["address"] == "{prefix}" + name
    assert {server["protocol"] for server in document["servers"].values()} == {"kafka", "kafka-secure"}
    assert Settings().source_topics == (SOURCE,)
    for reference in references(document):
        file, _, pointer = reference.partition("#")
        target = json.loads((FOLDER / file).read_text("utf-8")) if file else document
        assert resolve(target, pointer), reference
    for topic in PUBLIC:
        schema = json.loads((FOLDER / "json" / f"{topic.name}.schema.json").read_text("utf-8"))
        for reference in references(schema):
            assert resolve(schema, reference.removeprefix("#")), reference


def test_the_asyncapi_document_tells_keys_retention_and_roles_of_the_table() -> None:
    document = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text("utf-8"))
    for topic in PUBLIC:
        kafka = document["channels"][topic.name]["bindings"]["kafka"]
        assert kafka["topicConfiguration"]["cleanup.policy"] == topic.cleanup.split(",")
        assert kafka["topicConfiguration"].get("retention.ms") == topic.retention_ms
        assert kafka.get("partitions") == (1 if topic.partitioning == "single" else None)
        assert document["components"]["messages"][topic.name]["bindings"]["kafka"]["key"]["description"] == topic.key
    sends = {name for name, operation in document["operations"].items() if operation["action"] == "send"}
    assert sends == {f"{role}.send.{topic.name}" for topic in PUBLIC for role in topic.writers} | {
        f"outside.send.{SOURCE}"
    }
