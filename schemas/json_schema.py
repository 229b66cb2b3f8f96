"""The JSON Schema of each public topic's value, in the shape that code generators of other languages understand.

What msgspec writes is right, but generators stumble over parts of it: `anyOf` with null becomes a struct in Go, a `[]`
default does not compile in Java, and an enum without a name is numbered by its place, so that any new field renames it.
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
    """The topics whose values are JSON; the others are internal state."""
    return tuple(topic for topic in TOPICS if topic.struct is not None)


def topic_schema(topic: Topic) -> Schema:
    """The JSON Schema of one topic's value, with what the codec checks beside the types. Its title is the struct's name."""
    schema = msgspec.json.schema(topic.struct)
    definitions: dict[str, Schema] = schema.pop("$defs", {})
    schema.pop("discriminator", None)  # a keyword of OpenAPI; the `type` of each variant tells them apart
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
    definitions = {name: found for name, found in definitions.items() if f'"#/$defs/{name}"' in used}
    if topic.struct is AnyEvent:  # nobody is refused: both ids absent, null or empty
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
    """Makes the fields of one struct plain; its enums go to `added`."""
    properties: dict[str, Schema] = definition.get("properties", {})
    if "description" in definition:
        definition["description"] = cleandoc(definition["description"])
    for name, field in properties.items():
        if field.get("default", 0) in (None, [], {}):
            del field["default"]  # a missing field means it; generators write code for it that does not compile
        if isinstance(default := field.get("default"), float) and default.is_integer():  # nor `Double x = 1;`
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
    if "offset" in properties:  # of a record in Kafka: 64 bits, where Java's generators take 32
        properties["offset"]["format"] = "int64"


def _plain(field: Schema) -> Schema:
    """`type: [string, "null"]` where it says the same as `anyOf`: no two options of one type, and none is a definition."""
    options: list[Schema] = field.get("anyOf", [])
    kinds = [option.get("type") for option in options]
    if not options or None in kinds or len({*kinds}) < len(kinds):
        return field
    merged: Schema = {"type": [kind for kind in kinds if kind != "integer" or "number" not in kinds]}
    for option in options:
        merged |= {name: value for name, value in option.items() if name != "type"}
    return merged | {name: value for name, value in field.items() if name != "anyOf"}


def _named(field: Schema, name: Callable[[list[str]], str], enums: dict[str, Schema]) -> Schema:
    """The field with its enum replaced by a reference to a definition that has a name.

    Several enums in one field are one. Of one that may be null the schema shows the values: generators make a value of
    null, and absent says the same.
    """
    options: list[Schema] = [option for option in field.get("anyOf", [field]) if option.get("type") != "null"]
    words = [word for option in options for word in option.get("enum", [])]
    if not words:
        return field
    others = {key: value for key, value in field.items() if key not in ("anyOf", "enum")}
    if len(words) == 1:
        return {"type": "string", "const": words[0], **others}
    title = name(words)
    enums[title] = {"title": title, "type": "string", "enum": words}
    return {"$ref": f"#/$defs/{title}", **others}


def _allow_null(definition: Schema, definitions: dict[str, Schema]) -> None:
    """A field that is a struct or null gets a definition of its own: `type: [object, "null"]` under the struct's title."""
    for field in definition.get("properties", {}).values():
        match field.get("anyOf"):
            case [{"$ref": str(reference)}, {"type": "null"}]:
                name = reference.rpartition("/")[2]
                definitions[f"Optional{name}"] = definitions[name] | {"type": ["object", "null"]}
                del field["anyOf"]
                field["$ref"] = f"#/$defs/Optional{name}"


def _enum_name(struct: str, field: str) -> Callable[[list[str]], str]:
    """The name of an enum's alias in the contract's modules, else that of its struct and field: never one of its place."""

    def named(options: list[str]) -> str:
        own = struct + "".join(part.capitalize() for part in field.split("_"))
        return _ALIASES.get(frozenset(options), own)

    return named


def _aliases(module: ModuleType) -> Iterator[tuple[frozenset[str], str]]:
    for name, value in vars(module).items():
        if get_origin(value) is Literal:
            yield frozenset(get_args(value)), name


def _defaults(module: ModuleType) -> Iterator[tuple[str, dict[str, Any]]]:
    """Struct → the defaults of the fields that are written always; msgspec calls a function for them and shows none."""
    for name, value in vars(module).items():
        if isinstance(value, type) and issubclass(value, msgspec.Struct):
            made = [(field.encode_name, field.default_factory) for field in msgspec.structs.fields(value)]
            yield name, {field: make() for field, make in made if make not in (msgspec.NODEFAULT, list, dict)}


_ALWAYS = {name: fields for module in _MODULES for name, fields in _defaults(module)}
_ALIASES = {values: name for module in _MODULES for values, name in _aliases(module)}
