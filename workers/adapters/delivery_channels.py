"""Builds the delivery port of each channel of the role `deliver` from the settings, and reports mistakes before it sends."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import msgspec

from workers.core.errors import Misconfigured
from workers.delivery.addresses import SqliteAddressBook
from workers.delivery.dispatch import Rules
from workers.delivery.email_address import mailbox
from workers.delivery.ports import AddressBook, Channel
from workers.delivery.transports.fcm import FcmChannel, TokenFile
from workers.delivery.transports.http import Endpoint
from workers.delivery.transports.mime import Identity
from workers.delivery.transports.smtp import SmtpChannel, SmtpServer
from workers.delivery.transports.webhook import UserIdAddressBook, WebhookChannel, secret_of
from workers.secrets import reveal
from workers.settings import Settings

_SMTP_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
_WEBHOOK = ("http", "https")
_FCM = ("fcm+http", "fcm+https")
#: Channel → the schemes its URL may have.
SCHEMES = {"email": (*_SMTP_PORTS, *_WEBHOOK), "push": (*_FCM, *_WEBHOOK), "sms": _WEBHOOK, "in_app": _WEBHOOK}


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """The destination of one channel's messages. `addresses` opens the address book, in the thread that reads it."""

    where: str
    channel: Channel
    addresses: Callable[[], AddressBook]
    rules: Rules


def configured(settings: Settings) -> tuple[str, ...]:
    """Returns the channels that have a destination.

    >>> configured(Settings().changed(deliver_sms="https://sms.example/send"))
    ('sms',)
    """
    return tuple(channel for channel, url in settings.deliver.urls.items() if url != "off")


def ports(settings: Settings) -> dict[str, Port]:
    """Returns one port for each configured channel; nothing is connected yet. Raises Misconfigured naming the setting."""
    if not configured(settings):
        raise Misconfigured(
            "deliver has no channel to send to.",
            f"set one of: {', '.join('ATTUNE_' + _setting(one).upper() for one in SCHEMES)}",
        )
    if settings.deliver.timeout_s >= settings.stop_timeout_s:
        raise Misconfigured(
            f"deliver_timeout_s = {settings.deliver.timeout_s:g} is not below stop_timeout_s.",
            "lower it, or increase stop_timeout_s: a message in progress must finish before the process is stopped",
        )
    rates = _rates(settings)
    return {channel: _port(channel, settings, rates.get(channel)) for channel in configured(settings)}


def _port(channel: str, settings: Settings, rate_per_s: float | None) -> Port:
    name = _setting(channel)
    url = _url(name, reveal(settings.deliver.urls[channel]), SCHEMES[channel])
    smtp = url.scheme in _SMTP_PORTS
    resend = not smtp if settings.deliver.after_crash == "auto" else settings.deliver.after_crash == "resend"
    addresses: Callable[[], AddressBook] = UserIdAddressBook
    if url.scheme not in _WEBHOOK:
        addresses = _addresses(settings, channel)
    return Port(
        where=f"{url.scheme}://{url.hostname}",
        channel=_smtp(url, settings) if smtp else _http(name, url, settings),
        addresses=addresses,
        rules=Rules(resend=resend, rate_per_s=rate_per_s),
    )


def _http(name: str, url: SplitResult, settings: Settings) -> Channel:
    try:
        endpoint = Endpoint(url.geturl().removeprefix("fcm+"), settings.deliver.timeout_s)
    except ValueError as error:
        raise Misconfigured(f"{name}: {error}.", "https://host/path, ASCII without spaces") from error
    if url.scheme in _FCM:
        return FcmChannel(endpoint.post, _token(settings))
    try:
        return WebhookChannel(endpoint.post, secret_of(reveal(settings.deliver.webhook_secret)))
    except ValueError as error:
        raise Misconfigured(f"deliver_webhook_secret: {error}.", 'echo "whsec_$(openssl rand -base64 32)"') from error


def _setting(channel: str) -> str:
    return f"deliver_{channel}"


def _url(name: str, text: str, schemes: tuple[str, ...]) -> SplitResult:
    """Parses the URL of a setting. Error messages do not quote it: people put secrets into URLs."""
    allowed = f"`off`, or {', '.join(f'{scheme}://' for scheme in schemes)} and a host"
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise Misconfigured(f"{name} is not a URL.", allowed) from error
    if url.scheme not in schemes or not url.hostname or port == 0:
        raise Misconfigured(f"{name} is not a URL that this channel can use.", allowed)
    if url.username is not None or url.fragment:
        raise Misconfigured(
            f"{name} has a user, a password or a fragment in its URL.",
            "remove it: passwords have their own settings",
        )
    return url


def _smtp(url: SplitResult, settings: Settings) -> SmtpChannel:
    if url.path.strip("/") or url.query:
        raise Misconfigured("deliver_email: the URL of a mail server has no path.", "smtp://host:port")
    name, address = parseaddr(settings.deliver.sender)
    try:
        sender = mailbox(address)
        if sender.needs_utf8:
            raise ValueError("not ASCII before the @")
    except ValueError as error:
        raise Misconfigured(
            "deliver_from is not an address.", "news@shop.example, or The Shop <news@shop.example>"
        ) from error
    if len(settings.deliver.unsubscribe_secret) < 16:
        raise Misconfigured("deliver_unsubscribe_secret is shorter than 16 characters.", "`openssl rand -hex 32`")
    if bool(settings.deliver.smtp_user) != bool(settings.deliver.smtp_password):
        raise Misconfigured("deliver_smtp_user and deliver_smtp_password must be set together.", "set both or neither")
    if settings.deliver.smtp_user and url.scheme == "smtp":
        raise Misconfigured(
            "deliver_smtp_user with smtp:// would send the password in plain text.", "smtps:// or smtp+starttls://"
        )
    server = SmtpServer(
        host=url.hostname or "",
        port=url.port or _SMTP_PORTS[url.scheme],
        starttls=url.scheme == "smtp+starttls",
        tls=url.scheme == "smtps",
        user=settings.deliver.smtp_user,
        password=reveal(settings.deliver.smtp_password),
        timeout_s=settings.deliver.timeout_s,
    )
    return SmtpChannel(
        server, Identity(address=sender.envelope, name=name), reveal(settings.deliver.unsubscribe_secret).encode()
    )


def _addresses(settings: Settings, channel: str) -> Callable[[], AddressBook]:
    path = Path(settings.deliver.addresses)
    try:
        SqliteAddressBook(path).address("", channel)
    except sqlite3.Error as error:
        raise Misconfigured(
            f"deliver_addresses: {settings.deliver.addresses!r}: {error}.",
            "name a SQLite file with a table addresses(user_id, channel, address)",
        ) from error
    return lambda: SqliteAddressBook(path)


def _token(settings: Settings) -> TokenFile:
    token = TokenFile(Path(settings.deliver.push_token_file))
    if not token():
        raise Misconfigured("deliver_push_token_file: the file contains no token.", "name a file with the bearer token")
    return token


def _rates(settings: Settings) -> dict[str, float]:
    rates = {}
    for part in filter(None, (part.strip() for part in settings.deliver.rates_per_s.split(","))):
        channel, text = (side.strip() for side in part.partition("=")[::2])
        try:
            rate_per_s = float(text)
        except ValueError:
            rate_per_s = 0.0
        if channel not in SCHEMES or not 0 < rate_per_s < math.inf:
            raise Misconfigured(
                f"deliver_rates_per_s: {part!r} is not allowed.", f"email=50,sms=5; channels: {', '.join(SCHEMES)}"
            )
        rates[channel] = rate_per_s
    return rates
