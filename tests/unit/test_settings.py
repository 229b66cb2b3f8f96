"""A wrong setting stops the start, and names itself, its source and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from workers.core.errors import Misconfigured
from workers.secrets import shown
from workers.settings import Settings, to_environment
from workers.settings_loader import load


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
        ({"ATTUNE_LLM": "http://a:1,off"}, ["ATTUNE_LLM", "'off'"]),
        ({"ATTUNE_LLM": "http://a:1,"}, ["ATTUNE_LLM", "''", "commas"]),
        ({"ATTUNE_LLM": "http://"}, ["ATTUNE_LLM", "http://"]),
        ({"ATTUNE_LLM": "http://a:1/v1, http://a:1"}, ["ATTUNE_LLM", "twice"]),
        ({"ATTUNE_LLM": "https://me:pw@a", "ATTUNE_LLM_API_KEY": "k"}, ["https://a ", "llm_api_key"]),
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


def test_several_llm_servers_are_a_list_and_words_are_none() -> None:
    assert load({"ATTUNE_LLM": "http://a:1, https://b/v1"}).llm.urls == ("http://a:1", "https://b/v1")
    for word in ("embedded", "vllm-cpu", "off"):
        assert load({"ATTUNE_LLM": word}).llm.urls == ()


def test_a_password_in_a_url_is_never_shown() -> None:
    settings = load({"ATTUNE_LLM": "https://me:sesame@a,https://you:sesame@b"})
    assert "sesame" not in repr(settings)
    assert settings.printable()["llm"] == "https://a,https://b"
    assert shown("http://127.0.0.1:8080") == "http://127.0.0.1:8080"
    with pytest.raises(Misconfigured) as caught:
        load({"ATTUNE_LLM": "https://a,me:sesame@b"})
    assert "sesame" not in str(caught.value)


def test_the_environment_of_a_child_reads_back_as_the_same_settings() -> None:
    settings = load(
        {}, partitions=6, clock="event", grant="push", llm="http://a:1,http://b:1", speedup=2.5, llm_vllm_priority=True
    )
    assert load(to_environment(settings)) == settings
    assert to_environment(Settings()) == {}
