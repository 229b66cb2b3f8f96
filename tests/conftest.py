"""Fixtures of every test: one real Kafka a session, one installation of its own a test."""

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

# How long an example takes depends on the machine and on what else runs there.
hypothesis.settings.register_profile("attune", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("attune")

#: mark → the programs without which its tests cannot run, and what they are
PROGRAMS = {
    "kafka": (("java", "mvn"), "a real Kafka"),
    "node": (("node", "npm"), "the sender in TypeScript, and the types of all languages"),
    "javac": (("javac", "mvn"), "the sender in Java"),
    "go": (("go",), "the sender in Go"),
    "prometheus": (("prometheus", "promtool"), "a real Prometheus"),
}


#: Files that take minutes, longest first: begun last, one of them would run alone at the end while the other processes wait.
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
    """Begins with the longest files; tests without their programs are skipped by name, but in CI they must run."""
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
    """A running broker, shared by the session: tests keep apart by their prefix."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def checked_playbooks() -> Path:
    """What says that the shipped playbooks have been checked, so that not each process of each test does it again."""
    for folder in (SMART_DEVICES, REES46):
        playbook(folder)
    return CHECKED


@pytest.fixture
def settings(kafka: EmbeddedKafka, checked_playbooks: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """An installation of its own on the session's Kafka: unique prefix, own data folder, environment left out."""
    shutil.copytree(checked_playbooks, tmp_path / "data" / "checked")
    name = f"{request.node.nodeid}{os.getpid()}"
    prefix = f"t{hashlib.sha256(name.encode()).hexdigest()[:10]}."
    return Settings(brokers=kafka.bootstrap, prefix=prefix, data_dir=str(tmp_path / "data"))
