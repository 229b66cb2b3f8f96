"""The e-mail channel: one persistent SMTP connection, and what each reply code means for the message."""

from __future__ import annotations

import re
import smtplib
import ssl
from datetime import datetime

import msgspec

from schemas.messages import Message
from workers.delivery import unsubscribe
from workers.delivery.channels import Bounced, Failed, Later, Result, Sent, Unknown
from workers.delivery.mail import POLICY, Identity, compose, recipient

_ENHANCED = re.compile(r"(\d\.\d{1,3}\.\d{1,3})\b")


class SmtpServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where to hand mail in. A user needs `tls` (from the first byte) or `starttls`: no password goes in plain text."""

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
    """Sends marketing only with a working unsubscribe link. Not for several threads."""

    def __init__(self, server: SmtpServer, identity: Identity, unsubscribe_secret: bytes) -> None:
        self._server = server
        self._identity = identity
        self._secret = unsubscribe_secret
        self._connection: smtplib.SMTP | None = None

    def send(self, message: Message, address: str, now: datetime) -> Result:
        try:
            recipient(address)
        except ValueError:
            return Bounced("553 5.1.3")  # what a mail server says to a broken address
        try:
            link = unsubscribe.link(message, self._secret) if message.category == "marketing" else ""
        except ValueError as error:
            return Failed(str(error))
        content = compose(message, address, link, self._identity, now).as_bytes(policy=POLICY)
        try:
            connection = self._ready()
            code, text = connection.mail(self._identity.address)
            if code != 250:
                if code == 421:
                    self.close()
                return Later(_code(code, text), everyone=True)  # it does not take mail from us, whoever it is for
            code, text = connection.rcpt(address)
            if code not in (250, 251):
                return _bounce(code, text) if code >= 500 else self._refused(code, text)
        except OSError as error:  # smtplib's errors are OSErrors
            self.close()
            return Later(_words(error), everyone=True)
        try:
            code, text = connection.data(content)
        except smtplib.SMTPDataError as error:  # refused before the words went out
            return self._refused(error.smtp_code, error.smtp_error)
        except OSError as error:
            self.close()
            return Unknown(_words(error))
        return Sent() if code == 250 else self._refused(code, text)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ready(self) -> smtplib.SMTP:
        """The open connection, or a new one. RSET forgets a refused mail, and finds a connection the server has closed."""
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
            smtplib.SMTP_SSL(server.host, server.port, domain, timeout=server.timeout_s, context=tls)
            if server.tls
            else smtplib.SMTP(server.host, server.port, domain, timeout=server.timeout_s)
        )
        self._connection = connection
        if server.starttls:
            connection.starttls(context=tls)
        if server.user:
            connection.login(server.user, server.password)
        connection.ehlo_or_helo_if_needed()
        return connection

    def _refused(self, code: int, text: bytes | str) -> Result:
        if code == 421:  # the server closes the connection
            self.close()
        return Failed(_code(code, text)) if code >= 500 else Later(_code(code, text), everyone=code == 421)


def _bounce(code: int, text: bytes | str) -> Bounced | Failed:
    """5xx on the recipient, told apart by RFC 3463: x.7.z is the server's policy, x.2.2 a full mailbox."""
    reason = _code(code, text)
    if " 5.7." in reason:
        return Failed(reason)
    return Bounced(reason, "soft" if reason.endswith(" 5.2.2") else "hard")


def _code(code: int, text: bytes | str) -> str:
    """`550 5.1.1`. The rest of a reply often repeats the address, so it stays here."""
    words = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    enhanced = _ENHANCED.match(words.strip())
    return f"{code} {enhanced[1]}" if enhanced else str(code)


def _words(error: OSError) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _code(error.smtp_code, error.smtp_error)
    return type(error).__name__
