"""What a mail server's reply means for the address, the message, and all the others. The replies are those of real servers."""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.test_example_sender import message
from tests.support.mail import ScriptedServer
from workers.delivery import email_address, mail_replies, retry_after
from workers.delivery.deadline import Deadline
from workers.delivery.mail_replies import after_data, at_recipient
from workers.delivery.ports import Bounced, Failed, Later, NoAddress, Result, Sent, Unknown

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)

HARD, SOFT, FAILED, LATER, ALL_WAIT = "hard", "soft", "failed", "later", "all wait"


def kind(result: Result) -> str:
    match result:
        case Bounced(_, bounce_type):
            return bounce_type
        case Later(_, _, everyone):
            return ALL_WAIT if everyone else LATER
        case _:
            return type(result).__name__.lower()


#: What RCPT was answered with → what it means.
REPLIES = [
    # The mailbox does not exist, or is closed.
    (550, "5.1.1 <ana@mail.example>: Recipient address rejected: User unknown in virtual mailbox table", HARD),
    (550, "5.1.1 The email account that you tried to reach does not exist.\n5.1.1 Please try double-checking", HARD),
    (550, "#5.1.1 bad address ana@mail.example", HARD),
    (550, "sorry, no mailbox here by that name. (#5.1.1)", HARD),
    (550, "5.1.1: no such user", HARD),
    (550, "[5.1.1] no such user", HARD),
    (554, "5.1.1 unknown", HARD),
    (501, "5.1.3 Bad recipient address syntax", HARD),
    (550, "5.1.6 recipient no longer on server", HARD),
    (550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", HARD),
    (556, "5.1.10 Recipient address has null MX", HARD),
    (556, "Domain does not accept mail", HARD),
    (550, "5.1.2 Bad destination host: host not found", HARD),
    (550, "5.2.1 The email account that you tried to reach is disabled.", HARD),
    (550, "5.4.1 Recipient address rejected: Access denied. [AM4EUR05.example]", HARD),
    (550, "5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", HARD),
    (550, "5.1.0 Address rejected.", HARD),
    (550, "5.0.0 <ana@mail.example>... User unknown", HARD),
    (550, "Requested action not taken: mailbox unavailable", HARD),
    (550, "<spam.blocked@relaying.example>: no such user", HARD),
    (550, "Unrouteable address", HARD),
    (550, "No Such User Here", HARD),
    (550, "", HARD),
    (551, "User not local; please try <ana@elsewhere.example>", HARD),
    (553, "Requested action not taken: mailbox name not allowed", HARD),
    # There is a mailbox, and it takes nothing now.
    (552, "5.2.2 The email account that you tried to reach is over quota.", SOFT),
    (550, "5.2.2 mailbox full", SOFT),
    (552, "Requested mail action aborted: exceeded storage allocation", SOFT),
    (550, "Mailbox quota exceeded", SOFT),
    (
        550,
        "5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages",
        SOFT,
    ),
    # It is about this message, or somebody's policy.
    (550, "5.2.3 Message length exceeds administrative limit", FAILED),
    (552, "5.3.4 Message size exceeds fixed limit", FAILED),
    (550, "5.3.0 other or undefined mail system status", FAILED),
    (550, "#5.7.1 Your access to submit messages to this e-mail system has been rejected.", FAILED),
    (550, "5.7.1 Message rejected as spam", FAILED),
    (550, "5.7.26 This mail is unauthenticated", FAILED),
    (550, "5.4.1 no answer from host", FAILED),
    (550, "5.4.6 routing loop detected", FAILED),
    (550, "5.6.7 non-ASCII addresses not permitted", FAILED),
    (554, "Transaction failed", FAILED),
    (554, "delivery error: dd", FAILED),
    (550, "Blocked by our policy", FAILED),
    (550, "Access denied", FAILED),
    (501, "Syntax error in parameters or arguments", FAILED),
    (550, "5.1.4 destination mailbox address ambiguous", FAILED),
    (550, "rejected because 192.0.5.1.1 is on a block list", FAILED),
    # It is about us: whoever is next would be refused as well.
    (504, "5.5.2 <attune>: Helo command rejected: need fully-qualified hostname", ALL_WAIT),
    (501, "5.5.2 <attune>: Helo command rejected: Invalid name", ALL_WAIT),
    (550, "5.1.7 <news@>: Sender address rejected", ALL_WAIT),
    (550, "5.1.8 <news@shop.example>: Sender address rejected: Domain not found", ALL_WAIT),
    (553, "5.1.8 Domain of sender address does not exist", ALL_WAIT),
    (554, "5.3.2 system not accepting network messages", ALL_WAIT),
    (550, "5.3.5 system incorrectly configured", ALL_WAIT),
    (503, "5.5.1 Error: need MAIL command", ALL_WAIT),
    (503, "Bad sequence of commands", ALL_WAIT),
    (530, "5.7.0 Must issue a STARTTLS command first", ALL_WAIT),
    (530, "Authentication required", ALL_WAIT),
    (535, "5.7.8 credentials invalid", ALL_WAIT),
    (525, "5.7.13 user account disabled", ALL_WAIT),
    (554, "5.7.1 <ana@mail.example>: Relay access denied", ALL_WAIT),
    (550, "relaying denied", ALL_WAIT),
    (553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", ALL_WAIT),
    (554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using a list", ALL_WAIT),
    (550, "Verification failed for <news@shop.example>\nNo Such User Here\nSender verify failed", ALL_WAIT),
    (421, "4.3.2 shutting down", ALL_WAIT),
    (454, "4.7.0 TLS not available due to temporary reason", ALL_WAIT),
    (452, "4.3.2 system not accepting network messages", ALL_WAIT),
    # Another time.
    (451, "4.7.1 greylisted, try again later", LATER),
    (450, "4.2.0 <ana@mail.example>: Recipient address rejected: Greylisted", LATER),
    (450, "5.1.1 user unknown", LATER),
    (452, "4.2.2 mailbox full", LATER),
    (450, "", LATER),
]


@pytest.mark.parametrize(("code", "text", "meaning"), REPLIES, ids=lambda value: str(value)[:60])
def test_what_a_reply_to_the_recipient_means(code: int, text: str, meaning: str) -> None:
    for said in (text, text.encode(), f"{text}\r\n"):
        assert kind(at_recipient(code, said)) == meaning


@pytest.mark.parametrize(
    ("code", "text", "meaning"),
    [
        (550, "5.1.1 no such user", HARD),
        (550, "5.1.10 RESOLVER.ADR.RecipientNotFound; not found", HARD),
        (552, "5.2.2 over quota", SOFT),
        (550, "Message contains spam or virus", FAILED),
        (550, "", FAILED),
        (552, "Message exceeds the maximum size", FAILED),
        (554, "5.7.1 message rejected", FAILED),
        (554, "5.6.0 lone CR or LF in body", FAILED),
        (550, "5.7.1 From address not yours: Sender address rejected: not owned by user", ALL_WAIT),
        (503, "5.5.1 bad sequence", ALL_WAIT),
        (451, "4.3.0 try again", LATER),
        (421, "closing", ALL_WAIT),
    ],
)
def test_a_reply_to_the_text_is_about_the_mailbox_only_where_it_says_so(code: int, text: str, meaning: str) -> None:
    assert kind(after_data(code, text)) == meaning


def test_no_reason_repeats_the_address() -> None:
    for code, text, _ in REPLIES:
        for result in (at_recipient(code, text), after_data(code, text)):
            assert not isinstance(result, Sent | NoAddress)
            assert set(result.reason) <= set("0123456789. "), text


@pytest.mark.parametrize("module", [email_address, mail_replies, retry_after], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_hold(module: Any) -> None:
    result = doctest.testmod(module)
    assert (result.failed, result.attempted > 0) == (0, True)


@contextmanager
def server(replies: dict[str, Any] | None = None, features: tuple[str, ...] = ()) -> Iterator[ScriptedServer]:
    scripted = ScriptedServer(features, **(replies or {}))
    yield scripted
    scripted.close()


def hang_up(_connection: object) -> None:
    """Without a word."""


@pytest.mark.parametrize(
    ("replies", "result"),
    [
        ({}, Sent()),
        ({"connect": "421 4.3.2 busy"}, Later("421 4.3.2", everyone=True)),
        ({"connect": hang_up}, Later("SMTPServerDisconnected", everyone=True)),
        ({"mail": "451 4.3.0 later"}, Later("451 4.3.0", everyone=True)),
        ({"mail": "550 5.7.1 not you"}, Later("550 5.7.1", everyone=True)),
        ({"rcpt": "251 will forward"}, Sent()),
        ({"rcpt": "252 cannot verify"}, Later("252")),
        ({"rcpt": "550 5.1.1 gone"}, Bounced("550 5.1.1")),
        ({"rcpt": "450 4.2.1 later"}, Later("450 4.2.1")),
        ({"rcpt": "504 5.5.2 Helo command rejected"}, Later("504 5.5.2", everyone=True)),
        ({"rcpt": hang_up}, Later("SMTPServerDisconnected", everyone=True)),
        ({"data": "554 5.7.1 no"}, Failed("554 5.7.1")),
        ({"data": "451 4.3.0 later"}, Later("451 4.3.0")),
        ({"data": "550 5.1.1 gone"}, Bounced("550 5.1.1")),
        ({"data": hang_up}, Unknown("SMTPServerDisconnected")),
        ({"end": "550 5.7.1 spam"}, Failed("550 5.7.1")),
        ({"end": "452 4.2.2 full"}, Later("452 4.2.2")),
        ({"end": "421 4.3.2 bye"}, Later("421 4.3.2", everyone=True)),
        ({"end": hang_up}, Unknown("SMTPServerDisconnected")),
        ({"end": "wat"}, Unknown("-1")),
    ],
    ids=lambda value: re.sub(r" at 0x\w+", "", str(value)),
)
def test_what_becomes_of_a_message_at_each_step(replies: dict[str, Any], result: Result) -> None:
    with server(replies) as scripted:
        channel = scripted.channel()
        assert channel.send(message("m"), "ana@mail.example", NOW) == result
        channel.close()


def test_a_refused_message_leaves_the_connection_clean_for_the_next() -> None:
    with server({"rcpt": ["550 5.1.1 gone", "250 OK"]}) as scripted:
        channel = scripted.channel()
        assert channel.send(message("a"), "gone@mail.example", NOW) == Bounced("550 5.1.1")
        assert channel.send(message("b"), "ana@mail.example", NOW) == Sent()
        channel.close()
    assert scripted.connections == 1
    commands = [line.split(":")[0].split()[0].lower() for line in scripted.seen]
    assert commands == ["ehlo", "mail", "rcpt", "rset", "mail", "rcpt", "data"]


@pytest.mark.parametrize("rset", ["250 OK", "421 4.3.2 bye", hang_up], ids=["open", "closes", "gone"])
def test_a_connection_that_the_server_has_closed_is_made_anew(rset: Any) -> None:
    with server({"rset": rset}) as scripted:
        channel = scripted.channel()
        assert [channel.send(message(name), "ana@mail.example", NOW) for name in "ab"] == [Sent(), Sent()]
        channel.close()
    assert scripted.connections == (1 if rset == "250 OK" else 2)


@pytest.mark.parametrize("step", ["mail", "rcpt", "data", "end"])
def test_after_421_the_next_message_has_a_connection_of_its_own(step: str) -> None:
    with server({step: ["421 4.3.2 closing", "354 go" if step == "data" else "250 OK"]}) as scripted:
        channel = scripted.channel()
        assert channel.send(message("a"), "ana@mail.example", NOW) == Later("421 4.3.2", everyone=True)
        assert channel.send(message("b"), "ana@mail.example", NOW) == Sent()
        channel.close()
    assert scripted.connections == 2
    assert "rset" not in scripted.seen


@pytest.mark.parametrize(
    "address", [" ana@bücher.example", "ana@BÜCHER。example\n", "ana＠bücher．example", "ana@xn--bcher-kva.example."]
)
def test_an_international_domain_is_asked_for_in_ascii(address: str) -> None:
    with server() as scripted:
        channel = scripted.channel()
        assert channel.send(message("m"), address, NOW) == Sent()
        channel.close()
    assert "rcpt TO:<ana@xn--bcher-kva.example>" in scripted.seen
    assert b"To: ana@xn--bcher-kva.example\r\n" in scripted.contents[0]


def test_a_name_that_is_not_ascii_needs_a_server_that_says_it_takes_one() -> None:
    with server() as old, server(features=("SMTPUTF8", "8BITMIME")) as new:
        results = []
        for scripted in (old, new):
            channel = scripted.channel()
            results.append(channel.send(message("m"), "安娜@例子.example", NOW))
            channel.close()
        assert results == [Failed("the mail server has no SMTPUTF8"), Sent()]
        assert not any(line.startswith("mail") for line in old.seen)
        assert "mail FROM:<news@shop.example> SMTPUTF8 BODY=8BITMIME" in new.seen
        assert "rcpt TO:<安娜@xn--fsqu00a.example>" in new.seen
        assert "To: 安娜@xn--fsqu00a.example\r\n".encode() in new.contents[0]


@pytest.mark.parametrize(
    "address", ["", "ana", "ana@", "ana@x@y", "ana@mail.example\r\nRCPT TO:<eve@evil.example>", "a\x00@mail.example"]
)
def test_what_cannot_be_an_address_is_no_bounce_and_nobody_is_asked(address: str) -> None:
    with server() as scripted:
        assert scripted.channel().send(message("m"), address, NOW) == NoAddress()
    assert scripted.connections == 0


class Clock:
    """Goes on by itself, a step each time it is asked."""

    def __init__(self, step_s: float) -> None:
        self._now_s, self._step_s = 0.0, step_s

    def __call__(self) -> float:
        self._now_s += self._step_s
        return self._now_s


def drips(connection: Any) -> None:
    """One byte after the other, for as long as anybody listens."""
    try:
        while True:
            connection.sendall(b"2")
    except OSError:
        pass


@pytest.mark.parametrize(("step", "outcome"), [("connect", Later), ("rcpt", Later), ("end", Unknown)])
def test_a_mail_server_that_drips_is_given_up(
    step: str, outcome: type[Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smtplib._MAXLINE", 1 << 40)  # so that only the time can end it
    monkeypatch.setattr("workers.delivery.transports.smtp.Deadline", lambda: Deadline(Clock(0.001)))
    with server({step: drips}) as scripted:
        result = scripted.channel(timeout_s=0.1).send(message("m"), "ana@mail.example", NOW)
    assert isinstance(result, outcome)


@pytest.mark.parametrize("code", [421, 454, 502, 503, 504, 521, 523, 525, 530, 534, 535, 538])
def test_a_code_that_is_about_us_stops_no_customer(code: int) -> None:
    waits = Later(f"{code}", everyone=True)
    assert at_recipient(code, "no such user") == waits
    assert after_data(code, "no such user") == waits


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (499, Later("499 5.1.1")),
        (500, Bounced("500 5.1.1")),
        (599, Bounced("599 5.1.1")),
        (600, Later("600 5.1.1")),
        (200, Later("200 5.1.1")),
    ],
)
def test_only_a_permanent_reply_ends_anything(code: int, result: Result) -> None:
    assert at_recipient(code, "5.1.1 no such user") == result
    assert after_data(code, "5.1.1 no such user") == result


@pytest.mark.parametrize(
    ("words", "result"),
    [
        ("your reverse dns is missing", Later("554", everyone=True)),
        ("no such user", Failed("554")),  # after the words it is the text that is judged
        ("<your helo> quoted: spam", Failed("554")),
    ],
)
def test_after_the_words_a_reply_without_a_code_judges_us_or_the_text(words: str, result: Result) -> None:
    assert after_data(554, words) == result


@pytest.mark.parametrize("detail", range(7, 17))
def test_what_is_said_of_our_login_and_encryption_stops_no_customer(detail: int) -> None:
    result = at_recipient(550, f"5.7.{detail} no")
    assert result == (Later(f"550 5.7.{detail}", everyone=True) if 8 <= detail <= 14 else Failed(f"550 5.7.{detail}"))
