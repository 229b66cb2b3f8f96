"""The Faust app of a role: what Faust keeps (membership, assignment, agents) and what is switched off."""

from __future__ import annotations

import ssl
from pathlib import Path

import faust

from workers.adapters.faust_lanes import CommittedTransport, install
from workers.settings import Settings


class Worker(faust.Worker):
    """Faust's process: signals, start and stop. Logging is set up by workers.main, not by Faust."""

    def _setup_logging(self) -> None:
        """Nothing: handlers and levels are ours."""


def make_app(settings: Settings, role: str, transport: type[CommittedTransport], *, wait_empty: bool) -> faust.App:
    """An app whose topics carry bytes, that creates no topic, opens no port and reads committed records only.

    `wait_empty`: before partitions go, Faust waits for events that an agent has not acknowledged.
    """
    datadir = Path(settings.data_dir).resolve() / "faust"
    datadir.mkdir(parents=True, exist_ok=True)
    app = faust.App(
        f"{settings.prefix}{role}",
        broker=";".join(f"kafka://{address}" for address in settings.brokers.split(",")),
        broker_credentials=_credentials(settings),
        autodiscover=False,
        datadir=str(datadir / f"{settings.prefix}{role}"),
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        stream_wait_empty=wait_empty,
        stream_buffer_maxsize=512,
        stream_publish_on_commit=False,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 10,
        broker_commit_interval=settings.commit_interval_s,
        broker_max_poll_records=settings.batch_records * 2,
        consumer_max_fetch_size=4 << 20,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"{settings.prefix}{role}-{settings.instance}" if settings.instance else None,
        worker_redirect_stdouts=False,
    )
    install(app, transport)
    return app


def raw_topic(app: faust.App, name: str) -> faust.TopicT:
    """A topic that carries bytes: we decode them, so that a bad record cannot stop a stream."""
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def _credentials(settings: Settings) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """TLS when a certificate authority is set, SCRAM on top when a user is; never a password in plain text (settings)."""
    if not settings.kafka_ca:
        return None
    context = ssl.create_default_context(cafile=settings.kafka_ca)
    if not settings.kafka_user:
        return faust.SSLCredentials(context)
    return faust.SASLCredentials(
        username=settings.kafka_user,
        password=settings.kafka_password,
        mechanism="SCRAM-SHA-512",
        ssl_context=context,
    )
