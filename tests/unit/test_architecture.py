"""The walls of the house: who may import whom, which topics a role may open, which metrics exist."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.topics import BY_NAME, TOPICS
from workers.adapters.observability.metric_catalogue import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]

#: package → what it may import of ours; the longest matching package of a module counts
MAY_IMPORT = {
    "schemas": {"schemas"},
    "workers.core.errors": set(),
    "workers.core.stream.records": {"schemas"},
    "workers.secrets": set(),
    "workers.settings": {"workers.core.errors", "workers.secrets"},
    # Other teams copy it: nothing else of ours may be needed.
    "workers.delivery": {"schemas", "workers.delivery"},
    "workers.core": {"schemas", "workers.core", "workers.core.stream.records", "workers.core.errors"},
    "workers.adapters": {
        "schemas",
        "workers.delivery",
        "workers.adapters",
        "workers.core",
        "workers.core.stream.records",
        "workers.core.errors",
        "workers.secrets",
        "workers.settings",
        "infra",
    },
    "workers.roles": {
        "schemas",
        "workers.roles",
        "workers.delivery",
        "workers.adapters",
        "workers.core",
        "workers.core.stream.records",
        "workers.core.errors",
        "workers.secrets",
        "workers.settings",
    },
    "infra": {"infra", "workers.core.errors", "workers.secrets", "workers.settings"},
}
#: What people and the composition root start: it sees everything.
MAY_IMPORT_ANYTHING = {"workers.cli", "workers.commands", "workers.console", "workers.main", "workers.training"}
#: Only the composition root may build agents.
ONLY_MAIN = {"workers.roles"}
#: Nothing of the outside in the pure core.
FORBIDDEN_IN_CORE = {
    "faust",
    "aiokafka",
    "confluent_kafka",
    "kafka",
    "aiohttp",
    "rocksdict",
    "prometheus_client",
    "asyncio",
    "time",
}


def modules() -> Iterator[tuple[str, Path]]:
    for package in ("schemas", "workers", "infra"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__"), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


PLACED = [(module, path) for module, path in modules() if any(is_in(module, package) for package in MAY_IMPORT)]


def test_what_has_no_place_of_its_own_puts_the_others_together() -> None:
    placed = {module for module, _ in PLACED}
    free = {module for module, _ in modules()} - placed - {"workers"}
    assert len(placed) > 200
    assert {module for module in free if not any(is_in(module, package) for package in MAY_IMPORT_ANYTHING)} == set()
    assert {package for package in MAY_IMPORT_ANYTHING if not any(is_in(module, package) for module in free)} == set()


@pytest.mark.parametrize(("module", "path"), PLACED, ids=lambda value: value if isinstance(value, str) else "")
def test_a_module_imports_only_what_its_place_allows(module: str, path: Path) -> None:
    place = max((package for package in MAY_IMPORT if is_in(module, package)), key=len)
    ours = [name for name in imports(path) if name.split(".")[0] in ("schemas", "workers", "infra", "tests")]
    wrong = [
        name
        for name in ours
        if name != "workers" and not any(is_in(name, allowed) or is_in(allowed, name) for allowed in MAY_IMPORT[place])
    ]
    assert wrong == []


@pytest.mark.parametrize("module", [module for module, _ in modules() if is_in(module, "workers.core")])
def test_the_core_touches_nothing_outside(module: str) -> None:
    path = dict(modules())[module]
    assert {name.split(".")[0] for name in imports(path)} & FORBIDDEN_IN_CORE == set()


def test_only_the_composition_root_imports_agents() -> None:
    importers = {
        module
        for module, path in modules()
        if not is_in(module, "workers.roles") and any(is_in(name, "workers.roles") for name in imports(path))
    }
    assert importers == {"workers.main"}


def topic_names_in(path: Path) -> set[str]:
    """String constants of a module that look like a topic of the table."""
    families = {name.split(".")[0] for name in BY_NAME if "." in name}
    constants = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
    return {
        value
        for value in constants
        if isinstance(value, str) and value.count(".") == 1 and value.split(".")[0] in families and " " not in value
    }


def test_every_topic_named_in_the_workers_stands_in_the_table() -> None:
    known = BY_NAME.keys() | {"messages."}
    unknown = {
        (module, name)
        for module, path in modules()
        if is_in(module, "workers")
        for name in topic_names_in(path)
        if name not in known and not name.endswith((".py", ".yaml"))
    }
    assert unknown == set()


#: role → modules in which its topics are named
ROLE_MODULES = {
    "personalise": (
        "workers.roles.personalise",
        "workers.core.personalisation.processor",
        "workers.core.personalisation.decisions",
    ),
    "generate": ("workers.roles.generate", "workers.core.generation.pool.entries"),
    "intake": ("workers.roles.intake", "workers.core.intake.processor"),
    "learn": ("workers.roles.learn", "workers.core.attribution.processor", "workers.core.attribution.aggregates"),
    "deliver": ("workers.delivery.sender",),
}


@pytest.mark.parametrize("role", list(ROLE_MODULES))
def test_a_role_opens_only_topics_that_list_it(role: str) -> None:
    paths = dict(modules())
    named = {name for module in ROLE_MODULES[role] for name in topic_names_in(paths[module])}
    assert named, "the role names its topics"
    assert [name for name in sorted(named) if role not in BY_NAME[name].writers + BY_NAME[name].readers] == []


def test_every_topic_is_written_by_somebody() -> None:
    assert [topic.name for topic in TOPICS if not topic.writers] == []


def test_metric_names_are_unique_and_carry_their_unit() -> None:
    assert len({row.name for row in CATALOGUE}) == len({row.short for row in CATALOGUE}) == len(CATALOGUE)
    for row in CATALOGUE:
        if row.kind == "counter":
            assert row.name.endswith("_total")
        if row.kind == "histogram":
            assert row.name.endswith(("_seconds", "_usage"))


def test_no_metric_is_labelled_with_a_customer() -> None:
    labels = {label for row in CATALOGUE for label in row.labels}
    assert not labels & {"user", "user_id", "customer", "customer_id", "message_id", "key"}
