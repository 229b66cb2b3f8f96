"""The topic tool on a real broker: it creates, repairs, refuses, and never mixes installations."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kafka.admin import ConfigResource, KafkaAdminClient

from schemas.topics import TOPICS
from tests.support.waiting import wait_until
from workers.adapters.kafka import topic_admin
from workers.adapters.kafka.config import client_config, kafka_python_config
from workers.adapters.kafka.topic_plan import TopicRow
from workers.commands.operate.topics import topics
from workers.core.errors import Misconfigured, Unavailable
from workers.settings import Settings, to_environment

pytestmark = pytest.mark.kafka


@contextmanager
def admin(settings: Settings) -> Iterator[Any]:
    client = KafkaAdminClient(**kafka_python_config(settings))
    try:
        yield client
    finally:
        client.close()


def partitions(settings: Settings) -> dict[str, list[Any]]:
    """Topic → its partitions, of this installation."""
    with admin(settings) as client:
        found = client.describe_topics()
    return {topic["name"]: topic["partitions"] for topic in found if topic["name"].startswith(settings.prefix)}


def create(settings: Settings, name: str, count: int) -> None:
    with admin(settings) as client:
        specification = {settings.topic(name): {"num_partitions": count, "replication_factor": 1}}
        client.create_topics(specification, wait_for_metadata=True)


def set_config(settings: Settings, name: str, key: str, value: str) -> None:
    """Returns when the broker shows the new value."""
    topic = settings.topic(name)

    def seen() -> bool:
        found = client.describe_configs([ConfigResource("TOPIC", topic, [key])], config_filter="all")
        return bool(found["topic"][topic][key]["value"] == value)

    with admin(settings) as client:
        client.alter_configs([ConfigResource("TOPIC", topic, {key: value})])
        wait_until(seen, 10, f"{topic}: {key} = {value}")


def row(rows: list[TopicRow], settings: Settings, name: str) -> TopicRow:
    return next(row for row in rows if row.topic.name == settings.topic(name))


def states(settings: Settings) -> set[str]:
    return {row.state for row in topic_admin.show(settings)}


def test_apply_creates_everything_with_leaders_and_a_second_apply_changes_nothing(settings: Settings) -> None:
    assert states(settings) == {"missing"}
    assert {row.state for row in topic_admin.apply(settings)} == {"missing"}
    found = partitions(settings)
    for topic in topic_admin.wanted(settings):
        assert len(found[topic.name]) == topic.partitions
        assert all(partition["leader_id"] >= 0 for partition in found[topic.name])
    assert {row.state for row in topic_admin.apply(settings)} == {"ok"}
    assert states(settings) == {"ok"}


def test_customer_topics_share_the_partition_count_and_the_others_have_one(settings: Settings) -> None:
    settings = settings.changed(partitions=6)
    counts = {topic.name: topic.partitions for topic in topic_admin.wanted(settings)}
    for topic in TOPICS:
        assert counts[settings.topic(topic.name)] == (6 if topic.partitioning == "customer" else 1)
    assert counts[settings.topic("shop.events")] == 6


def test_every_channel_gets_its_topic(settings: Settings) -> None:
    wanted = {topic.name for topic in topic_admin.wanted(settings, ("post",))}
    assert settings.topic("messages.post") in wanted
    assert settings.topic("messages.email") not in wanted


def test_drifted_retention_and_compaction_are_seen_and_repaired(settings: Settings) -> None:
    topic_admin.apply(settings)
    set_config(settings, "customer.events", "retention.ms", "1000")
    set_config(settings, "customer.profiles", "cleanup.policy", "delete")
    rows = topic_admin.show(settings)
    drifted = row(rows, settings, "customer.events")
    assert drifted.state == "drift"
    assert [difference.what for difference in drifted.differences] == ["retention.ms is 1000, not 604800000"]
    assert row(rows, settings, "customer.profiles").alter == {"cleanup.policy": "compact"}
    assert {row.state for row in rows} == {"ok", "drift"}
    topic_admin.apply(settings)
    assert states(settings) == {"ok"}


def test_the_order_of_cleanup_policies_is_no_drift(settings: Settings) -> None:
    topic_admin.apply(settings)
    set_config(settings, "feedback.metrics", "cleanup.policy", "delete,compact")
    assert states(settings) == {"ok"}


def test_a_wrong_partition_count_is_refused_and_nothing_is_changed(settings: Settings) -> None:
    create(settings, "customer.events", 3)
    found = row(topic_admin.show(settings), settings, "customer.events")
    assert found.state == "drift"
    assert found.differences[0].what == "3 partitions, not 4"
    with pytest.raises(
        Misconfigured, match=r"3 partitions, not 4 .*send customers to other partitions.*customer\.events"
    ):
        topic_admin.apply(settings)
    assert partitions(settings).keys() == {settings.topic("customer.events")}


def test_a_changed_partition_setting_is_refused_for_an_installation_that_runs(settings: Settings) -> None:
    topic_admin.apply(settings)
    with pytest.raises(Misconfigured, match="4 partitions, not 8"):
        topic_admin.apply(settings.changed(partitions=8))


def test_source_topics_belong_to_others(settings: Settings) -> None:
    create(settings, "shop.events", 9)
    settings = settings.changed(source_topics="shop.events, app.events")
    rows = topic_admin.apply(settings)
    assert row(rows, settings, "shop.events").state == "ok"
    assert row(rows, settings, "app.events").state == "missing"
    assert len(partitions(settings)[settings.topic("shop.events")]) == 9
    assert states(settings) == {"ok"}


def test_prefixes_separate_installations(settings: Settings) -> None:
    other = settings.changed(prefix=settings.prefix + "other.", partitions=2)
    topic_admin.apply(settings)
    before = partitions(settings).keys()
    assert all(not name.startswith(other.prefix) for name in before)
    topic_admin.apply(other)
    assert partitions(settings).keys() - partitions(other).keys() == before
    assert states(settings) == states(other) == {"ok"}


def test_more_copies_than_brokers_are_refused_with_the_brokers_words(settings: Settings) -> None:
    with pytest.raises(Misconfigured, match="replication factor of 3 cannot be reached"):
        topic_admin.apply(settings.changed(replication=3))


def test_fewer_copies_than_wanted_are_drift(settings: Settings) -> None:
    topic_admin.apply(settings)
    with pytest.raises(Misconfigured, match="1 copies, not 3"):
        topic_admin.apply(settings.changed(replication=3))


def test_a_name_that_kafka_does_not_allow_is_refused(settings: Settings) -> None:
    with pytest.raises(Misconfigured, match="InvalidTopic"):
        topic_admin.apply(settings.changed(source_topics="shop events"))


def test_a_broker_that_is_down_is_told_within_ten_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    started_s = time.monotonic()
    with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{port} does not answer.*is it up"):
        topic_admin.show(Settings(brokers=f"127.0.0.1:{port}"))
    assert time.monotonic() - started_s < 12


def test_the_client_settings_follow_the_security_settings(tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.touch()
    plain = Settings(brokers="a:1, b:2")
    named = {name: value for name, value in client_config(plain).items() if not name.startswith("reconnect.")}
    assert named == {"bootstrap.servers": "a:1,b:2", "security.protocol": "PLAINTEXT"}
    secure = Settings().changed(brokers="a:1", kafka_ca=str(authorities), kafka_user="u", kafka_password="p")  # noqa: S106 - made up
    assert client_config(secure)["security.protocol"] == "SASL_SSL"
    assert client_config(secure)["sasl.mechanism"] == "SCRAM-SHA-512"
    with pytest.raises(Misconfigured, match="there is no file"):
        client_config(Settings().changed(brokers="a:1", kafka_ca=str(tmp_path / "missing.pem")))
    with pytest.raises(Misconfigured, match="not an address"):
        client_config(Settings())


def test_the_command_applies_shows_and_fails_on_drift(settings: Settings) -> None:
    runner = CliRunner(env=to_environment(settings))
    missing = runner.invoke(topics, ["show", "--json"])
    assert missing.exit_code == 1
    assert {line["state"] for line in json.loads(missing.stdout)} == {"missing"}
    assert runner.invoke(topics, ["apply"]).exit_code == 0
    shown = runner.invoke(topics, ["show"])
    assert shown.exit_code == 0, shown.output
    assert settings.topic("customer.events") in shown.stdout
    set_config(settings, "customer.events", "retention.ms", "1000")
    drifted = runner.invoke(topics, ["show", "--json"])
    assert drifted.exit_code == 1
    found = next(line for line in json.loads(drifted.stdout) if line["state"] == "drift")
    assert found["differences"] == [{"what": "retention.ms is 1000, not 604800000", "refused": ""}]
