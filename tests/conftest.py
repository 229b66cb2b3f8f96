"""Fixtures of every test: one real Kafka a session, one installation of its own a test."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.kafka.embedded import EmbeddedKafka
from workers.settings import Settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without Java or Maven the tests on a real broker are skipped by name; in CI they must run."""
    missing = [program for program in ("java", "mvn") if shutil.which(program) is None]
    if not missing or os.environ.get("CI") == "true":
        return
    skip = pytest.mark.skip(reason=f"needs {' and '.join(missing)} (a real Kafka)")
    for item in items:
        if item.get_closest_marker("kafka"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A running broker, shared by the session: tests keep apart by their prefix."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def settings(kafka: EmbeddedKafka, tmp_path: Path, request: pytest.FixtureRequest) -> Settings:
    """An installation of its own on the session's Kafka: unique prefix, own data folder, environment left out."""
    name = f"{request.node.nodeid}{os.getpid()}"
    prefix = f"t{hashlib.sha256(name.encode()).hexdigest()[:10]}."
    return Settings(brokers=kafka.bootstrap, prefix=prefix, data_dir=str(tmp_path / "data"))
