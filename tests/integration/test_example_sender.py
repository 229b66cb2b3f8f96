"""The sender to copy from, as a process between a real Kafka and a real mail server or HTTP gateway, killed where it hurts."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from schemas import codec
from schemas.messages import CallToAction, Cancellation, Feedback, Message, Provenance
from tests.support.mail import BoundController, bound
from tests.support.waiting import wait_until
from tests.support.workers import ROOT, prepare, produce, read
from workers.adapters.kafka.partitioner import partition_of
from workers.delivery.addresses import SCHEMA
from workers.settings import Settings

pytestmark = pytest.mark.kafka

PRIVATE_WORDS = "words that no log may hold"
KNOWN = ("ana", "bo", "gone", "grey")


class MailServer:
    """A real SMTP server that keeps what it accepts; `gone@` does not exist, `grey@` has to come twice."""

    def __init__(self, held: socket.socket | None = None) -> None:
        self.mails: list[str] = []
        self.arrived: list[datetime] = []
        self.on_data: Callable[[], None] = lambda: None
        self._greeted: set[str] = set()
        self._controller = BoundController(self, held)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._controller.port}"

    async def handle_RCPT(  # noqa: N802 # aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address.startswith("gone@"):
            return f"550 5.1.1 <{address}>: no such user"
        if address.startswith("grey@") and address not in self._greeted:
            self._greeted.add(address)
            return "451 4.7.1 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        self.arrived.append(datetime.now(UTC))
        self.mails.append(message_from_bytes(envelope.content)["X-Message-ID"])
        self.on_data()
        return "250 OK"

    def __enter__(self) -> MailServer:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


class Gateway:
    """A real HTTP gateway for push; a token `gone` is unknown, `busy` has to come twice."""

    def __init__(self) -> None:
        self.posts: list[dict[str, Any]] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                post = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                again = any(post["token"] == earlier["token"] for earlier in gateway.posts)
                gateway.posts.append(post)
                status = 410 if post["token"].startswith("gone") else 200
                if post["token"].startswith("grey") and not again:
                    status = 429
                self.send_response(status)
                self.send_header("Retry-After", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the library's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/push"

    def __enter__(self) -> Gateway:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def message(name: str, user: str = "ana", channel: str = "email", **fields: Any) -> Message:
    now = datetime.now(UTC)
    values = {
        "message_id": name,
        "idempotency_key": name,
        "user_id": user,
        "channel": channel,
        "campaign_id": "cart-abandonment",
        "locale": "en-GB",
        "title": "Hello",
        "email_subject": "Hello",
        "body": PRIVATE_WORDS,
        "cta": CallToAction(text="Look", link_url="https://shop.example/p"),
        "send_at": now,
        "expires_at": now + timedelta(hours=1),
        "unsubscribe_url": "https://shop.example/unsubscribe",
        "provenance": Provenance(decision_id="d"),
    }
    return Message(**{**values, **fields})


def publish(settings: Settings, *messages: Message) -> None:
    for one in messages:
        produce(settings, f"messages.{one.channel}", [(one.user_id.encode(), codec.encode(one))])


def cancel(settings: Settings, name: str, user: str = "ana", channel: str = "email") -> None:
    record = Cancellation(
        message_id=name, user_id=user, channel=channel, reason="converted", cancelled_at=datetime.now(UTC)
    )
    produce(settings, "message.cancellations", [(user.encode(), codec.encode(record))])


def address_book(settings: Settings, channel: str = "email") -> Path:
    """The addresses of those who are KNOWN."""
    folder = Path(settings.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(folder / "addresses.sqlite") as addresses:
        addresses.execute(SCHEMA)
        rows = [(user, channel, f"{user}@mail.example") for user in KNOWN]
        addresses.executemany("INSERT OR REPLACE INTO addresses VALUES (?, ?, ?)", rows)
    return folder / "addresses.sqlite"


def log_of(settings: Settings) -> Path:
    return Path(settings.data_dir) / "sender.log"


@contextmanager
def sender(
    settings: Settings, *arguments: str, channel: str = "email", code: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """The sender as a process; `code` replaces its entry point (to break it in a place of its own)."""
    folder, book = Path(settings.data_dir), address_book(settings, channel)
    command = [
        *(sys.executable, *(("-c", code) if code else ("-m", "examples.sender"))),
        *("--channel", channel, "--brokers", settings.brokers, "--prefix", settings.prefix),
        *("--ledger", str(folder / "ledger.sqlite"), "--addresses", str(book)),
        *("--backoff-s", "0.2", *arguments),
    ]
    with log_of(settings).open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "SENDER_UNSUBSCRIBE_SECRET": "a secret of the tests"},
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def reported(settings: Settings) -> dict[str, list[Feedback]]:
    """message_id → its feedback, in order."""
    found: dict[str, list[Feedback]] = {}
    for record in read(settings, "message.feedback"):
        one = codec.decode(Feedback, record.value)
        assert record.key == one.user_id.encode()
        assert record.partition == partition_of(record.key, settings.partitions)
        found.setdefault(one.message_id, []).append(one)
    return found


def wait_reported(settings: Settings, process: subprocess.Popen[bytes], *names: str) -> dict[str, list[Feedback]]:
    def done() -> dict[str, list[Feedback]] | None:
        assert process.poll() is None, log_of(settings).read_text()
        found = reported(settings)
        return found if found.keys() >= set(names) else None

    found = wait_until(done, 60, f"feedback on {names}")
    assert found is not None
    return found


def statuses(found: dict[str, list[Feedback]]) -> dict[str, list[str]]:
    return {name: [one.status for one in feedback] for name, feedback in found.items()}


def test_every_message_ends_once_and_says_how(settings: Settings) -> None:
    running = prepare(settings)
    past, soon = datetime.now(UTC) - timedelta(hours=2), datetime.now(UTC) + timedelta(hours=1)
    cancel(running, "cancelled-before")
    publish(
        running,
        *(message("good"), message("good"), message("twice", message_id="good", idempotency_key="good")),
        message("expired", send_at=past, expires_at=past + timedelta(hours=1)),
        message("unknown", user="nobody"),
        message("hard", user="gone"),
        message("grey", user="grey"),
        message("bare", unsubscribe_url=""),
        message("cancelled-before", send_at=soon, expires_at=soon + timedelta(hours=1)),
        message("cancelled-after", send_at=soon, expires_at=soon + timedelta(hours=1)),
    )
    produce(running, "messages.email", [(b"ana", b"{broken"), (b"ana", None)])
    cancel(running, "cancelled-after")
    names = ("good", "expired", "unknown", "hard", "grey", "bare", "cancelled-before", "cancelled-after")
    with MailServer() as server:
        with sender(running, "--smtp", server.address) as process:
            found = wait_reported(running, process, *names)
            publish(running, message("good"), message("last", user="bo"))
            found = wait_reported(running, process, *names, "last")
            process.terminate()
            assert process.wait(30) == 0
        assert Counter(server.mails) == {"good": 1, "grey": 1, "last": 1}
    assert statuses(found) == {
        "good": ["sent"],
        "last": ["sent"],
        "grey": ["sent"],
        "expired": ["skipped"],
        "unknown": ["dropped"],
        "hard": ["bounced"],
        "bare": ["failed"],
        "cancelled-before": ["skipped"],
        "cancelled-after": ["skipped"],
    }
    assert found["expired"][0].abort_type == "expired"
    assert found["unknown"][0].abort_type == "missing_identifier"
    assert (found["hard"][0].bounce_type, found["hard"][0].bounce_reason) == ("hard", "550 5.1.1")
    assert found["cancelled-before"][0].abort_type == found["cancelled-after"][0].abort_type == "stale"
    log = log_of(running).read_text()
    assert "message good: sent" in log
    for secret in ("mail.example", PRIVATE_WORDS):
        assert secret not in log
        assert all(secret not in codec.encode(one).decode() for feedback in found.values() for one in feedback)


def test_a_message_waits_for_its_time_through_a_crash(settings: Settings) -> None:
    running = prepare(settings)
    send_at = datetime.now(UTC) + timedelta(seconds=8)
    publish(running, message("first"), message("later", send_at=send_at, expires_at=send_at + timedelta(hours=1)))
    with MailServer() as server:
        with sender(running, "--smtp", server.address) as process:
            wait_reported(running, process, "first")
            process.kill()
        with sender(running, "--smtp", server.address) as process:
            found = wait_reported(running, process, "later")
        assert server.mails == ["first", "later"]
        assert server.arrived[1] >= send_at
    assert statuses(found) == {"first": ["sent"], "later": ["sent"]}


#: options of the sender → what a kill -9 between sending and remembering makes of the message: mails, status
CRASHES = {
    "silence": ((), 1, "failed"),
    "counterpart: sent again on demand": (("--after-crash", "resend"), 2, "sent"),
    "counterpart: without a durable ledger": (("--ledger", ":memory:"), 2, "sent"),
}


@pytest.mark.parametrize("case", list(CRASHES))
def test_killed_while_the_server_takes_the_mail(settings: Settings, case: str) -> None:
    options, mails, status = CRASHES[case]
    running = prepare(settings)
    publish(running, message("m"))
    with MailServer() as server:
        with sender(running, "--smtp", server.address, *options) as process:
            server.on_data = lambda: os.kill(process.pid, signal.SIGKILL)  # the mail is taken, nobody hears of it
            assert process.wait(60) == -signal.SIGKILL
        server.on_data = lambda: None
        with sender(running, "--smtp", server.address, *options) as process:
            publish(running, message("last", user="bo"))
            found = wait_reported(running, process, "m", "last")
        assert Counter(server.mails) == {"m": mails, "last": 1}
    assert statuses(found) == {"m": [status], "last": ["sent"]}


DIES_BEFORE_COMMIT = """
import os, signal
from examples.sender import __main__ as program
from workers.delivery import inbox
inbox.Inbox.commit = lambda self, *, wait=False: self._read and os.kill(os.getpid(), signal.SIGKILL)
program.main()
"""


@pytest.mark.parametrize(("options", "mails"), [((), 1), (("--ledger", ":memory:"), 2)], ids=["ledger", "counterpart"])
def test_killed_between_sending_and_committing(settings: Settings, options: tuple[str, ...], mails: int) -> None:
    running = prepare(settings)
    publish(running, message("m"))
    with MailServer() as server:
        with sender(running, "--smtp", server.address, *options, code=DIES_BEFORE_COMMIT) as process:
            assert process.wait(60) == -signal.SIGKILL
        assert statuses(reported(running)) == {"m": ["sent"]}, "it had been sent and reported"
        with sender(running, "--smtp", server.address, *options) as process:
            publish(running, message("last", user="bo"))
            found = wait_reported(running, process, "last")
        assert Counter(server.mails) == {"m": mails, "last": 1}
    assert len({one.event_id for one in found["m"]}) == 1, "said twice, it is one fact"


def test_a_mail_server_that_was_down_gets_each_mail_once(settings: Settings) -> None:
    running = prepare(settings)
    publish(running, *(message(f"m{number}") for number in range(3)))
    held = bound()
    port = held.getsockname()[1]
    with sender(running, "--smtp", f"127.0.0.1:{port}") as process:
        wait_until(
            lambda: "postponed (ConnectionRefusedError)" in log_of(running).read_text(), 60, "a refused connection"
        )
        with MailServer(held) as server:
            found = wait_reported(running, process, "m0", "m1", "m2")
        publish(running, message("last"))  # the connection that the sender holds is dead by now
        with MailServer(bound(port)) as restarted:
            found = wait_reported(running, process, "last")
        assert (Counter(server.mails), restarted.mails) == ({"m0": 1, "m1": 1, "m2": 1}, ["last"])
    assert statuses(found) == {name: ["sent"] for name in ("m0", "m1", "m2", "last")}


def test_processes_share_the_work_and_two_of_one_name_do_not(settings: Settings) -> None:
    running = prepare(settings)
    names = [f"m{number}" for number in range(60)]
    users = [f"u{number}" for number in range(20)]
    publish(running, message("first"))
    with MailServer() as server, sender(running, "--smtp", server.address) as zero:
        wait_reported(running, zero, "first")
        with sender(running, "--smtp", server.address, "--instance", "1") as one:
            values = [message(name, user=users[number % 20]) for number, name in enumerate(names)]
            produce(running, "messages.email", [(value.user_id.encode(), codec.encode(value)) for value in values])
            found = wait_reported(running, zero, *names)
            assert one.poll() is None
        assert Counter(status for of in statuses(found).values() for status in of) == {"dropped": 60, "sent": 1}
        with sender(running, "--smtp", server.address):
            assert zero.wait(60) == 1
    assert "fenced" in log_of(running).read_text()


def test_push_goes_through_a_gateway(settings: Settings) -> None:
    running = prepare(settings)
    publish(
        running,
        *(message("good", channel="push"), message("good", channel="push")),
        *(message("hard", user="gone", channel="push"), message("again", user="grey", channel="push")),
    )
    with Gateway() as gateway, sender(running, "--gateway", gateway.url, channel="push") as process:
        found = wait_reported(running, process, "good", "hard", "again")
        assert Counter(post["collapse_key"] for post in gateway.posts) == {"good": 1, "hard": 1, "again": 2}
    assert statuses(found) == {"good": ["sent"], "hard": ["bounced"], "again": ["sent"]}
    good = next(post for post in gateway.posts if post["collapse_key"] == "good")
    assert (good["title"], good["body"], good["link"]) == ("Hello", PRIVATE_WORDS, "https://shop.example/p")
    assert 3000 < good["ttl_s"] <= 3600


def test_a_replay_is_sent_whatever_the_clock_says(settings: Settings) -> None:
    running = prepare(settings)
    then = datetime(2019, 11, 5, tzinfo=UTC)
    publish(running, message("old", send_at=then, expires_at=then + timedelta(hours=1)))
    publish(running, message("future", send_at=datetime(2099, 1, 1, tzinfo=UTC)))
    with MailServer() as server, sender(running, "--smtp", server.address, "--ignore-times") as process:
        found = wait_reported(running, process, "old", "future")
    assert statuses(found) == {"old": ["sent"], "future": ["sent"]}
