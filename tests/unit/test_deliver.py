"""The role `deliver`: what may leave when, what an answer means, and what a wrong setting says. No Kafka; clocks are advanced."""

from __future__ import annotations

import doctest
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas import codec
from schemas.messages import Feedback, Message
from tests.integration.test_example_sender import message
from tests.support.mail import BoundController, refusing_port
from workers.adapters import delivery_channels
from workers.adapters.delivery_channels import configured, ports
from workers.adapters.observability.metrics import WorkerMetrics
from workers.adapters.process.exit_codes import Exit
from workers.adapters.process.liveness import Liveness
from workers.commands.run.up import DELIVER, ROLES, _roles
from workers.core.errors import Misconfigured
from workers.delivery import token_bucket
from workers.delivery.dispatch import Delivery, Rules
from workers.delivery.ledger import Ledger
from workers.delivery.ports import Bounced, Failed, Later, NoAddress, Result, Sent, Unknown
from workers.delivery.token_bucket import TokenBucket
from workers.delivery.transports import http, webhook
from workers.delivery.transports.fcm import FcmChannel, TokenFile, request
from workers.delivery.transports.http import Endpoint, NoResponse, Response, Unreachable
from workers.delivery.transports.mime import Identity
from workers.delivery.transports.push import HttpPushGateway, notification
from workers.delivery.transports.smtp import SmtpChannel, SmtpServer
from workers.delivery.transports.webhook import UserIdAddressBook, WebhookChannel, secret_of
from workers.roles.deliver import Deliver
from workers.settings import Settings
from workers.settings_loader import load

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
LANE = {"messages.sms:0"}
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 # the one of the specification's own examples


def sms(name: str, **fields: Any) -> Message:
    times = {"send_at": NOW, "expires_at": NOW + timedelta(hours=8)}
    return message(name, channel="sms", **{**times, **fields})


class World:
    """A delivery whose clock and channel the test holds. `script`: what the channel answers, `Sent` when it is empty."""

    def __init__(self, *messages: Message, script: tuple[Result, ...] = (), **rules: Any) -> None:
        self.now = NOW
        self.attempts: list[str] = []
        self.told: list[str] = []
        self.ledger = Ledger(":memory:")
        self._script = list(script)
        for number, one in enumerate(messages):
            self.ledger.add(one, "messages.sms:0", NOW.timestamp() - 100 + number, 0)
        self._delivery = Delivery(
            self.ledger, UserIdAddressBook(), self, Rules(resend=True, **rules), lambda: self.now, self.told.append
        )

    def send(self, message: Message, address: str, now: datetime) -> Result:
        self.attempts.append(message.message_id)
        return self._script.pop(0) if self._script else Sent()

    def close(self) -> None:
        """Nothing is open."""

    def steps(self, after_s: float = 0.0) -> list[str]:
        """Everything that leaves when so much time has passed: attempted message_ids."""
        self.now += timedelta(seconds=after_s)
        before = len(self.attempts)
        while self._delivery.step(LANE):
            pass
        return self.attempts[before:]

    def reported(self) -> dict[str, str]:
        found = [codec.decode(Feedback, record) for _, _, record in self.ledger.unpublished(LANE, 100)]
        return {one.message_id: one.abort_type or one.status for one in found}


@pytest.mark.parametrize("module", [delivery_channels, http, token_bucket, webhook], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_hold(module: Any) -> None:
    result = doctest.testmod(module)
    assert (result.failed, result.attempted > 0) == (0, True)


def test_no_more_leave_than_the_rate_allows_and_what_does_not_leave_costs_no_token() -> None:
    world = World(*(sms(f"m{number}") for number in range(5)), sms("old", expires_at=NOW), rate_per_s=2.0)
    assert world.steps() == ["m0", "m1"]
    assert world.steps(0.4) == []
    assert world.steps(0.2) == ["m2"]
    assert world.steps(60) == ["m3", "m4"]
    assert world.reported()["old"] == "expired"


def test_a_bucket_survives_a_clock_that_jumps_back_and_refuses_a_rate_of_nothing() -> None:
    bucket = TokenBucket(1.0)
    assert [bucket.take(now_s) for now_s in (100.0, 50.0, 50.5, 51.0)] == [True, False, False, True]
    with pytest.raises(ValueError, match="rate"):
        TokenBucket(0.0)


@pytest.mark.parametrize(("wish_s", "waits_s"), [(90.0, 90.0), (86_400.0, 3600.0), (0.0, 30.0), (None, 30.0)])
def test_when_the_server_is_busy_all_messages_wait_as_long_as_it_says(wish_s: float | None, waits_s: float) -> None:
    world = World(sms("a"), sms("b"), script=(Later("HTTP 429", wish_s, everyone=True),))
    assert world.steps() == ["a"]
    assert world.steps(waits_s - 1) == []
    assert sorted(world.steps(1)) == ["a", "b"]
    assert world.told == ["later", "sent", "sent"]


def test_a_message_that_alone_is_put_off_holds_up_no_other() -> None:
    world = World(sms("a"), sms("b"), script=(Later("HTTP 500"),))
    assert world.steps() == ["a", "b"]
    assert world.steps(30) == ["a"]


def test_what_expires_or_is_cancelled_while_it_waits_never_leaves() -> None:
    world = World(sms("short", expires_at=NOW + timedelta(seconds=40)), sms("wrong"), script=(Later("HTTP 500"),) * 2)
    assert world.steps() == ["short", "wrong"]
    world.ledger.cancel("wrong", 0)
    assert world.steps(40) == []
    assert world.reported() == {"short": "expired", "wrong": "stale"}
    assert sorted(world.told) == ["later", "later", "skipped", "skipped"]


def test_what_the_address_book_holds_may_be_no_address_and_that_is_no_bounce() -> None:
    world = World(sms("a"), sms("b"), script=(NoAddress(),))
    assert world.steps() == ["a", "b"]
    assert world.reported() == {"a": "missing_identifier", "b": "sent"}
    assert world.told == ["dropped", "sent"]


def test_lateness_counts_from_the_moment_a_message_was_due() -> None:
    world = World(sms("a"))
    assert world.ledger.late_s(LANE, NOW.timestamp()) == 100
    assert world.ledger.late_s(LANE, NOW.timestamp() - 200) == 0
    world.steps()
    assert world.ledger.late_s(LANE, NOW.timestamp()) == 0


def answering(answer: Response | Exception, seen: list[tuple[bytes, Mapping[str, str]]] | None = None) -> http.Post:
    def post(body: bytes, headers: Mapping[str, str]) -> Response:
        if seen is not None:
            seen.append((body, headers))
        if isinstance(answer, Exception):
            raise answer
        return answer

    return post


ANYWHERE: list[tuple[Response | Exception, Result]] = [
    (Response(200), Sent()),
    (Response(302), Later("HTTP 302", everyone=True)),
    (Response(400), Failed("HTTP 400")),
    (Response(401), Later("HTTP 401", everyone=True)),
    (Response(408), Later("HTTP 408")),
    (Response(425), Later("HTTP 425")),
    (Response(429, 7.0), Later("HTTP 429", 7.0, everyone=True)),
    (Response(500), Later("HTTP 500")),
    (Response(503), Later("HTTP 503", everyone=True)),
    (Unreachable("ConnectionRefusedError"), Later("ConnectionRefusedError", everyone=True)),
    (NoResponse("TimeoutError"), Unknown("TimeoutError")),
]


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        *ANYWHERE,
        (Response(202), Sent()),
        *((Response(status), Failed(f"HTTP {status}")) for status in (403, 404, 410, 422)),
    ],
)
def test_what_a_webhooks_answer_means(answer: Response | Exception, result: Result) -> None:
    assert WebhookChannel(answering(answer), b"s").send(sms("m"), "ana", NOW) == result


def refusal(status: int, code: str) -> Response:
    details = [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}]
    return Response(status, body=msgspec.json.encode({"error": {"code": status, "details": details}}))


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        *ANYWHERE,
        (refusal(404, "UNREGISTERED"), Bounced("HTTP 404 UNREGISTERED")),
        (refusal(403, "SENDER_ID_MISMATCH"), Bounced("HTTP 403 SENDER_ID_MISMATCH")),
        (refusal(400, "INVALID_ARGUMENT"), Failed("HTTP 400 INVALID_ARGUMENT")),
        (refusal(401, "THIRD_PARTY_AUTH_ERROR"), Later("HTTP 401 THIRD_PARTY_AUTH_ERROR")),
        (refusal(404, "ana@mail.example"), Later("HTTP 404", everyone=True)),
        (Response(404, body=b"<html>"), Later("HTTP 404", everyone=True)),
        (Response(403, body=b'{"error": {"details": [{"errorCode": 7}]}}'), Later("HTTP 403", everyone=True)),
    ],
)
def test_what_the_push_services_answer_means(answer: Response | Exception, result: Result) -> None:
    assert FcmChannel(answering(answer), lambda: "bearer").send(sms("m"), "device", NOW) == result


def test_a_webhook_is_the_message_signed_over_id_time_and_body() -> None:
    secret = secret_of(SECRET)
    signed = webhook.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}', secret)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="  # the specification's own vector
    seen: list[tuple[bytes, Mapping[str, str]]] = []
    sent = sms("m", idempotency_key="cart 1\r\nHost: evil.example")
    WebhookChannel(answering(Response(200), seen), secret).send(sent, "ana", NOW)
    (body, headers) = seen[0]
    assert codec.decode(Message, body) == sent
    key, at = headers["webhook-id"], headers["webhook-timestamp"]
    assert (key.isalnum(), at) == (True, "1740830400")
    assert headers["webhook-signature"] == webhook.signature(key, at, body, secret)
    assert webhook.signature(key, at, body + b" ", secret) != headers["webhook-signature"] != ""
    assert webhook.signature(key, "1740830401", body, secret) != headers["webhook-signature"]


def test_a_push_says_its_ai_label_dies_with_its_message_and_replaces_its_repetition(tmp_path: Path) -> None:
    found = request(sms("m", ai_label="Written with AI", title=""), "device", NOW + timedelta(hours=7))["message"]
    assert found["notification"]["body"].endswith("\nWritten with AI")
    assert "title" not in found["notification"]
    assert (found["android"]["ttl"], found["webpush"]["headers"]["TTL"]) == ("3600s", "3600")
    assert found["android"]["notification"]["tag"] == found["apns"]["headers"]["apns-collapse-id"]
    assert len(found["webpush"]["headers"]["Topic"]) == 32
    file = tmp_path / "token"
    token = TokenFile(file)
    seen: list[tuple[bytes, Mapping[str, str]]] = []
    channel = FcmChannel(answering(Response(200), seen), token)
    assert channel.send(sms("m"), "device", NOW) == Later("no bearer token", everyone=True)
    file.write_text("first\n")
    channel.send(sms("m"), "device", NOW)
    file.write_text("second\n")
    channel.send(sms("m"), "device", NOW)
    assert [headers["Authorization"] for _, headers in seen] == ["Bearer first", "Bearer second"]


@contextmanager
def http_server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A real server on loopback; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook?shop=1"
        server.shutdown()


def test_a_request_carries_its_query_and_a_strange_key_cannot_break_out_of_its_header() -> None:
    seen = []

    def busy(handler: BaseHTTPRequestHandler) -> None:
        seen.append((handler.path, handler.headers["Idempotency-Key"]))
        handler.send_response(429)
        handler.send_header("Retry-After", "7" if handler.headers["Idempotency-Key"] == "plain" else "soon")
        handler.end_headers()

    with http_server(busy) as url:
        pushed = [
            msgspec.structs.replace(notification(sms("m"), "device", NOW), collapse_key=key)
            for key in ("plain", "购物车\r\nHost: evil.example")
        ]
        assert [HttpPushGateway(url).post(one) for one in pushed] == [Response(429, 7.0), Response(429)]
    assert (seen[0], len(seen[1][1])) == (("/hook?shop=1", "plain"), 64)


@pytest.mark.parametrize(
    ("headers", "wish_s"),
    [
        ({"Date": "Sat, 01 Mar 2025 12:00:00 GMT", "Retry-After": "Sat, 01 Mar 2025 12:02:00 GMT"}, 120.0),
        ({"Date": "Sat, 01 Mar 2025 12:00:00 GMT", "Retry-After": "Sat, 01 Mar 2025 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "Sat, 01 Mar 2025 12:02:00 GMT"}, None),  # from when?
        ({"Date": "yesterday", "Retry-After": "Sat, 01 Mar 2025 12:02:00 GMT"}, None),
        ({"Date": "Sat, 01 Mar 2025 12:00:00 GMT", "Retry-After": "in a while"}, None),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "inf"}, None),
    ],
)
def test_a_wish_may_be_a_date_and_counts_from_the_servers_own(headers: dict[str, str], wish_s: float | None) -> None:
    def busy(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response_only(503)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()

    with http_server(busy) as url:
        assert Endpoint(url, 5).post(b"{}", {}) == Response(503, wish_s)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b""]
)
def test_a_server_that_drips_holds_a_request_no_longer_than_its_time(head: bytes) -> None:
    now_s = 0.0
    left = threading.Event()

    def clock() -> float:
        """A second passes each time somebody looks: only the deadline looks."""
        nonlocal now_s
        now_s += 1.0
        return now_s

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        try:
            while True:
                handler.wfile.write(b"H")
        except OSError:
            left.set()

    with http_server(drip) as url:
        with pytest.raises(NoResponse, match="TimeoutError"):
            Endpoint(url, 6.0, clock).post(b"{}", {})
        assert now_s < 20
        assert left.wait(30), "the connection is closed"


def test_it_is_known_whether_a_request_can_have_arrived() -> None:
    with http_server(lambda handler: handler.connection.close()) as url, pytest.raises(NoResponse):
        Endpoint(url, 5).post(b"{}", {})
    with refusing_port() as port, pytest.raises(Unreachable, match="ConnectionRefusedError"):
        Endpoint(f"http://127.0.0.1:{port}", 5).post(b"{}", {})


class NoMailFromUs:
    """A mail server to which we are nobody."""

    async def handle_MAIL(self, *_: object) -> str:  # noqa: N802 # aiosmtpd's name
        return "530 5.7.0 authentication required"


def test_a_server_that_takes_no_mail_from_us_condemns_no_message() -> None:
    controller = BoundController(NoMailFromUs())
    controller.start()
    try:
        server = SmtpServer(host="127.0.0.1", port=controller.port, timeout_s=5)
        channel = SmtpChannel(server, Identity(address="news@shop.example"), b"a secret of the tests")
        assert channel.send(message("m"), "ana@mail.example", NOW) == Later("530 5.7.0", everyone=True)
        channel.close()
    finally:
        controller.stop()


def book(folder: Path) -> str:
    with sqlite3.connect(folder / "addresses.sqlite") as addresses:
        addresses.execute("CREATE TABLE addresses (user_id TEXT, channel TEXT, address TEXT)")
    return str(folder / "addresses.sqlite")


def complete(tmp_path: Path) -> dict[str, str]:
    """Every channel, well configured."""
    (tmp_path / "token").write_text("bearer")
    return {
        "ATTUNE_DELIVER_EMAIL": "smtp+starttls://mail.example",
        "ATTUNE_DELIVER_FROM": "The Shop <news@shop.example>",
        "ATTUNE_DELIVER_SMTP_USER": "attune",
        "ATTUNE_DELIVER_SMTP_PASSWORD": "sesame-password",
        "ATTUNE_DELIVER_UNSUBSCRIBE_SECRET": "sesame-unsubscribe",
        "ATTUNE_DELIVER_ADDRESSES": book(tmp_path),
        "ATTUNE_DELIVER_PUSH": "fcm+https://fcm.googleapis.com/v1/projects/shop/messages:send",
        "ATTUNE_DELIVER_PUSH_TOKEN_FILE": str(tmp_path / "token"),
        "ATTUNE_DELIVER_SMS": "https://sms.example/send?shop=1",
        "ATTUNE_DELIVER_WEBHOOK_SECRET": SECRET,
        "ATTUNE_DELIVER_RATES_PER_S": "email=50, sms=0.5",
    }


def test_each_channel_that_is_configured_has_a_port_with_its_rules(tmp_path: Path) -> None:
    settings = load(complete(tmp_path))
    found = ports(settings)
    assert {channel: (port.where, port.rules.resend, port.rules.rate_per_s) for channel, port in found.items()} == {
        "email": ("smtp+starttls://mail.example", False, 50.0),
        "push": ("fcm+https://fcm.googleapis.com", True, None),
        "sms": ("https://sms.example", True, 0.5),
    }
    assert found["push"].addresses().address("ana", "push") is None
    assert found["sms"].addresses().address("ana", "sms") == "ana"
    skip = ports(settings.changed(deliver_after_crash="skip"))
    assert {port.rules.resend for port in skip.values()} == {False}
    for secret in ("sesame", SECRET):
        assert secret not in repr(settings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"EMAIL": "off", "PUSH": "off", "SMS": "off"}, ["ATTUNE_DELIVER_EMAIL", "no channel to send to"]),
        ({"EMAIL": "imap://mail.example"}, ["deliver_email", "smtps://"]),
        ({"EMAIL": "fcm+https://mail.example"}, ["deliver_email"]),
        ({"EMAIL": "smtp://"}, ["deliver_email"]),
        ({"EMAIL": "smtp://mail.example:x"}, ["deliver_email"]),
        ({"EMAIL": "smtp://mail.example/path"}, ["deliver_email", "path"]),
        ({"EMAIL": "smtps://attune:sesame@mail.example"}, ["deliver_email", "password"]),
        ({"EMAIL": "smtp://mail.example"}, ["deliver_smtp_user", "plain text"]),
        ({"SMTP_PASSWORD": ""}, ["deliver_smtp_password", "both"]),
        ({"FROM": "The Shop"}, ["deliver_from"]),
        ({"UNSUBSCRIBE_SECRET": "sesame"}, ["deliver_unsubscribe_secret", "16"]),
        ({"ADDRESSES": "/nowhere/addresses.sqlite"}, ["deliver_addresses", "/nowhere/addresses.sqlite"]),
        ({"PUSH": "smtp://mail.example"}, ["deliver_push", "fcm+https://"]),
        ({"PUSH_TOKEN_FILE": "/nowhere/token"}, ["deliver_push_token_file"]),
        ({"SMS": "https://sms.example/a b"}, ["deliver_sms", "ASCII"]),
        ({"SMS": "https://sms.example/#sesame"}, ["deliver_sms", "fragment"]),
        ({"IN_APP": "smtp://mail.example"}, ["deliver_in_app", "https://"]),
        ({"WEBHOOK_SECRET": ""}, ["deliver_webhook_secret", "whsec_"]),
        ({"WEBHOOK_SECRET": "whsec_c2VzYW1l"}, ["deliver_webhook_secret", "24"]),
        ({"WEBHOOK_SECRET": "whsec_sesame!"}, ["deliver_webhook_secret", "base64"]),
        ({"RATES_PER_S": "fax=3"}, ["deliver_rates_per_s", "'fax=3'"]),
        ({"RATES_PER_S": "sms=0"}, ["deliver_rates_per_s", "'sms=0'"]),
        ({"TIMEOUT_S": "30"}, ["deliver_timeout_s", "stop_timeout_s"]),
        ({"AFTER_CRASH": "again"}, ["ATTUNE_DELIVER_AFTER_CRASH"]),
    ],
)
def test_a_refused_configuration_names_itself_and_no_secret(
    tmp_path: Path, change: dict[str, str], words: list[str]
) -> None:
    changed = {f"ATTUNE_DELIVER_{name}": value for name, value in change.items()}
    with pytest.raises(Misconfigured) as caught:
        ports(load(complete(tmp_path) | changed))
    assert [word for word in words if word not in str(caught.value)] == []
    assert [secret for secret in ("sesame", "c2VzYW1l") if secret in str(caught.value)] == []


def test_up_runs_it_only_where_something_is_configured() -> None:
    some = Settings().changed(deliver_sms="https://sms.example/send")
    assert (configured(Settings()), configured(some)) == ((), ("sms",))
    assert (_roles(None, Settings()), _roles(None, some)) == (ROLES, (*ROLES, DELIVER))
    assert _roles("intake", some) == ("intake",)
    with pytest.raises(Misconfigured, match="deliver"):
        _roles("deliverer", some)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (sqlite3.OperationalError("disk I/O error"), Exit.FAILED),
        (codec.Malformed("unknown_schema_version"), Exit.SOFTWARE),
    ],
)
def test_a_sender_that_fails_ends_the_others_cleanly_and_says_how(error: Exception, code: Exit) -> None:
    closed = []

    class Sender:
        awaits = ""

        def step(self) -> None:
            """Nothing to do."""

        def late_s(self) -> float:
            return 0.0

        def close(self) -> None:
            closed.append(True)

    def broken() -> Any:
        raise error

    metrics, liveness = WorkerMetrics(), Liveness()
    makers: dict[str, Callable[[], Any]] = {"email": Sender, "sms": broken}
    assert Deliver(makers, metrics, liveness, lambda: NOW).run() == code
    assert (closed, liveness.beats) == ([True], {})
