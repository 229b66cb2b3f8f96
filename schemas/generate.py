"""Writes the contract for readers in other languages: `python -m schemas.generate [--check]`.

`json/<topic>.schema.json` is a JSON Schema (draft 2020-12) of each public topic's value, `asyncapi.yaml` an AsyncAPI
3.0 document of all topics. Both come from the structs and the table of topics alone; `--check` writes nothing and fails
when a file is not what it would be written as.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import yaml

from schemas.base import SCHEMA_VERSION
from schemas.events import AnyEvent, Event
from schemas.topics import TOPICS, Topic

FOLDER = Path(__file__).resolve().parent
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_BINDING = "0.5.0"  # of AsyncAPI's Kafka bindings
_INTRODUCTION = (
    "What customers do flows in, messages for the senders flow out. One channel is one Kafka topic; an "
    "installation may put a prefix before every name. Customer-keyed topics share one partition count (the "
    "setting `partitions`) and the murmur2 partitioner; the record timestamp is the append time, the time of an "
    "event is in its value. Readers ignore fields they do not know and refuse records of a newer "
    "`schema_version`."
)
#: Who looks into topics that no worker reads.
_ONLOOKER = ("console",)
_ROLES = {
    "intake": "Maps the records of shops and apps to customer.events.",
    "personalise": "Keeps the profile of every customer, decides, and is the only publisher of messages.",
    "generate": "Writes the words, or takes a template.",
    "learn": "Joins feedback to decisions and learns from it.",
    "understand": "Reads customer text for sentiment and needs.",
    "converse": "Answers customers.",
    "deliver": "The demo sender.",
    "console": "The web page and the command line.",
    "import": "Loads the catalogue.",
    "pool": "The job that writes texts ahead.",
    "train": "Offline training.",
    "sender": "Outside: the e-mail, push, SMS and in-app senders.",
    "outside": "Outside: other systems of the shop.",
}


def public_topics() -> tuple[Topic, ...]:
    """The topics whose values are JSON; the others are internal state."""
    return tuple(topic for topic in TOPICS if topic.struct is not None)


def topic_schema(topic: Topic) -> dict[str, Any]:
    """The JSON Schema of one topic's value, with what the codec checks beside the types."""
    schema = msgspec.json.schema(topic.struct)
    definitions = schema.pop("$defs", {})
    schema.pop("discriminator", None)  # a keyword of OpenAPI; the `type` of each variant tells them apart
    if "$ref" in schema:  # one struct: its definition is the schema
        schema = definitions.pop(str(schema["$ref"]).rpartition("/")[2])
    for definition in (schema, *definitions.values()):
        _bound_version(definition)
    if topic.struct is AnyEvent:
        _require_identity(definitions)
    head = {
        "$schema": DIALECT,
        "$id": f"urn:attune:schema:{topic.name}:{SCHEMA_VERSION}",
        "title": topic.name,
        "description": schema.pop("description", topic.summary),
    }
    schema.pop("title", None)
    return head | schema | ({"$defs": definitions} if definitions else {})


def _bound_version(definition: dict[str, Any]) -> None:
    for name in ("schema_version", "schemaVersion"):
        if name in definition.get("properties", {}):
            definition["properties"][name] |= {"minimum": 1, "maximum": SCHEMA_VERSION}


def _require_identity(definitions: dict[str, Any]) -> None:
    for struct in Event.__subclasses__():
        definitions[struct.__name__]["anyOf"] = [
            {"required": [name], "properties": {name: {"type": "string", "minLength": 1}}}
            for name in ("userId", "anonymousId")
        ]


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI document: channels, messages, and who sends and receives."""
    topics = public_topics()
    roles = sorted({role for topic in topics for role in (*topic.writers, *topic.readers)})
    return {
        "asyncapi": "3.0.0",
        "id": "urn:attune",
        "info": {
            "title": "Attune",
            "version": f"{SCHEMA_VERSION}.0.0",
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0"},
            "tags": [{"name": role, "description": _ROLES[role]} for role in roles],
        },
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in topics},
        "operations": {
            f"{role}.{action}.{topic.name}": _operation(role, action, topic)
            for topic in topics
            for action, found in (("send", topic.writers), ("receive", topic.readers or _ONLOOKER))
            for role in found
        },
        "components": {"messages": {topic.name: _message(topic) for topic in topics}},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    configuration: dict[str, Any] = {
        name: int(value) if value.isdigit() else value for name, value in topic.broker_config().items()
    }
    configuration["cleanup.policy"] = topic.cleanup.split(",")
    kafka: dict[str, Any] = {"topicConfiguration": configuration, "bindingVersion": _BINDING}
    if topic.partitioning == "single":
        kafka["partitions"] = 1
    return {
        "address": topic.name,
        "summary": topic.summary,
        "messages": {"record": {"$ref": f"#/components/messages/{topic.name}"}},
        "bindings": {"kafka": kafka},
        "x-partitioning": topic.partitioning,
    }


def _message(topic: Topic) -> dict[str, Any]:
    return {
        "name": topic.name,
        "summary": topic.summary,
        "contentType": "application/json",
        "payload": {"$ref": f"./json/{topic.name}.schema.json"},
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": _BINDING}},
    }


def _operation(role: str, action: str, topic: Topic) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/record"}],
        "tags": [{"name": role}],
    }


def files() -> dict[str, str]:
    """Path below this folder → text, for every generated file."""
    found = {
        f"json/{topic.name}.schema.json": json.dumps(topic_schema(topic), indent=2, ensure_ascii=False) + "\n"
        for topic in public_topics()
    }
    document = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=120)
    found["asyncapi.yaml"] = f"# Written by `python -m schemas.generate`; do not edit.\n{document}"
    return found


def stale(folder: Path = FOLDER) -> list[str]:
    """What `--check` finds wrong, one line each."""
    wanted = files()
    problems = [
        f"{name} is {'not up to date' if (folder / name).exists() else 'missing'}"
        for name, content in wanted.items()
        if not (folder / name).exists() or (folder / name).read_text("utf-8") != content
    ]
    kept = (f"json/{path.name}" for path in sorted((folder / "json").glob("*")))
    return problems + [f"{name} belongs to no topic" for name in kept if name not in wanted]


def write(folder: Path = FOLDER) -> None:
    """Writes all files and removes the schemas of topics that are gone."""
    (folder / "json").mkdir(exist_ok=True)
    wanted = files()
    for path in (folder / "json").glob("*.schema.json"):
        if f"json/{path.name}" not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (folder / name).write_text(content, "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when `--check` finds something."""
    parser = argparse.ArgumentParser(prog="python -m schemas.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is not up to date")
    if parser.parse_args(arguments).check:
        problems = stale()
        print("\n".join([*problems, "run `make schemas`"]) if problems else "schemas are up to date")
        return 1 if problems else 0
    write()
    print(f"wrote {len(files())} files below {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
