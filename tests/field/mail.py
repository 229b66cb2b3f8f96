"""Replies of mail servers and push services, and how they are classified."""

# a table: one row a line
from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any

import msgspec
from aiosmtpd.controller import Controller

from schemas.messages import Message, Provenance
from tests.field.case import Case
from tests.support.intake import NOW
from workers.delivery.transports.fcm import FcmChannel
from workers.delivery.transports.http import Response
from workers.delivery.transports.mime import Identity
from workers.delivery.transports.smtp import SmtpChannel, SmtpServer

ADDRESS = "ana@mail.example"
MESSAGE = Message(
    message_id="m-1",
    idempotency_key="m-1",
    user_id="ana",
    channel="email",
    campaign_id="cart-abandonment",
    locale="en-GB",
    title="Hello",
    email_subject="Hello",
    body="It is still in your cart.",
    send_at=NOW,
    expires_at=NOW + timedelta(hours=8),
    unsubscribe_url="https://shop.example/unsubscribe",
    provenance=Provenance(decision_id="d"),
)


class OneReply:
    """A mail server with one reply per recipient."""

    def __init__(self, reply: str) -> None:
        self.reply = reply
        self.asked: list[str] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802 # aiosmtpd's name
        del server, session, options
        self.asked.append(address)
        if self.reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.reply

    async def handle_DATA(self, *_: object) -> str:  # noqa: N802 # aiosmtpd's name
        return "250 OK"


def mailed(given: tuple[str, str]) -> dict[str, Any]:
    """Returns the result of a mail whose server sends this reply to the recipient; `asked`: the recipients that it received."""
    address, reply = given
    server = OneReply(reply)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(server, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        where = SmtpServer(host="127.0.0.1", port=controller.port, timeout_s=5)
        channel = SmtpChannel(where, Identity(address="news@shop.example"), b"a secret of the tests")
        result = channel.send(MESSAGE, address, NOW)
        channel.close()
    finally:
        controller.stop()
    return {"result": type(result).__name__, "bounce": getattr(result, "bounce_type", None), "asked": server.asked}


def pushed(given: tuple[int, object]) -> dict[str, Any]:
    """Returns the result of a push for this reply of the service."""
    status, body = given
    answer = Response(status, body=msgspec.json.encode(body))
    channel = FcmChannel(lambda *_: answer, lambda: "bearer")
    result = channel.send(MESSAGE, "device", NOW)
    return {"result": type(result).__name__}


def mail(
    slug: str, source: str, reply: str, result: str, bounce: str | None = None, to: str = ADDRESS, **right: Any
) -> Case:
    return Case(slug, source, mailed, (to, reply), {"result": result, "bounce": bounce, **right})


def push(slug: str, source: str, status: int, body: object, result: str) -> Case:
    return Case(slug, source, pushed, (status, body), {"result": result})


def refusal(code: str) -> dict[str, Any]:
    """Returns an error of FCM."""
    return {"error": {"details": [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}]}}


BUECHER = "ana@xn--bcher-kva.example"
MAIL = [
    mail("no-such-mailbox", "knadh/listmonk#2623", "550 5.1.1 The account does not exist", "Bounced", "hard"),
    mail("likely-unsolicited", "postalserver/postal#266", "550 5.7.1 Likely unsolicited mail", "Failed"),
    mail("policy-behind-a-sign", "postalserver/postal#266", "550 #5.7.1 Blocked", "Failed"),
    mail("sender-not-owned", "froxlor/froxlor#703", "553 5.7.1 Sender address rejected: not owned by user", "Later"),
    mail("syntax-of-ours", "tine20/tine20#1916", "500 5.5.2 Syntax error - invalid character", "Failed"),
    mail("no-spf", "jcbf/smf-spf#46", "550 5.7.23 SPF validation failed", "Failed"),
    mail("full-mailbox", "sendgrid/docs#1873", "552 5.2.2 Mailbox full", "Bounced", "soft"),
    mail("umlaut", "swiftmailer/swiftmailer#541", "250 OK", "Sent", to="ana@bücher.example", asked=[BUECHER]),
    mail("umlaut-again", "bitwarden/server#1512", "250 OK", "Sent", to=" ana@BÜCHER.example ", asked=[BUECHER]),
    mail("ideographic-dot", "spec: RFC 3490, 3.1", "250 OK", "Sent", to="ana@bücher。example", asked=[BUECHER]),
    mail("system-full", "spec: RFC 3463, X.3.1", "552 5.3.1 Mail system full", "Failed"),
    mail("too-long-for-the-mailbox", "spec: RFC 3463, X.2.3", "552 5.2.3 Message length exceeds limit", "Failed"),
    mail("log-in-first", "spec: RFC 4954, 530", "530 5.7.0 Authentication required", "Later"),
    mail("no-code-of-its-own", "spec: RFC 5321, 554", "554 Transaction failed, spam suspected", "Failed"),
    mail("umlaut-already-encoded", "jstedfast/MailKit#1780", "250 OK", "Sent", to=BUECHER, asked=[BUECHER]),
    mail("umlaut-of-nobody", "zammad/zammad#2401", "550 5.1.1 No such user", "Bounced", "hard", to="ana@bücher.example"),
    mail("helo-of-ours", "spec: RFC 3463, X.5.2", "504 5.5.2 Helo command rejected", "Later"),
    mail("sender-without-a-domain", "spec: RFC 3463, X.1.8", "550 5.1.8 Sender domain not found", "Later"),
]  # fmt: skip
PUSH = [
    push("gone", "RocketChat/Rocket.Chat#32440", 404, refusal("UNREGISTERED"), "Bounced"),
    push("not-found-but-what", "sh1nj1/plan42#341", 404, {"error": {"status": "NOT_FOUND"}}, "Later"),
    push("an-argument-of-ours", "xtrinch/fcm-django#223", 400, refusal("INVALID_ARGUMENT"), "Failed"),
    push("the-gone-alone", "hackers-pub/hackerspub#251", 403, {"error": {"status": "PERMISSION_DENIED"}}, "Later"),
]  # fmt: skip

CASES = [*MAIL, *PUSH]
