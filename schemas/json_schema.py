"""Builds the JSON Schema of each public topic's value, in a form that code generators for other languages support.

The schemas of msgspec are correct, but generators fail on parts of them: `anyOf` with null becomes a struct in Go, a `[]`
default does not compile in Java, and an unnamed enum is numbered by its position, so that any new field renames it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from inspect import cleandoc
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import msgspec

from schemas import base, catalogue, control, dialogue, learning, messages, profiles
from schemas.base import SCHEMA_VERSION
from schemas.events import AnyEvent
from schemas.topics import TOPICS, Topic

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]
_MODULES = (base, catalogue, control, dialogue, learning, messages, profiles)


def public_topics() -> tuple[Topic, ...]:
    """Returns the topics whose values are JSON; the others are internal state."""
    return tuple(topic for topic in TOPICS if topic.struct is not None)


def topic_schema(topic: Topic) -> Schema:
    """Returns the JSON Schema of one topic's value, including the codec's checks beyond types. Its title is the struct's name."""
    schema = msgspec.json.schema(topic.struct)
    definitions: dict[str, Schema] = schema.pop("$defs", {})
    schema.pop("discriminator", None)  # a keyword of OpenAPI; the variants are distinguished by their `type`
    if "$ref" in schema:  # one struct: its definition is the schema
        schema = definitions.pop(str(schema["$ref"]).rpartition("/")[2])
    else:
        schema["title"] = "Event"
    added: dict[str, Schema] = {}
    for definition in (schema, *definitions.values()):
        _shape(definition, added)
    definitions |= dict(sorted(added.items()))
    for definition in (schema, *list(definitions.values())):
        _allow_null(definition, definitions)
    used = json.dumps((schema, definitions))
    definitions = {name: definition for name, definition in definitions.items() if f'"#/$defs/{name}"' in used}
    if topic.struct is AnyEvent:  # invalid without an ID: both absent, null or empty
        schema["if"] = {"properties": {name: {"enum": ["", None]} for name in ("userId", "anonymousId")}}
        schema["then"] = False
    head = {
        "$schema": DIALECT,
        "$id": f"urn:attune:schema:{topic.name}:{SCHEMA_VERSION}",
        "title": schema.pop("title"),
        "description": cleandoc(schema.pop("description", topic.summary)),
    }
    return head | schema | ({"$defs": definitions} if definitions else {})


def _shape(definition: Schema, added: dict[str, Schema]) -> None:
    """Simplifies the fields of one struct; its enums go to `added`."""
    properties: dict[str, Schema] = definition.get("properties", {})
    if "description" in definition:
        definition["description"] = cleandoc(definition["description"])
    for name, field in properties.items():
        if field.get("default", 0) in (None, [], {}):
            del field["default"]  # a missing field means the same; code generated for it does not compile
        if (
            isinstance(default := field.get("default"), float) and default.is_integer()
        ):  # `Double x = 1;` does not compile either
            del field["default"]
            field["description"] = f"{default} if absent."
        properties[name] = _named(_plain(field), _enum_name(definition["title"], name), added)
        if "additionalProperties" in field:
            field["additionalProperties"] = _plain(field["additionalProperties"])
            if isinstance(field["additionalProperties"].get("type"), list):
                field["additionalProperties"] |= {"title": "TraitValue"}
    for name, default in _ALWAYS.get(definition["title"], {}).items():
        properties[name]["default"] = default
    for name in ("schema_version", "schemaVersion"):
        if name in properties:
            properties[name] |= {"minimum": 1, "maximum": SCHEMA_VERSION}
    if "offset" in properties:  # of a Kafka record: 64 bits, but Java's generators default to 32
        properties["offset"]["format"] = "int64"


def _plain(field: Schema) -> Schema:
    """Replaces `anyOf` by an equivalent `type: [string, "null"]`, if its options have distinct types and none is a definition."""
    options: list[Schema] = field.get("anyOf", [])
    kinds = [option.get("type") for option in options]
    if not options or None in kinds or len({*kinds}) < len(kinds):
        return field
    merged: Schema = {"type": [kind for kind in kinds if kind != "integer" or "number" not in kinds]}
    for option in options:
        merged |= {name: value for name, value in option.items() if name != "type"}
    return merged | {name: value for name, value in field.items() if name != "anyOf"}


def _named(field: Schema, name: Callable[[list[str]], str], enums: dict[str, Schema]) -> Schema:
    """Returns the field with its enum replaced by a reference to a named definition.

    Several enums in one field become one. Null is left out of an enum: generators would turn it into a value, and an absent
    field means the same.
    """
    options: list[Schema] = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    values = [value for option in options for value in option.get("enum", [])]
    if not values:
        return field
    others = {key: value for key, value in field.items() if key not in ("anyOf", "enum")}
    if len(values) == 1:
        return {"type": "string", "const": values[0], **others}
    title = name(values)
    enums[title] = {"title": title, "type": "string", "enum": values}
    return {"$ref": f"#/$defs/{title}", **others}


def _allow_null(definition: Schema, definitions: dict[str, Schema]) -> None:
    """Gives each field that is a struct or null its own definition: `type: [object, "null"]` under the struct's title."""
    for field in definition.get("properties", {}).values():
        match field.get("anyOf"):
            case [{"$ref": str(reference)}, {"type": "null"}]:
                name = reference.rpartition("/")[2]
                definitions[f"Optional{name}"] = definitions[name] | {"type": ["object", "null"]}
                del field["anyOf"]
                field["$ref"] = f"#/$defs/Optional{name}"


def _enum_name(struct: str, field: str) -> Callable[[list[str]], str]:
    """Returns a function that names an enum: its alias in the contract's modules, otherwise its struct and field."""

    def named(options: list[str]) -> str:
        own = struct + "".join(part.capitalize() for part in field.split("_"))
        return _ALIASES.get(frozenset(options), own)

    return named


def _aliases(module: ModuleType) -> Iterator[tuple[frozenset[str], str]]:
    for name, value in vars(module).items():
        if get_origin(value) is Literal:
            yield frozenset(get_args(value)), name


def _defaults(module: ModuleType) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields (struct, defaults of the fields that are always written); msgspec shows none, as they come from factories."""
    for name, value in vars(module).items():
        if isinstance(value, type) and issubclass(value, msgspec.Struct):
            factories = [(field.encode_name, field.default_factory) for field in msgspec.structs.fields(value)]
            yield name, {field: make() for field, make in factories if make not in (msgspec.NODEFAULT, list, dict)}


_ALWAYS = {name: fields for module in _MODULES for name, fields in _defaults(module)}
_ALIASES = {values: name for module in _MODULES for values, name in _aliases(module)}
