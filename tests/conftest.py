"""Fixtures of all tests: one real Kafka per session, one installation per test."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from infra.kafka.embedded import EmbeddedKafka
from tests.support.playbooks import CHECKED, REES46, SMART_DEVICES, playbook
from workers.settings import Settings

# The time of an example depends on the machine and its load.
hypothesis.settings.register_profile("attune", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("attune")

#: Mark → the programs that its tests need, and their purpose.
PROGRAMS = {
    "kafka": (("java", "mvn"), "a real Kafka"),
    "node": (("node", "npm"), "the sender in TypeScript, and the types of all languages"),
    "javac": (("javac", "mvn"), "the sender in Java"),
    "go": (("go",), "the sender in Go"),
    "prometheus": (("prometheus", "promtool"), "a real Prometheus"),
}


#: Files that take minutes, longest first: started last, one of them would run alone at the end while other processes are idle.
LONGEST = (
    "test_lost_past.py",
    "test_embedded_words.py",
    "test_demo.py",
    "test_delivery.py",
    "test_replay.py",
    "test_language_model.py",
    "test_llm.py",
    "test_life.py",
    "test_refusals.py",
    "test_kills.py",
    "test_comings_and_goings.py",
    "test_foreign_senders.py",
    "test_surroundings.py",
    "test_loop.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts with the longest files; tests whose programs are missing are skipped by name, but in CI they must run."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    if os.environ.get("CI") == "true":
        return
    for mark, (programs, what) in PROGRAMS.items():
        missing = [program for program in programs if shutil.which(program) is None]
        if not missing:
            continue
        skip = pytest.mark.skip(reason=f"needs {' and '.join(missing)} ({what})")
        for item in items:
            if item.get_closest_marker(mark):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A running broker, shared by the session: tests are separated by their prefix."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def checked_playbooks() -> Path:
    """The cache that records that the shipped playbooks have been checked, so that processes of tests do not repeat it."""
    for folder in (SMART_DEVICES, REES46):
        playbook(folder)
    return CHECKED


@pytest.fixture
def settings(kafka: EmbeddedKafka, checked_playbooks: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """A separate installation on the session's Kafka: unique prefix, own data folder, without the environment's settings."""
    shutil.copytree(checked_playbooks, tmp_path / "data" / "checked")
    name = f"{request.node.nodeid}{os.getpid()}"
    prefix = f"t{hashlib.sha256(name.encode()).hexdigest()[:10]}."
    return Settings(brokers=kafka.bootstrap, prefix=prefix, data_dir=str(tmp_path / "data"))
