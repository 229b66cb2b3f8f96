"""Defines the configuration of the embedded broker: one node that is broker and controller, on loopback only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"


class Forwarded(NamedTuple):
    """A listener on loopback `port` that clients reach through a proxy at `advertised` (host:port)."""

    port: int
    advertised: str


def server_properties(
    data: Path, port: int, controller_port: int, forwarded: Forwarded | None = None
) -> dict[str, str]:
    """Returns the content of Kafka's `server.properties`. `data` is absolute; all ports are on loopback.

    Internal topics have one replica and few partitions: each one adds a few milliseconds to the start. Topics are not created
    automatically: writing to an unknown topic is an error.
    """
    listeners = advertised = f"BROKER://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}"
    protocols = "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT"
    if forwarded is not None:
        listeners += f",FORWARDED://{HOST}:{forwarded.port}"
        advertised += f",FORWARDED://{forwarded.advertised}"
        protocols += ",FORWARDED:PLAINTEXT"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "BROKER",
        "listeners": listeners,
        "advertised.listeners": advertised,
        "listener.security.protocol.map": protocols,
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "group.initial.rebalance.delay.ms": "100",
        # After a kill the controller waits this long (default 9 s) before it accepts the same broker again.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "500",
        # The cleaner's default of 128 MB is a quarter of the heap; 16 MB still holds 600,000 keys per pass.
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "metric.reporters": "",
    }


def render(properties: Mapping[str, str]) -> str:
    """Returns the text of a Java properties file; backslashes are escaped.

    >>> render({"log.dirs": "/a b", "x": "c"})
    'log.dirs=/a b\\nx=c\\n'
    """
    return "".join(f"{name}={value}\n".replace("\\", "\\\\") for name, value in properties.items())
