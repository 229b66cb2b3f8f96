"""Converts a YAML document to msgspec structs, and reports all mistakes of type, name and range, not only the first."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import TypeVar

import msgspec
import yaml
from msgspec import inspect

from workers.adapters.playbook.documents.yaml_documents import Document, FieldPath, plain

T = TypeVar("T")


def read_struct(document: Document, kind: type[T]) -> T | None:
    """Returns the document as `kind`; None if a mistake was reported."""
    if document.root is None:
        return None
    checker = _Checker(document)
    checker.check(document.root, inspect.type_info(kind), ())
    if checker.failed:
        return None
    try:
        return msgspec.convert(plain(document.root), kind)
    except (msgspec.ValidationError, ValueError) as error:  # a rule of msgspec that the checker does not cover
        document.report(_path_of(str(error)), str(error).split(" - at ")[0])
        return None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ` (did you mean `x`?)`, or ""."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean `{close[0]}`?)" if close else ""


class _Checker:
    def __init__(self, document: Document) -> None:
        self._document = document
        self.failed = False

    def check(self, node: yaml.Node, kind: inspect.Type, path: FieldPath) -> None:
        match kind:
            case inspect.StructType():
                self._struct(node, kind, path)
            case inspect.UnionType():
                self._union(node, kind, path)
            case inspect.ListType():
                if isinstance(node, yaml.SequenceNode):
                    for index, item in enumerate(node.value):
                        self.check(item, kind.item_type, (*path, index))
                else:
                    self._wrong(node, path, kind)
            case inspect.DictType():
                if isinstance(node, yaml.MappingNode):
                    for key, value in node.value:
                        self.check(value, kind.value_type, (*path, str(key.value)))
                else:
                    self._wrong(node, path, kind)
            case _:
                self._scalar(node, kind, path)

    def _struct(self, node: yaml.Node, kind: inspect.StructType, path: FieldPath) -> None:
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, path, kind)
            return
        given = {str(key.value): value for key, value in node.value}
        fields = {field.encode_name: field for field in kind.fields}
        if kind.tag_field is not None:
            tag = given.pop(kind.tag_field, None)
            if tag is None:
                self._report(path, f"`{kind.tag_field}` is missing", str(kind.tag))
            elif tag.value != kind.tag:
                self._report((*path, kind.tag_field), f"`{tag.value}` is not known", str(kind.tag))
        for name, value in given.items():
            if name in fields:
                self.check(value, fields[name].type, (*path, name))
            else:
                self._report((*path, name), "this field is not known" + did_you_mean(name, fields), ", ".join(fields))
        for name, field in fields.items():
            if field.required and name not in given:
                self._report(path, f"`{name}` is missing", _expected(field.type))

    def _union(self, node: yaml.Node, kind: inspect.UnionType, path: FieldPath) -> None:
        structs = [option for option in kind.types if isinstance(option, inspect.StructType)]
        if isinstance(node, yaml.MappingNode) and len(structs) > 1:
            given = {str(key.value): str(value.value) for key, value in node.value}
            tagged = next((option for option in structs if given.get(option.tag_field or "") == option.tag), None)
            if tagged is None:
                tag_field, names = structs[0].tag_field or "", [str(option.tag) for option in structs]
                if tag_field in given:
                    wrong = f"`{given[tag_field]}` is not known" + did_you_mean(given[tag_field], names)
                    self._report((*path, tag_field), wrong, ", ".join(names))
                else:
                    self._report(path, f"`{tag_field}` is missing", ", ".join(names))
            else:
                self._struct(node, tagged, path)
            return
        if node.tag.endswith(":null") and any(isinstance(option, inspect.NoneType) for option in kind.types):
            return
        fitting = [option for option in kind.types if _fits(node, option)]
        if fitting:
            self.check(node, fitting[0], path)
        else:
            self._wrong(node, path, kind)

    def _scalar(self, node: yaml.Node, kind: inspect.Type, path: FieldPath) -> None:
        if not _fits(node, kind):
            self._wrong(node, path, kind)
            return
        try:
            value = plain(node)
        except ValueError as error:
            self._report(path, str(error), _expected(kind))
            return
        if isinstance(kind, inspect.LiteralType):
            if value not in kind.values:
                self._report(
                    path, f"`{value}` is not known" + did_you_mean(str(value), map(str, kind.values)), _expected(kind)
                )
        elif isinstance(kind, inspect.IntType | inspect.FloatType) and isinstance(value, int | float):
            if not _in_range(value, kind):
                self._report(path, f"{value} is out of range", _expected(kind))
        elif isinstance(kind, inspect.StrType) and isinstance(value, str):
            if kind.pattern is not None and re.search(kind.pattern, value) is None:
                self._report(path, f"`{value}` does not fit", _expected(kind))
            elif not (kind.min_length or 0) <= len(value) <= (kind.max_length or len(value)):
                self._report(path, f"has {len(value)} characters", _expected(kind))

    def _wrong(self, node: yaml.Node, path: FieldPath, kind: inspect.Type) -> None:
        hint = "; put it in quotes" if isinstance(kind, inspect.StrType) and isinstance(node, yaml.ScalarNode) else ""
        self._report(path, f"is {_found(node)}", _expected(kind) + hint)

    def _report(self, path: FieldPath, wrong: str, allowed: str) -> None:
        self.failed = True
        self._document.report(path, wrong, allowed)


def _fits(node: yaml.Node, kind: inspect.Type) -> bool:
    tag = node.tag.rpartition(":")[2]
    match kind:
        case inspect.StructType() | inspect.DictType():
            return tag == "map"
        case inspect.ListType():
            return tag == "seq"
        case inspect.StrType():
            return tag == "str"
        case inspect.LiteralType():
            return isinstance(node, yaml.ScalarNode)
        case inspect.IntType():
            return tag == "int"
        case inspect.FloatType():
            return tag in ("int", "float")
        case inspect.BoolType():
            return tag == "bool"
        case inspect.NoneType():
            return tag == "null"
        case inspect.DateTimeType():
            return tag in ("timestamp", "str")
        case _:
            return True


def _found(node: yaml.Node) -> str:
    names = {"map": "a map", "seq": "a list", "str": "text", "int": "a number", "float": "a number", "null": "empty"}
    names |= {"bool": "yes/no", "timestamp": "a date"}
    name = names.get(node.tag.rpartition(":")[2], node.tag)
    return f"{name} ({node.value})" if isinstance(node, yaml.ScalarNode) and node.value else name


def _expected(kind: inspect.Type) -> str:
    match kind:
        case inspect.StructType():
            return "a map with " + ", ".join(field.encode_name for field in kind.fields)
        case inspect.DictType():
            return f"a map of names to {_expected(kind.value_type)}"
        case inspect.ListType():
            return f"a list of {_expected(kind.item_type)}"
        case inspect.StrType():
            return f"text that fits {kind.pattern}" if kind.pattern else "text" + _lengths(kind)
        case inspect.LiteralType():
            return ", ".join(map(str, kind.values))
        case inspect.IntType():
            return "a whole number" + _range(kind)
        case inspect.FloatType():
            return "a number" + _range(kind)
        case inspect.BoolType():
            return "true, false"
        case inspect.NoneType():
            return "empty"
        case inspect.DateTimeType():
            return "a time with zone (2026-01-31T08:00:00Z)"
        case inspect.UnionType():
            return " or ".join(_expected(option) for option in kind.types if not isinstance(option, inspect.NoneType))
        case _:
            return type(kind).__name__


def _lengths(kind: inspect.StrType) -> str:
    if kind.min_length is None and kind.max_length is None:
        return ""
    return f" of {kind.min_length or 0} to {kind.max_length or 'any number of'} characters"


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    words: Sequence[tuple[str, float | None]] = (
        ("above", kind.gt),
        ("at least", kind.ge),
        ("below", kind.lt),
        ("at most", kind.le),
    )
    found = [f"{word} {bound:g}" for word, bound in words if bound is not None]
    return f" {' and '.join(found)}" if found else ""


def _in_range(value: float, kind: inspect.IntType | inspect.FloatType) -> bool:
    return isfinite(value) and (
        (kind.gt is None or value > kind.gt)
        and (kind.ge is None or value >= kind.ge)
        and (kind.lt is None or value < kind.lt)
        and (kind.le is None or value <= kind.le)
    )


def _path_of(message: str) -> FieldPath:
    """Returns the path in `... - at `$.campaigns[0].id``."""
    found = re.search(r"at `\$([^`]*)`", message)
    parts = re.findall(r"\.([^.\[]+)|\[(\d+)\]", found.group(1)) if found else []
    return tuple(name or int(index) for name, index in parts)
