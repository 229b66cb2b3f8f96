"""Sends e-mail over one persistent SMTP connection. Replies are interpreted in mail_replies.py."""

from __future__ import annotations

import io
import smtplib
import socket
import ssl
from datetime import datetime

import msgspec

from schemas.messages import Message
from workers.delivery import unsubscribe
from workers.delivery.deadline import Deadline
from workers.delivery.email_address import Mailbox, mailbox
from workers.delivery.mail_replies import after_data, at_recipient, reason_of
from workers.delivery.ports import Failed, Later, NoAddress, Result, Sent, Unknown
from workers.delivery.transports.mime import Identity, compose


class SmtpServer(msgspec.Struct, frozen=True, kw_only=True):
    """The mail server to submit to. A user requires `tls` (from the first byte) or `starttls`: no password is sent in plain text.

    `timeout_s` limits each whole reply, however slowly it arrives.
    """

    host: str
    port: int
    starttls: bool = False
    tls: bool = False
    user: str = ""
    password: str = ""
    timeout_s: float = 30.0

    def __repr__(self) -> str:
        return f"SmtpServer({self.host}:{self.port})"


class SmtpChannel:
    """Sends marketing only with a working unsubscribe link. Not thread-safe."""

    def __init__(self, server: SmtpServer, identity: Identity, unsubscribe_secret: bytes) -> None:
        self._server = server
        self._identity = identity
        self._secret = unsubscribe_secret
        self._connection: smtplib.SMTP | None = None

    def send(self, message: Message, address: str, now: datetime) -> Result:
        try:
            to = mailbox(address)
        except ValueError:
            return NoAddress()
        try:
            link = unsubscribe.link(message, self._secret) if message.category == "marketing" else ""
            content = compose(message, to, link, self._identity, now).as_bytes()
        except ValueError as error:
            return Failed(str(error))
        try:
            connection = self._connected()
            if to.needs_utf8 and not connection.has_extn("smtputf8"):
                return Failed("the mail server has no SMTPUTF8")
            if (refused := self._envelope(connection, to)) is not None:
                return refused
        except OSError as error:  # smtplib's errors are OSErrors
            self.close()
            return Later(_reason(error), everyone=True)
        try:
            code, text = connection.data(content)
        except smtplib.SMTPDataError as error:  # refused before the content was sent
            return self._after_reply(error.smtp_code, after_data(error.smtp_code, error.smtp_error))
        except OSError as error:
            self.close()
            return Unknown(_reason(error))
        if code == 250:
            return Sent()
        if not 400 <= code < 600:  # neither accepted nor refused, but the content was sent
            self.close()
            return Unknown(reason_of(code, text))
        return self._after_reply(code, after_data(code, text))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _envelope(self, connection: smtplib.SMTP, to: Mailbox) -> Result | None:
        """Sends MAIL and RCPT; None = the server accepts both."""
        options = ("SMTPUTF8", "BODY=8BITMIME") if to.needs_utf8 else ()
        code, text = connection.mail(self._identity.address, options)
        if code != 250:  # the server accepts no mail from us, whoever the recipient is
            return self._after_reply(code, Later(reason_of(code, text), everyone=True))
        code, text = connection.rcpt(to.envelope)
        return None if code in (250, 251) else self._after_reply(code, at_recipient(code, text))

    def _after_reply(self, code: int, result: Result) -> Result:
        if code == 421:  # the server closes the connection
            self.close()
        return result

    def _connected(self) -> smtplib.SMTP:
        """Returns the open connection, or a new one. RSET discards a refused mail, and detects a closed connection."""
        if self._connection is not None:
            try:
                if self._connection.rset()[0] == 250:
                    return self._connection
            except OSError:
                pass
            self.close()
        server = self._server
        domain, tls = self._identity.domain, ssl.create_default_context() if server.tls or server.starttls else None
        connection = (
            _SmtpTls(server.host, server.port, domain, timeout=server.timeout_s, context=tls)
            if server.tls
            else _Smtp(server.host, server.port, domain, timeout=server.timeout_s)
        )
        self._connection = connection
        if server.starttls:
            connection.starttls(context=tls)
        if server.user:
            connection.login(server.user, server.password)
        connection.ehlo_or_helo_if_needed()
        return connection


class _Smtp(smtplib.SMTP):
    """Limits each whole reply to `timeout`: otherwise a slow server could block the channel indefinitely."""

    timeout: float
    sock: socket.socket | None
    file: io.BufferedReader | None
    _deadline: Deadline | None = None  # not set in __init__: the base class's constructor already exchanges data

    def getreply(self) -> tuple[int, bytes]:
        deadline = self._begin()
        if self.file is None and self.sock is not None:
            self.file = deadline.reader(self.sock)
        try:
            return super().getreply()
        finally:
            if self.sock is not None:  # a TLS handshake may follow
                self.sock.settimeout(self.timeout)

    def send(self, s: str | bytes) -> None:  # type: ignore[override] # its stub allows any buffer
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("please run connect() first")
        try:
            self._begin().send(self.sock, s.encode(self.command_encoding) if isinstance(s, str) else s)
        except OSError as error:
            self.close()
            raise smtplib.SMTPServerDisconnected(type(error).__name__) from error

    def _begin(self) -> Deadline:
        if self._deadline is None:
            self._deadline = Deadline()
        self._deadline.begin(self.timeout)
        return self._deadline


class _SmtpTls(_Smtp, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


def _reason(error: OSError) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return reason_of(error.smtp_code, error.smtp_error)
    return type(error).__name__
