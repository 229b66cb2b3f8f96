"""Finds every regular expression in `schemas`, `workers` and `infra`, and how it is used."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import msgspec

import infra
import schemas
import workers
from tests.support.playbooks import REES46, SMART_DEVICES, playbook
from workers.core.guardrails import packs
from workers.core.guardrails.checks.names import banned_by, whole_words
from workers.core.guardrails.grounding.amounts import _HOURS
from workers.core.guardrails.grounding.concepts import Concepts
from workers.core.guardrails.grounding.lexicon import lexicon
from workers.core.guardrails.grounding.vocabulary import _claiming_han
from workers.core.guardrails.matching.alternatives import letter_first
from workers.core.guardrails.matching.pattern_table import PatternTable

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (schemas, workers, infra)
#: Packages of the extra `train`, which tests do without.
_OF_TRAINING = ("onnx", "torch")
_METHODS = ("search", "match", "fullmatch", "finditer", "findall", "sub", "split")
#: (module, function) of all code that builds patterns at run time; `_built` lists these patterns, except for words that are
#: completely escaped.
BUILDERS = {
    ("workers.core.generation.pool.slots", "with_name_slot"),
    ("workers.core.generation.evaluation.group_recovery", "recover"),
    ("workers.core.guardrails.grounding.vocabulary", "_claiming_han"),
    ("workers.core.guardrails.matching.pattern_table", "_compiled"),
    ("workers.core.guardrails.grounding.amounts", "_hours"),
    ("workers.core.guardrails.grounding.amounts", "_measure"),
    ("workers.core.guardrails.checks.names", "_is_of"),
    ("workers.core.guardrails.checks.names", "_is_plain_word"),
    ("workers.training.fact_changes", "other_kind"),
    ("workers.core.guardrails.grounding.concepts", "_states"),
    ("workers.adapters.playbook.documents.yaml_structs", "_scalar"),
}


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern, its place, and the methods of `re.Pattern` by which it is used."""

    name: str
    pattern: re.Pattern[str] | re.Pattern[bytes]
    methods: tuple[str, ...]


@cache
def known() -> tuple[Known, ...]:
    """Returns all patterns, each (source, flags, methods) once."""
    found: dict[tuple[object, ...], Known] = {}
    for one in (*_of_modules(), *_of_sources(), *_built()):
        found.setdefault((one.pattern.pattern, one.pattern.flags, one.methods), one)
    return tuple(found.values())


@cache
def modules() -> tuple[ModuleType, ...]:
    """Imports and returns every module of the product, but for those that need the extra `train`."""
    names_ = [
        info.name for package in PACKAGES for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    ]
    return tuple(module for name in names_ if (module := _imported(name)) is not None)


def _imported(name: str) -> ModuleType | None:
    """Imports a module; None = it needs a package of the extra `train`, which is not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name not in _OF_TRAINING:
            raise
        return None


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Yields (module, syntax tree) of every module of the product."""
    for module in modules():
        if module.__file__:
            yield module.__name__, ast.parse(Path(module.__file__).read_text())


def builders() -> set[tuple[str, str]]:
    """Returns (module, function) of every call of `re` with a pattern that is not a constant."""
    found = set()
    for module, tree in sources():
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                found |= {(module, function.name) for call in _calls(function) if _constant(call) is None}
    return found


def _of_modules() -> Iterator[Known]:
    """Yields the values of modules, and the values in their tables."""
    for module in modules():
        for name, value in vars(module).items():
            if getattr(value, "__module__", module.__name__) == module.__name__ or not isinstance(value, type):
                yield from _of_value(f"{module.__name__}.{name}", name, value)


def _of_value(place: str, name: str, value: object) -> Iterator[Known]:
    match value:
        case re.Pattern():
            yield Known(name=place, pattern=value, methods=_usage().get(name, ("search",)))
        case PatternTable():
            yield from _of_screen(place, value)
        case Concepts():
            yield from _of_screen(place, value._screen)
            for concept, pattern in value._stated_by.items():
                yield Known(name=f"{place}[{concept}] stated by", pattern=re.compile(pattern), methods=("search",))
        case dict():
            for key, inner in value.items():
                yield from _of_value(f"{place}[{key!r}]", name, inner)
        case tuple() | list():
            for inner in value:
                yield from _of_value(place, name, inner)


def _of_screen(place: str, screen: PatternTable) -> Iterator[Known]:
    for number, source in screen._parts.table:
        pattern = re.compile(letter_first(source), screen._flags)
        yield Known(name=f"{place}[{screen._names[number]}]", pattern=pattern, methods=("finditer",))


def _of_sources() -> Iterator[Known]:
    """Yields literal patterns at their use, and the patterns in msgspec's types."""
    for module, tree in sources():
        for call in _calls(tree):
            method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            if method in _METHODS and (pattern := _constant(call)) is not None:
                yield Known(name=f"{module}:{call.lineno}", pattern=pattern, methods=(method,))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Meta":
                for keyword in node.keywords:
                    if keyword.arg == "pattern":
                        pattern = re.compile(ast.literal_eval(keyword.value))
                        yield Known(name=f"{module}:{node.lineno}", pattern=pattern, methods=("search",))


def _built() -> Iterator[Known]:
    """Yields the patterns that `BUILDERS` build for the shipped packs, playbooks and lexicons."""
    yield from _of_screen("rule packs", packs._rules(tuple(packs.PACKS))[1])
    for folder in (SMART_DEVICES, REES46):
        policy = playbook(folder).policy
        yield from _of_screen(f"{folder.name}: banned words", banned_by(policy))
        yield from _of_screen(f"{folder.name}: voice", whole_words(tuple(policy.voice.avoid)))
    for language in ("en", "zh"):
        claiming = _claiming_han(lexicon(language).claiming)
        yield Known(name=f"vocabulary, claiming in {language}", pattern=claiming, methods=("findall",))
    for unit, _ in _HOURS:
        yield Known(name="numbers._HOURS", pattern=re.compile(unit), methods=("fullmatch",))


@cache
def _usage() -> dict[str, tuple[str, ...]]:
    """Returns name of a pattern → methods by which modules use it."""
    found: dict[str, set[str]] = {}
    for _, tree in sources():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in _METHODS and isinstance(node.value, ast.Name):
                found.setdefault(node.value.id, set()).add(node.attr)
    return {name: tuple(sorted(methods)) for name, methods in found.items()}


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yields the calls `re.something(pattern, ...)`."""
    for node in ast.walk(tree):
        if (
            (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
            )
            and node.func.value.id == "re"
            and node.func.attr in (*_METHODS, "compile")
        ):
            yield node


def _constant(call: ast.Call) -> re.Pattern[str] | re.Pattern[bytes] | None:
    value = call.args[0].value if isinstance(call.args[0], ast.Constant) else None
    if isinstance(value, str):
        return re.compile(value)
    return re.compile(value) if isinstance(value, bytes) else None
