"""Builds the AsyncAPI 3.0 document: the topics, their contents, and who sends and receives."""

from __future__ import annotations

from typing import Any

from schemas.base import SCHEMA_VERSION
from schemas.json_schema import public_topics
from schemas.topics import DEFAULT_COMPRESSION, SOURCE, Topic

_BINDING = "0.5.0"  # of AsyncAPI's Kafka bindings
_INTRODUCTION = (
    "Customer events flow in, messages for the senders flow out. One channel is one Kafka topic; an installation may add a "
    "prefix to every name (the setting `prefix`). Customer-keyed topics share one partition count (the setting "
    "`partitions`) and the murmur2 partitioner of Java's clients; the record timestamp is the append time, the time of an "
    "event is in its value. Keys are UTF-8 text, values UTF-8 JSON. Read with isolation level read_committed. Topics with a "
    f"`compression.type` use that codec ({DEFAULT_COMPRESSION} unless the setting `topic_compression` changes it); the others "
    "use that of their producer (the setting `compression`, lz4). Readers ignore unknown fields and reject records of a newer "
    "`schema_version`."
)
#: The reader of topics that no worker reads.
_DEFAULT_READER = ("console",)
_ROLES = {
    "intake": "Maps the records of shops and apps to customer.events.",
    "personalise": "Maintains the profile of every customer, decides, and is the only publisher of messages.",
    "generate": "Generates the texts, or uses a template.",
    "learn": "Joins feedback to decisions and learns from it.",
    "understand": "Extracts sentiment and needs from customers' texts.",
    "converse": "Replies to customers.",
    "deliver": "The demo sender.",
    "console": "The web page and the command line.",
    "import": "Loads the catalogue.",
    "pool": "The job that generates texts in advance.",
    "train": "Offline training.",
    "sender": "External: the e-mail, push, SMS and in-app senders.",
    "outside": "External: other systems of the shop.",
}
#: The formats of the records in a source topic, which may be mixed; the specifications are those of their owners.
_FORMATS = {
    "segment": "A call of the Segment spec: track, identify, page, screen, alias, group. The recommended format.",
    "ga4": "A GA4 event of the Measurement Protocol or the BigQuery export.",
    "snowplow": "A Snowplow enriched event as JSON, or a line of its TSV.",
    "braze": "A Braze Currents event.",
    "mparticle": "A batch of mParticle's Events API or of its JSON outputs.",
    "cloudevents": "A CloudEvent 1.0 whose data is one of the above.",
}


def asyncapi() -> dict[str, Any]:
    """Returns the document."""
    topics = public_topics()
    roles = sorted({role for topic in topics for role in (*topic.writers, *topic.readers)})
    operations = [
        (role, action, topic.name)
        for topic in topics
        for action, roles_of in (("send", topic.writers), ("receive", topic.readers or _DEFAULT_READER))
        for role in roles_of
    ]
    operations += [("outside", "send", SOURCE), ("intake", "receive", SOURCE)]
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
        "servers": _servers(),
        "channels": {SOURCE: _source()} | {topic.name: _channel(topic) for topic in topics},
        "operations": {f"{role}.{action}.{name}": _operation(role, action, name) for role, action, name in operations},
        "components": {
            "messages": {f"{SOURCE}.{name}": _source_message(name) for name in _FORMATS}
            | {topic.name: _message(topic) for topic in topics},
            "parameters": {
                "prefix": {
                    "default": "",
                    "description": "The prefix of every topic of the installation (ATTUNE_PREFIX).",
                }
            },
            "securitySchemes": {"scram": {"type": "scramSha512", "description": "Over TLS only."}},
        },
    }


def _servers() -> dict[str, Any]:
    brokers = {"brokers": {"default": "localhost:9092", "description": "host:port of a broker (ATTUNE_BROKERS)."}}
    return {
        "plain": {
            "host": "{brokers}",
            "protocol": "kafka",
            "description": "The embedded Kafka (for its address, see `attune settings` and data_dir), or your own.",
            "variables": brokers,
        },
        "secure": {
            "host": "{brokers}",
            "protocol": "kafka-secure",
            "description": "TLS, with SASL if the brokers require a user.",
            "variables": brokers,
            "security": [{"$ref": "#/components/securitySchemes/scram"}],
        },
    }


def _address(name: str) -> dict[str, Any]:
    return {"address": "{prefix}" + name, "parameters": {"prefix": {"$ref": "#/components/parameters/prefix"}}}


def _source() -> dict[str, Any]:
    return {
        **_address(SOURCE),
        "summary": "Events of shops and apps, in the topics of the setting `source_topics`; this one by default.",
        "description": "Any key, any codec, and any mix of the formats: `intake` maps and re-keys the records.",
        "messages": {name: {"$ref": f"#/components/messages/{SOURCE}.{name}"} for name in _FORMATS},
        "x-partitioning": "any",
    }


def _source_message(name: str) -> dict[str, Any]:
    payload = {"title": f"{name.capitalize()}Input", "type": "object", "description": _FORMATS[name]}
    return {
        "name": f"{SOURCE}.{name}",
        "summary": _FORMATS[name],
        "contentType": "application/json",
        "payload": payload,
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
        **_address(topic.name),
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


def _operation(role: str, action: str, name: str) -> dict[str, Any]:
    messages = [*_FORMATS] if name == SOURCE else ["record"]
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{message}"} for message in messages],
        "tags": [{"name": role}],
    }
