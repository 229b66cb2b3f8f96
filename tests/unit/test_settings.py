"""A wrong setting stops the start, and names itself, its source and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.errors import Misconfigured
from workers.settings import Settings, load, to_environment


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "attune.toml"
    file.write_text('partitions = 8\nbatch_records = 10\nprefix = "file."\n')
    environment = {"ATTUNE_CONFIG": str(file), "ATTUNE_BATCH_RECORDS": "20", "ATTUNE_PREFIX": "env."}
    settings = load(environment, prefix="flag.")
    assert (settings.partitions, settings.batch_records, settings.prefix) == (8, 20, "flag.")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"ATTUNE_PARTITIONS": "many"}, ["ATTUNE_PARTITIONS", "partitions", "int"]),
        ({"ATTUNE_PARTITIONS": "0"}, ["ATTUNE_PARTITIONS", ">= 1"]),
        ({"ATTUNE_CLOCK": "moon"}, ["ATTUNE_CLOCK", "clock"]),
        ({"ATTUNE_PARTITION": "3"}, ["ATTUNE_PARTITION", "partitions"]),
        ({"ATTUNE_PREFIX": "a b"}, ["ATTUNE_PREFIX"]),
        ({"ATTUNE_LLM": "gpt"}, ["ATTUNE_LLM", "embedded", "http"]),
        ({"ATTUNE_KAFKA_USER": "u"}, ["kafka_password"]),
        ({"ATTUNE_KAFKA_USER": "u", "ATTUNE_KAFKA_PASSWORD": "p"}, ["kafka_ca", "plain"]),
        ({"ATTUNE_GRANT": "email"}, ["grant", "replay"]),
        ({"ATTUNE_CONFIG": "/nowhere/attune.toml"}, ["/nowhere/attune.toml"]),
    ],
)
def test_a_wrong_value_names_itself(environment: dict[str, str], words: list[str]) -> None:
    with pytest.raises(Misconfigured) as caught:
        load(environment)
    assert [word for word in words if word not in str(caught.value)] == []


def test_secrets_are_never_shown() -> None:
    settings = load({"ATTUNE_LLM_API_KEY": "sesame"})
    assert "sesame" not in repr(settings)
    assert "sesame" not in str(settings)


def test_the_environment_of_a_child_reads_back_as_the_same_settings() -> None:
    settings = load({}, partitions=6, clock="event", grant="push", llm="http://127.0.0.1:1", speedup=2.5)
    assert load(to_environment(settings)) == settings
    assert to_environment(Settings()) == {}
