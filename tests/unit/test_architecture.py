"""The walls of the house: who may import whom, which topics a role may open, which metrics exist."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from schemas.topics import BY_NAME, TOPICS
from workers.adapters.observability.metric_catalogue import CATALOGUE
from workers.core.stream.metrics import CounterName, GaugeName, HistogramName

ROOT = Path(__file__).resolve().parents[2]

#: folder → the other folders of ours that its modules may import; a module at the top of `workers` stands for itself
MAY_IMPORT: dict[str, set[str]] = {
    # -- The contract, and what everything may read
    "schemas": set(),
    "workers.secrets": set(),
    "workers.private_files": set(),
    "workers.settings": {"workers.secrets"},
    "workers.settings_loader": {"workers.core", "workers.secrets", "workers.settings"},
    # -- The pure core: from the rooms that know nothing to those that know most
    "workers.core": set(),
    "workers.core.common": set(),
    "workers.core.guardrails.grounding.lexicon": set(),
    "workers.core.guardrails.matching": set(),
    "workers.core.playbook": {"schemas"},
    "workers.core.resilience": set(),
    "workers.core.experimentation": {"schemas", "workers.core.playbook"},
    "workers.core.guardrails.packs": {"workers.core.guardrails.matching"},
    "workers.core.intake.canonical": {"schemas", "workers.core"},
    "workers.core.profile": {"schemas", "workers.core.common", "workers.core.playbook"},
    "workers.core.stream": {"schemas", "workers.core", "workers.core.common"},
    "workers.core.text": {"schemas", "workers.core.common", "workers.core.playbook"},
    "workers.core.attribution": {
        "schemas",
        "workers.core",
        "workers.core.common",
        "workers.core.experimentation",
        "workers.core.playbook",
        "workers.core.profile",
        "workers.core.stream",
    },
    "workers.core.catalogue": {"schemas", "workers.core.common", "workers.core.playbook", "workers.core.profile"},
    "workers.core.guardrails.grounding": {
        "schemas",
        "workers.core.common",
        "workers.core.guardrails.grounding.lexicon",
        "workers.core.guardrails.matching",
        "workers.core.guardrails.packs",
        "workers.core.playbook",
        "workers.core.text",
    },
    "workers.core.intake.formats": {"schemas", "workers.core.intake.canonical", "workers.core.stream"},
    "workers.core.partition": {"schemas", "workers.core.profile", "workers.core.stream"},
    "workers.core.segments": {"schemas", "workers.core.playbook", "workers.core.profile"},
    "workers.core.simulation": {"schemas", "workers.core.common", "workers.core.experimentation"},
    "workers.core.decisioning": {
        "schemas",
        "workers.core.experimentation",
        "workers.core.partition",
        "workers.core.playbook",
        "workers.core.profile",
        "workers.core.stream",
    },
    "workers.core.guardrails.checks": {
        "schemas",
        "workers.core.common",
        "workers.core.guardrails.grounding",
        "workers.core.guardrails.matching",
        "workers.core.guardrails.packs",
        "workers.core.playbook",
        "workers.core.text",
    },
    "workers.core.intake": {
        "schemas",
        "workers.core",
        "workers.core.common",
        "workers.core.intake.canonical",
        "workers.core.intake.formats",
        "workers.core.stream",
    },
    "workers.core.triggers": {
        "schemas",
        "workers.core.catalogue",
        "workers.core.common",
        "workers.core.partition",
        "workers.core.playbook",
        "workers.core.profile",
    },
    "workers.core.guardrails": {
        "schemas",
        "workers.core.common",
        "workers.core.guardrails.checks",
        "workers.core.guardrails.grounding",
        "workers.core.guardrails.packs",
        "workers.core.playbook",
        "workers.core.text",
    },
    "workers.core.generation": {
        "schemas",
        "workers.core.catalogue",
        "workers.core.common",
        "workers.core.experimentation",
        "workers.core.guardrails",
        "workers.core.guardrails.checks",
        "workers.core.guardrails.grounding",
        "workers.core.playbook",
        "workers.core.profile",
        "workers.core.resilience",
        "workers.core.text",
    },
    "workers.core.generation.evaluation": {
        "schemas",
        "workers.core.catalogue",
        "workers.core.experimentation",
        "workers.core.generation",
        "workers.core.guardrails",
        "workers.core.playbook",
    },
    "workers.core.generation.pool": {
        "schemas",
        "workers.core.catalogue",
        "workers.core.experimentation",
        "workers.core.generation",
        "workers.core.guardrails",
        "workers.core.guardrails.checks",
        "workers.core.playbook",
        "workers.core.stream",
        "workers.core.text",
    },
    "workers.core.publishing": {
        "schemas",
        "workers.core.catalogue",
        "workers.core.common",
        "workers.core.decisioning",
        "workers.core.experimentation",
        "workers.core.generation",
        "workers.core.guardrails",
        "workers.core.playbook",
        "workers.core.profile",
        "workers.core.text",
        "workers.core.triggers",
    },
    "workers.core.personalisation": {
        "schemas",
        "workers.core",
        "workers.core.catalogue",
        "workers.core.common",
        "workers.core.decisioning",
        "workers.core.generation",
        "workers.core.guardrails",
        "workers.core.partition",
        "workers.core.playbook",
        "workers.core.profile",
        "workers.core.publishing",
        "workers.core.segments",
        "workers.core.stream",
        "workers.core.text",
        "workers.core.triggers",
    },
    "workers.core.reporting": {
        "schemas",
        "workers.core",
        "workers.core.attribution",
        "workers.core.common",
        "workers.core.experimentation",
        "workers.core.personalisation",
        "workers.core.playbook",
        "workers.core.profile",
        "workers.core.stream",
    },
    # -- What touches the outside
    "workers.adapters": {
        "workers.core",
        "workers.delivery",
        "workers.delivery.transports",
        "workers.secrets",
        "workers.settings",
    },
    "workers.adapters.kafka": {
        "schemas",
        "workers.adapters.process",
        "workers.core",
        "workers.core.decisioning",
        "workers.core.generation.pool",
        "workers.core.publishing",
        "workers.core.stream",
        "workers.secrets",
        "workers.settings",
    },
    "workers.adapters.lanes": {
        "schemas",
        "workers.adapters.kafka",
        "workers.adapters.observability",
        "workers.adapters.process",
        "workers.adapters.state",
        "workers.core",
        "workers.core.common",
        "workers.core.partition",
        "workers.core.personalisation",
        "workers.core.stream",
        "workers.secrets",
        "workers.settings",
    },
    "workers.adapters.claims": {
        "workers.adapters.llm",
        "workers.core",
        "workers.core.guardrails",
        "workers.core.guardrails.grounding",
        "workers.core.playbook",
    },
    "workers.adapters.llm": {
        "workers.adapters.observability",
        "workers.adapters.process",
        "workers.core",
        "workers.core.generation",
        "workers.core.guardrails.checks",
        "workers.core.resilience",
        "workers.core.stream",
        "workers.delivery",
        "workers.secrets",
        "workers.settings",
    },
    "workers.adapters.observability": {
        "workers.adapters.process",
        "workers.core",
        "workers.core.generation",
        "workers.core.stream",
        "workers.secrets",
        "workers.settings",
    },
    "workers.adapters.playbook": {
        "schemas",
        "workers.adapters.playbook.checks",
        "workers.adapters.playbook.documents",
        "workers.core",
        "workers.core.playbook",
        "workers.private_files",
        "workers.settings",
    },
    "workers.adapters.playbook.checks": {
        "schemas",
        "workers.adapters.playbook.documents",
        "workers.core.catalogue",
        "workers.core.experimentation",
        "workers.core.generation",
        "workers.core.guardrails",
        "workers.core.guardrails.packs",
        "workers.core.playbook",
        "workers.core.publishing",
        "workers.core.segments",
        "workers.core.text",
        "workers.core.triggers",
    },
    "workers.adapters.playbook.documents": {"schemas", "workers.core.playbook"},
    "workers.adapters.process": {"workers.core", "workers.core.stream"},
    "workers.adapters.sources": {
        "schemas",
        "workers.adapters.kafka",
        "workers.adapters.process",
        "workers.core",
        "workers.core.intake",
        "workers.core.intake.canonical",
        "workers.core.intake.formats",
        "workers.core.partition",
        "workers.core.personalisation",
        "workers.core.simulation",
        "workers.core.stream",
        "workers.settings",
    },
    "workers.adapters.state": {
        "workers.adapters.kafka",
        "workers.adapters.process",
        "workers.core",
        "workers.core.partition",
        "workers.core.personalisation",
        "workers.core.profile",
        "workers.private_files",
        "workers.settings",
    },
    # -- Other teams copy it: nothing else of ours may be needed
    "workers.delivery": {"schemas"},
    "workers.delivery.transports": {"schemas", "workers.delivery"},
    # -- What runs
    "workers.roles": {
        "schemas",
        "workers.adapters",
        "workers.adapters.kafka",
        "workers.adapters.lanes",
        "workers.adapters.observability",
        "workers.adapters.process",
        "workers.core",
        "workers.core.attribution",
        "workers.core.decisioning",
        "workers.core.generation",
        "workers.core.generation.pool",
        "workers.core.intake",
        "workers.core.partition",
        "workers.core.personalisation",
        "workers.core.playbook",
        "workers.core.profile",
        "workers.core.resilience",
        "workers.core.stream",
        "workers.delivery",
        "workers.settings",
        "workers.core.guardrails",
    },
    "workers.training": {
        "workers.core",
        "schemas",
        "workers.adapters.claims",
        "workers.core.generation",
        "workers.core.guardrails.checks",
        "workers.core.guardrails.grounding",
        "workers.core.playbook",
    },
    "workers.local": {
        "infra",
        "infra.kafka",
        "infra.llm",
        "workers.adapters.kafka",
        "workers.adapters.process",
        "workers.core",
        "workers.private_files",
        "workers.settings",
        "workers.settings_loader",
    },
    "workers.commands": {"workers.core"},
    "workers.commands.content": {
        "schemas",
        "workers.adapters.kafka",
        "workers.adapters.llm",
        "workers.adapters.observability",
        "workers.adapters.playbook",
        "workers.adapters.playbook.checks",
        "workers.adapters.process",
        "workers.commands",
        "workers.core",
        "workers.core.catalogue",
        "workers.core.common",
        "workers.core.decisioning",
        "workers.core.generation",
        "workers.core.generation.evaluation",
        "workers.core.generation.pool",
        "workers.core.guardrails",
        "workers.core.guardrails.checks",
        "workers.core.playbook",
        "workers.core.publishing",
        "workers.core.reporting",
        "workers.core.text",
        "workers.local",
        "workers.main",
        "workers.settings",
        "workers.settings_loader",
        "workers.adapters.claims",
        "workers.training",
    },
    "workers.commands.inspect": {
        "schemas",
        "workers.adapters.kafka",
        "workers.adapters.playbook",
        "workers.adapters.process",
        "workers.adapters.state",
        "workers.commands",
        "workers.core",
        "workers.core.common",
        "workers.core.decisioning",
        "workers.core.experimentation",
        "workers.core.personalisation",
        "workers.core.playbook",
        "workers.core.reporting",
        "workers.core.stream",
        "workers.local",
        "workers.settings",
    },
    "workers.commands.operate": {
        "schemas",
        "workers.adapters.kafka",
        "workers.adapters.playbook",
        "workers.adapters.process",
        "workers.commands",
        "workers.core",
        "workers.core.common",
        "workers.core.decisioning",
        "workers.local",
        "workers.settings",
        "workers.settings_loader",
    },
    "workers.commands.run": {
        "schemas",
        "workers.adapters",
        "workers.adapters.kafka",
        "workers.adapters.playbook",
        "workers.adapters.process",
        "workers.adapters.sources",
        "workers.commands",
        "workers.commands.inspect",
        "workers.core",
        "workers.core.experimentation",
        "workers.core.personalisation",
        "workers.core.playbook",
        "workers.core.reporting",
        "workers.core.simulation",
        "workers.core.stream",
        "workers.local",
        "workers.main",
        "workers.private_files",
        "workers.settings",
        "workers.settings_loader",
    },
    # -- Servers of the embedded installation
    "infra": {"workers.private_files"},
    "infra.docs": set(),
    "infra.kafka": {"infra", "workers.core", "workers.private_files", "workers.settings"},
    "infra.llm": {"infra", "workers.core", "workers.private_files", "workers.secrets", "workers.settings"},
    "infra.vllm": {"infra.llm", "workers.core", "workers.private_files"},
}
#: The composition root and the entry point: they see everything.
MAY_IMPORT_ANYTHING = {"workers.main", "workers.cli"}
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


PATHS = dict(modules())


def folder_of(module: str) -> str:
    """The row of MAY_IMPORT in which a module stands."""
    if PATHS[module].name == "__init__.py" or module in MAY_IMPORT or module in MAY_IMPORT_ANYTHING:
        return module
    return module.rpartition(".")[0]


def imported_from(module: str) -> set[str]:
    """The folders of ours that a module imports from, `tests` and `benchmarks` among them."""
    found = set()
    for node in ast.walk(ast.parse(PATHS[module].read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            known = next((one for one in (name, name.rpartition(".")[0]) if one in PATHS), None)
            if known is not None:
                found.add(folder_of(known))
            elif name.split(".")[0] in ("schemas", "workers", "infra", "tests", "benchmarks"):
                found.add(name)
    return found - {folder_of(module)}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


BY_FOLDER: dict[str, list[str]] = {}
for _module in PATHS:
    BY_FOLDER.setdefault(folder_of(_module), []).append(_module)
#: Folders without code of their own, whose only line says what is in them.
BARE = {"workers", "infra.grafana", "infra.setup"}


def test_every_folder_has_its_row() -> None:
    assert BY_FOLDER.keys() - BARE == MAY_IMPORT.keys() | MAY_IMPORT_ANYTHING
    assert len(PATHS) > 300


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_what_its_row_allows_and_nothing_else(folder: str) -> None:
    found = set[str]().union(*map(imported_from, BY_FOLDER[folder]))
    assert found - MAY_IMPORT[folder] == set(), "is not allowed"
    assert MAY_IMPORT[folder] - found == set(), "is allowed and not needed"


def test_no_two_folders_need_each_other() -> None:
    done: set[str] = set()
    while ready := {folder for folder in MAY_IMPORT.keys() - done if MAY_IMPORT[folder] - MAY_IMPORT_ANYTHING <= done}:
        done |= ready
    assert MAY_IMPORT.keys() - done == set(), "these stand in a circle, or behind one"


def test_only_the_local_installation_knows_infra() -> None:
    assert {folder for folder, allowed in MAY_IMPORT.items() if any(is_in(one, "infra") for one in allowed)} <= {
        "workers.local",
        *(folder for folder in MAY_IMPORT if is_in(folder, "infra")),
    }


def test_the_core_has_nothing_at_its_top_but_its_errors() -> None:
    top = {module for module in BY_FOLDER["workers.core"] if module != "workers.core"}
    assert top == {"workers.core.errors"}


@pytest.mark.parametrize(
    "folder", [folder for folder in BY_FOLDER if (ROOT / folder.replace(".", "/") / "__init__.py").exists()]
)
def test_a_folder_says_its_purpose_in_a_line(folder: str) -> None:
    tree = ast.parse((ROOT / folder.replace(".", "/") / "__init__.py").read_text())
    purpose = (ast.get_docstring(tree) or "").splitlines()
    assert purpose, "it says nothing"
    assert len(purpose[0]) <= 130


@pytest.mark.parametrize("module", [module for module, _ in modules() if is_in(module, "workers.core")])
def test_the_core_touches_nothing_outside(module: str) -> None:
    path = PATHS[module]
    assert {name.split(".")[0] for name in imports(path)} & FORBIDDEN_IN_CORE == set()


def test_a_process_is_ended_hard_in_one_place_and_private_names_of_the_library_are_used_in_one() -> None:
    found = {
        what: {module for module, path in modules() if what in path.read_text()}
        for what in ("os._exit(", "from re import _")
    }
    assert found == {
        "os._exit(": {"workers.adapters.process.termination", "infra.llm.server"},
        "from re import _": {"workers.core.guardrails.matching.required_literals"},
    }


def test_only_the_composition_root_imports_roles() -> None:
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
    named = {name for module in ROLE_MODULES[role] for name in topic_names_in(PATHS[module])}
    assert named, "the role names its topics"
    assert [name for name in sorted(named) if role not in BY_NAME[name].writers + BY_NAME[name].readers] == []


def test_every_topic_is_written_by_somebody() -> None:
    assert [topic.name for topic in TOPICS if not topic.writers] == []


def test_every_metric_of_the_catalogue_has_a_typed_name_and_no_other() -> None:
    typed = {"counter": CounterName, "gauge": GaugeName, "histogram": HistogramName}
    for kind, names in typed.items():
        assert sorted(get_args(names)) == sorted(row.short for row in CATALOGUE if row.kind == kind)


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
