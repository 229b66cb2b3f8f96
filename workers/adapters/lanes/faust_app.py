"""The Faust app of a role: Faust handles membership, assignment and agents; everything else is switched off."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import faust

from workers.adapters.lanes.faust_transport import TransportMaker, install
from workers.adapters.process.watchdog import Watchdog
from workers.secrets import reveal
from workers.settings import Settings

#: Limit of the fetched records that one process holds until they are taken, over all partitions [bytes].
_FETCHED_BYTES = 128 << 20
#: Bounds of one partition's share: never less than the largest record that a broker accepts by default [bytes].
_MIN_FETCH, _MAX_FETCH = 1 << 20, 4 << 20
#: The maximum number of topics that a role reads.
_MAX_SOURCES = 4


class Worker(faust.Worker):
    """Faust's process: signals, start and stop, supervised by a watchdog. workers.main sets up logging, not Faust."""

    def __init__(
        self, app: faust.App, *, watchdog: Watchdog | None = None, quiet: bool = True, redirect_stdouts: bool = False
    ) -> None:
        super().__init__(app, quiet=quiet, redirect_stdouts=redirect_stdouts)
        self.spinner = None  # its escape sequences would end up in the log
        self._watchdog = watchdog

    async def on_first_start(self) -> None:
        """Starts the watchdog: the event loop runs by now, and must respond from here on."""
        if self._watchdog is not None:
            self._watchdog.watch(asyncio.get_running_loop())
        await super().on_first_start()

    async def stop(self) -> None:
        """Lets transactions finish, within the watchdog's limit.

        Does not wait for work outside transactions (texts being generated): it is not acknowledged, so the next owner does it.
        """
        if self._watchdog is not None:
            self._watchdog.stopping()
        self.app.conf.stream_wait_empty = False
        await super().stop()

    def _setup_logging(self) -> None:
        """Does nothing: we set handlers and levels ourselves."""


def make_app(
    settings: Settings, role: str, transport: TransportMaker, *, wait_empty: bool, linger_s: float = 0.0
) -> faust.App:
    """Returns an app whose topics carry bytes, and which creates no topics, opens no port and reads committed records only.

    `wait_empty`: before partitions are revoked, Faust waits for events that an agent has not acknowledged. `linger_s`: the
    time for which the producer gathers records for one request [s].
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
        producer_linger=linger_s,
        # aiokafka permanently removes a member from the group if it fetches nothing for this long, for example during a
        # restore, or without partitions.
        broker_max_poll_interval=365 * 86_400.0,
        broker_max_poll_records=settings.batch_records * 2,
        consumer_max_fetch_size=_fetch_bytes(settings.partitions),
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=f"{settings.prefix}{role}-{settings.instance}" if settings.instance else None,
        worker_redirect_stdouts=False,
    )
    install(app, transport)
    return app


def _fetch_bytes(partitions: int) -> int:
    """Returns how much one partition may return per fetch, so that all of them together stay within bounds [bytes].

    >>> [_fetch_bytes(partitions) >> 20 for partitions in (4, 16, 256)]
    [4, 2, 1]
    """
    return min(max(_FETCHED_BYTES // (_MAX_SOURCES * partitions), _MIN_FETCH), _MAX_FETCH)


def raw_topic(app: faust.App, name: str) -> faust.TopicT:
    """Returns a topic that carries bytes: our own code decodes them, so that a bad record cannot stop a stream."""
    return app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")


def _credentials(settings: Settings) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """Returns TLS if a certificate authority is set, plus SCRAM if a user is set; never a plain-text password (see settings)."""
    if not settings.kafka.ca:
        return None
    context = ssl.create_default_context(cafile=settings.kafka.ca)
    if not settings.kafka.user:
        return faust.SSLCredentials(context)
    return faust.SASLCredentials(
        username=settings.kafka.user,
        password=reveal(settings.kafka.password),
        mechanism="SCRAM-SHA-512",
        ssl_context=context,
    )
