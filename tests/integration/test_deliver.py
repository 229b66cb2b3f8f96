"""The role `deliver` as a process between a real Kafka, a real mail server and a real webhook, killed where it hurts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from schemas import codec
from schemas.messages import Feedback, Message
from tests.integration.test_example_sender import (
    PRIVATE_WORDS,
    MailServer,
    address_book,
    cancel,
    message,
    publish,
    reported,
    statuses,
)
from tests.support.cli import attune
from tests.support.waiting import wait_until
from tests.support.workers import prepare, worker
from workers.delivery.transports.webhook import secret_of, signature
from workers.settings import Settings

pytestmark = pytest.mark.kafka

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 # of this test
UNSUBSCRIBE = "a secret of the tests"


class Receiver:
    """A real webhook that checks signatures; `busy` has to come again in a second, `bad` is refused for good."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.arrivals: list[tuple[float, str]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                key, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
                signed = signature(key, at, body, secret_of(SECRET)) == self.headers["webhook-signature"]
                name = codec.decode(Message, body).message_id
                again = any(name == earlier for _, earlier in receiver.arrivals)
                status = 429 if name == "busy" and not again else 422 if name == "bad" else 204
                if status == 204 and signed:
                    receiver.taken.append(name)
                self.send_response(status)
                if status == 429:
                    self.send_header("Retry-After", "1")
                receiver.arrivals.append((time.monotonic(), name))
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the library's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/send"

    def __enter__(self) -> Receiver:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def delivering(settings: Settings, mail: MailServer, sms: str = "off") -> Settings:
    return settings.changed(
        deliver_email=f"smtp://{mail.address}",
        deliver_from="The Shop <news@shop.example>",
        deliver_unsubscribe_secret=UNSUBSCRIBE,
        deliver_addresses=str(address_book(settings)),
        deliver_sms=sms,
        deliver_webhook_secret=SECRET,
    )


def log_of(settings: Settings) -> str:
    return (Path(settings.data_dir) / "deliver.log").read_text()


def deliver(settings: Settings) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return worker("deliver", settings)


def wait_for(settings: Settings, process: subprocess.Popen[bytes], *names: str) -> dict[str, list[Feedback]]:
    def done() -> dict[str, list[Feedback]]:
        assert process.poll() is None, log_of(settings)
        found = reported(settings)
        return found if found.keys() >= set(names) else {}

    return wait_until(done, 60, f"feedback on {names}")


def test_mails_and_webhooks_leave_once_and_feedback_says_it_all(settings: Settings) -> None:
    prepared = prepare(settings)
    past = datetime.now(UTC) - timedelta(hours=2)
    cancel(prepared, "wrong-mail")
    cancel(prepared, "wrong-sms", channel="sms")
    publish(
        prepared,
        *(message("mail"), message("mail"), message("hard", user="gone"), message("wrong-mail")),
        message("old-mail", send_at=past, expires_at=past + timedelta(hours=1)),
        *(message("busy", channel="sms"), message("busy", channel="sms"), message("bad", channel="sms")),
        *(message("wrong-sms", channel="sms"), message("text", channel="sms")),
        message("old-sms", channel="sms", send_at=past, expires_at=past + timedelta(hours=1)),
    )
    names = ("mail", "hard", "wrong-mail", "old-mail", "busy", "bad", "wrong-sms", "text", "old-sms")
    with MailServer() as mail, Receiver() as sms:
        running = delivering(prepared, mail, sms.url)
        with deliver(running) as process:
            wait_for(running, process, *names)
            page = wait_until(lambda: address_of(running), 30, "the address of the metrics")
            assert wait_until(lambda: fetch(f"{page}/readyz") == "ready\n", 30, "it is ready")
            metrics = fetch(f"{page}/metrics")
            process.terminate()
            assert process.wait(30) == 0, log_of(running)
        with deliver(running) as process:  # what was sent is not sent again after a restart
            publish(
                running, message("mail"), message("busy", channel="sms"), message("last"), message("end", channel="sms")
            )
            found = wait_for(running, process, *names, "last", "end")
        assert Counter(mail.mails) == {"mail": 1, "last": 1}
        assert Counter(sms.taken) == {"busy": 1, "text": 1, "end": 1}
        first = next(number for number, (_, name) in enumerate(sms.arrivals) if name == "busy")
        assert sms.arrivals[first + 1][0] >= sms.arrivals[first][0] + 1.0, "nothing of the channel leaves meanwhile"
    assert statuses(found) == {
        **{name: ["sent"] for name in ("mail", "last", "busy", "text", "end")},
        **{name: ["skipped"] for name in ("old-mail", "old-sms", "wrong-mail", "wrong-sms")},
        "hard": ["bounced"],
        "bad": ["failed"],
    }
    assert {found[name][0].abort_type for name in ("old-mail", "old-sms")} == {"expired"}
    assert {found[name][0].abort_type for name in ("wrong-mail", "wrong-sms")} == {"stale"}
    assert (found["hard"][0].bounce_type, found["bad"][0].abort_log) == ("hard", "HTTP 422")
    assert 'attune_deliveries_total{channel="email",status="bounced"} 1.0' in metrics
    assert 'attune_deliveries_total{channel="sms",status="later"} 1.0' in metrics
    for secret in ("mail.example", PRIVATE_WORDS, SECRET, UNSUBSCRIBE):
        assert secret not in log_of(running)


def address_of(settings: Settings) -> str:
    found = re.search(r"metrics on (http://\S+)/metrics", log_of(settings))
    return found[1] if found else ""


def fetch(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 # our own address
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        return str(error.read().decode())


@pytest.mark.parametrize(("ledger", "mails"), [(True, 1), (False, 2)], ids=["ledger", "counterpart: without it"])
def test_killed_while_the_server_takes_the_mail(settings: Settings, ledger: bool, mails: int) -> None:
    prepared = prepare(settings)
    publish(prepared, message("m"))
    with MailServer() as mail:
        running = delivering(prepared, mail)
        with deliver(running) as process:
            mail.on_data = lambda: os.kill(process.pid, signal.SIGKILL)  # the mail is taken, nobody hears of it
            assert process.wait(60) == -signal.SIGKILL, log_of(running)
        mail.on_data = lambda: None
        if not ledger:
            shutil.rmtree(Path(running.data_dir) / "deliver")
        with deliver(running) as process:
            publish(running, message("last", user="bo"))
            found = wait_for(running, process, "m", "last")
        assert Counter(mail.mails) == {"m": mails, "last": 1}
    assert statuses(found) == {"m": ["failed" if ledger else "sent"], "last": ["sent"]}


def test_without_a_channel_it_refuses_to_start_and_says_why(settings: Settings) -> None:
    refused = attune(prepare(settings), "worker", "deliver", code=78)
    assert "ATTUNE_DELIVER_EMAIL" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_of_two_workers_of_one_name_the_first_ends_as_fenced(settings: Settings) -> None:
    prepared = prepare(settings)
    publish(prepared, message("first"))
    with MailServer() as mail:
        running = delivering(prepared, mail)
        with deliver(running) as first:
            wait_for(running, first, "first")
            with deliver(running):
                assert first.wait(60) == 83, log_of(running)
