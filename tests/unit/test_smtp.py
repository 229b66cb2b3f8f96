"""What the e-mail channel answers to each reply of a mail server, over a real connection to a server that follows a script."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from schemas.messages import CallToAction, Message, Provenance
from tests.support.mail import ScriptedServer, refusing_port
from workers.delivery.ports import Bounced, Failed, Later, NoAddress, Result, Sent, Unknown
from workers.delivery.transports.mime import Identity
from workers.delivery.transports.smtp import SmtpChannel, SmtpServer

WORD = "sesame"
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MESSAGE = Message(
    message_id="m1",
    idempotency_key="m1",
    user_id="ana",
    channel="email",
    category="marketing",
    campaign_id="cart",
    locale="en-GB",
    title="Hello",
    body="Your band is here.",
    cta=CallToAction(text="See it", link_url="https://shop.example/p"),
    send_at=NOW,
    expires_at=NOW,
    unsubscribe_url="https://shop.example/unsubscribe",
    provenance=Provenance(decision_id="d1", policy_version="1", playbook_version="v1", profile_version=1),
)


@contextmanager
def served(features: tuple[str, ...] = (), **replies: Any) -> Iterator[tuple[ScriptedServer, SmtpChannel]]:
    server = ScriptedServer(features, **replies)
    channel = server.channel()
    try:
        yield server, channel
    finally:
        channel.close()
        server.close()


def answer(**replies: Any) -> Result:
    with served((), **replies) as (_, channel):
        return channel.send(MESSAGE, "ana@mail.example", NOW)


@pytest.mark.parametrize(
    ("command", "reply", "result"),
    [
        # -- RCPT: yes, not now, no such mailbox, our own fault, this message only
        ("rcpt", "250 OK", Sent()),
        ("rcpt", "251 will forward", Sent()),
        ("rcpt", "252 cannot verify", Later("252")),
        ("rcpt", "450 4.2.0 greylisted", Later("450 4.2.0")),
        ("rcpt", "550 5.1.1 no such user", Bounced("550 5.1.1")),
        ("rcpt", "552 5.2.2 full", Bounced("552 5.2.2", "soft")),
        ("rcpt", "504 5.5.2 helo command rejected", Later("504 5.5.2", everyone=True)),
        ("rcpt", "550 5.7.1 blocked as spam", Failed("550 5.7.1")),
        ("rcpt", "421 4.3.2 closing", Later("421 4.3.2", everyone=True)),
        # -- MAIL: it takes nothing from us, whoever it is for
        ("mail", "250 OK", Sent()),
        ("mail", "251 odd", Later("251", everyone=True)),
        ("mail", "550 5.1.1 no such user", Later("550 5.1.1", everyone=True)),
        ("mail", "451 4.3.0 try again", Later("451 4.3.0", everyone=True)),
        # -- DATA, before the words went out
        ("data", "550 5.7.1 content", Failed("550 5.7.1")),
        ("data", "451 4.7.1 try again", Later("451 4.7.1")),
        ("data", "503 5.5.1 bad sequence", Later("503 5.5.1", everyone=True)),
        # -- and after
        ("end", "250 2.0.0 queued", Sent()),
        ("end", "550 5.1.1 no such user", Bounced("550 5.1.1")),
        ("end", "554 5.7.1 spam", Failed("554 5.7.1")),
        ("end", "599 no", Failed("599")),
        ("end", "452 4.2.2 full", Later("452 4.2.2")),
        ("end", "400 later", Later("400")),
        ("end", "251 odd", Unknown("251")),
        ("end", "354 odd", Unknown("354")),
        ("end", "220 odd", Unknown("220")),
        ("end", "600 2.0.0 odd", Unknown("600 2.0.0")),
    ],
)
def test_what_each_reply_means(command: str, reply: str, result: Result) -> None:
    assert answer(**{command: reply}) == result


@pytest.mark.parametrize(
    ("command", "reply", "connections"),
    [
        ("rcpt", "550 5.1.1 no such user", 1),
        ("mail", "451 4.3.0 no", 1),
        ("data", "550 5.7.1 content", 1),
        ("end", "554 5.7.1 spam", 1),
        ("rcpt", "421 4.3.2 closing", 2),
        ("mail", "421 4.3.2 closing", 2),
        ("end", "421 4.3.2 closing", 2),
        ("end", "251 odd", 2),  # who knows what the server takes for what now
    ],
)
def test_after_a_refusal_the_connection_serves_the_next_message(command: str, reply: str, connections: int) -> None:
    with served((), **{command: [reply, "354 go" if command == "data" else "250 OK"]}) as (server, channel):
        assert channel.send(MESSAGE, "ana@mail.example", NOW) != Sent()
        assert channel.send(MESSAGE, "bo@mail.example", NOW) == Sent()
        assert server.connections == connections
        assert server.seen.count("rset") == (1 if connections == 1 else 0)


def test_a_connection_is_kept_and_asked_before_it_is_used_again() -> None:
    with served() as (server, channel):
        assert [channel.send(MESSAGE, "ana@mail.example", NOW) for _ in range(3)] == [Sent()] * 3
        assert (server.connections, server.seen.count("rset"), len(server.contents)) == (1, 2, 3)
        channel.close()
        channel.close()
        assert channel.send(MESSAGE, "ana@mail.example", NOW) == Sent()
        assert server.connections == 2


@pytest.mark.parametrize("reply", ["421 idle for too long", "500 what?", "hangs up"])
def test_a_connection_that_is_of_no_use_any_more_is_made_anew(reply: str) -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.close()

    with served(rset=hang_up if reply == "hangs up" else reply) as (server, channel):
        assert [channel.send(MESSAGE, "ana@mail.example", NOW) for _ in range(2)] == [Sent()] * 2
        assert server.connections == 2


def hanging_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("command", ["connect", "mail", "rcpt"])
def test_a_server_that_hangs_up_before_the_words_may_be_asked_again(command: str) -> None:
    assert answer(**{command: hanging_up}) == Later("SMTPServerDisconnected", everyone=True)


def test_a_server_that_hangs_up_after_the_words_leaves_it_unknown() -> None:
    with served(end=hanging_up) as (server, channel):
        assert channel.send(MESSAGE, "ana@mail.example", NOW) == Unknown("SMTPServerDisconnected")
        assert len(server.contents) == 1
        assert channel.send(MESSAGE, "ana@mail.example", NOW) == Unknown("SMTPServerDisconnected")
        assert server.connections == 2


def test_a_server_that_hangs_up_amid_the_words_leaves_it_unknown() -> None:
    def take_nothing(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(b"354 go\r\n")
        connection.close()  # a reset: what is under way is refused

    with served(data=take_nothing) as (server, channel):
        long = msgspec.structs.replace(MESSAGE, body="x" * 2_000_000)
        assert channel.send(long, "ana@mail.example", NOW) == Unknown("SMTPServerDisconnected")
        assert server.contents == []


@pytest.mark.parametrize("reply", ["554 5.7.1 go away", "421 4.3.2 too busy"])
def test_a_server_that_does_not_take_us_in_may_later(reply: str) -> None:
    assert answer(connect=reply) == Later(reply[:9], everyone=True)


def test_where_nobody_listens_everyone_waits() -> None:
    with refusing_port() as port:
        channel = SmtpChannel(SmtpServer(host="127.0.0.1", port=port), Identity(address="n@shop.example"), b"secret")
        assert channel.send(MESSAGE, "ana@mail.example", NOW) == Later("ConnectionRefusedError", everyone=True)


# -- before anybody is asked -----------------------------------------------------------------------------------------------


def test_what_is_no_address_or_no_mail_asks_no_server() -> None:
    with served() as (server, channel):
        assert channel.send(MESSAGE, "nobody", NOW) == NoAddress()
        unlinked = msgspec.structs.replace(MESSAGE, unsubscribe_url="")
        assert channel.send(unlinked, "ana@mail.example", NOW) == Failed("unsubscribe_url is not an https URL")
        assert (server.connections, server.seen) == (0, [])


def test_marketing_has_its_unsubscribe_link_and_what_is_transactional_needs_none() -> None:
    with served() as (server, channel):
        transactional = msgspec.structs.replace(MESSAGE, category="transactional", unsubscribe_url="")
        assert [channel.send(one, "ana@mail.example", NOW) for one in (MESSAGE, transactional)] == [Sent()] * 2
        marketing, receipt = server.contents
        assert b"List-Unsubscribe: <https://shop.example/unsubscribe?token=" in marketing
        assert b"List-Unsubscribe:" not in receipt


@pytest.mark.parametrize(
    ("address", "features", "result", "rcpt"),
    [
        ("ana@bücher.example", (), Sent(), "rcpt TO:<ana@xn--bcher-kva.example>"),
        ("änne@mail.example", (), Failed("the mail server has no SMTPUTF8"), None),
        ("änne@mail.example", ("SMTPUTF8", "8BITMIME"), Sent(), "rcpt TO:<änne@mail.example>"),
    ],
)
def test_addresses_in_other_scripts(address: str, features: tuple[str, ...], result: Result, rcpt: str | None) -> None:
    with served(features) as (server, channel):
        assert channel.send(MESSAGE, address, NOW) == result
        assert [line for line in server.seen if line.startswith("rcpt")] == ([rcpt] if rcpt else [])
        mail = next((line for line in server.seen if line.startswith("mail")), "")
        assert ("SMTPUTF8" in mail, "BODY=8BITMIME" in mail) == ((True, True) if features else (False, False))
        assert server.seen[0].startswith("ehlo ")


# -- passwords -------------------------------------------------------------------------------------------------------------


def test_without_encryption_no_password_leaves() -> None:
    server = ScriptedServer(("STARTTLS", "AUTH PLAIN LOGIN"), starttls="454 4.7.0 not now", star="454 4.7.0 not now")
    secured = SmtpServer(host="127.0.0.1", port=server.port, starttls=True, user="attune", password=WORD, timeout_s=5)
    channel = SmtpChannel(secured, Identity(address="news@shop.example"), b"a secret of the tests")
    result = channel.send(MESSAGE, "ana@mail.example", NOW)
    server.close()
    assert result == Later("454 4.7.0", everyone=True)
    assert [line for line in server.seen if not line.lower().startswith(("ehlo", "starttls"))] == []
    assert WORD not in repr(secured)


def test_a_login_that_is_refused_is_everyones_matter() -> None:
    server = ScriptedServer(("AUTH PLAIN",), auth="535 5.7.8 wrong password")
    known = SmtpServer(host="127.0.0.1", port=server.port, user="attune", password=WORD, timeout_s=5)
    channel = SmtpChannel(known, Identity(address="news@shop.example"), b"a secret of the tests")
    assert channel.send(MESSAGE, "ana@mail.example", NOW) == Later("535 5.7.8", everyone=True)
    server.close()
    assert [line for line in server.seen if line.startswith("mail")] == []


def test_a_server_that_stays_silent_is_given_up_after_its_time() -> None:
    with served(mail=lambda connection: connection.recv(1_000)) as (server, _):  # reads on and says nothing
        channel = server.channel(timeout_s=0.2)
        assert channel.send(MESSAGE, "ana@mail.example", NOW) == Later("SMTPServerDisconnected", everyone=True)
        channel.close()
