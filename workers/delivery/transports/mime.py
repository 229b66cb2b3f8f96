"""Composes an e-mail from a message: text and HTML from the same fields, and the headers that mailbox providers require. Pure."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from html import escape

import msgspec

from schemas.messages import Message
from workers.delivery.email_address import Mailbox

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_UNSUBSCRIBE = {"en": "Unsubscribe", "zh": "退订"}


#: Mail clients show about 80 characters; the standard library takes quadratic time to fold longer headers.
MAX_SUBJECT = 300


class _Policy(EmailPolicy):
    """Keeps ASCII headers on one line: the standard library would break a long URL into encoded words that cannot be clicked."""

    def fold_binary(self, name: str, value: str) -> bytes:
        line = f"{name}: {value}"
        if line.isascii() and len(line) <= 998:  # RFC 5322's limit
            return line.encode() + b"\r\n"
        return super().fold_binary(name, value)


POLICY = _Policy(linesep="\r\n", cte_type="7bit")
#: For an address whose local part is not ASCII, on servers with SMTPUTF8 (RFC 6532).
POLICY_UTF8 = POLICY.clone(utf8=True)


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The sender of e-mails. `address`: for example `news@shop.example`, ASCII; your mail server signs for its domain (DKIM)."""

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def compose(message: Message, to: Mailbox, unsubscribe_url: str, identity: Identity, now: datetime) -> EmailMessage:
    """Returns the e-mail of a message. `unsubscribe_url` "" = none (transactional only).

    The same message always gets the same Message-ID. Raises ValueError for a subject of more than MAX_SUBJECT characters.
    """
    subject = _one_line(message.email_subject or message.title)
    if len(subject) > MAX_SUBJECT:
        raise ValueError(f"the subject has {len(subject)} characters; {MAX_SUBJECT} are allowed")
    mail = EmailMessage(policy=POLICY_UTF8 if to.needs_utf8 else POLICY)
    mail["From"] = Address(display_name=_one_line(identity.name), addr_spec=identity.address)
    mail["To"] = to.header
    mail["Subject"] = subject
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{_message_id(message.message_id)}@{identity.domain}>"
    mail["Content-Language"] = _token(message.locale)
    mail["X-Message-ID"] = _token(message.message_id)
    # Identifies groups of mail, never a person; the last is the same for all mail (Gmail's feedback loop: 5 to 15 characters).
    groups = (message.campaign_id, message.variation_id or "none", message.category, f"attune-{identity.domain}"[:15])
    mail["Feedback-ID"] = ":".join(_token(group) for group in groups)
    if message.list_id:
        mail["List-Id"] = f"<{_token(message.list_id)}.{identity.domain}>"
    if unsubscribe_url:
        mail["List-Unsubscribe"] = f"<{_one_line(unsubscribe_url)}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(_text(message, unsubscribe_url))
    mail.add_alternative(_html(message, unsubscribe_url), subtype="html")
    return mail


def _text(message: Message, unsubscribe_url: str) -> str:
    link = _http_url(message.cta.link_url)
    parts = [
        message.title,
        message.body,
        f"{message.cta.text}: {link}" if message.cta.text and link else link,
        message.ai_label,
        f"{_unsubscribe(message)}: {unsubscribe_url}" if unsubscribe_url else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _html(message: Message, unsubscribe_url: str) -> str:
    link, image = escape(_http_url(message.cta.link_url)), escape(_http_url(message.image_url))
    body = escape(message.body).replace("\n", "<br>\n")
    parts = [
        f'<div style="display:none;max-height:0;overflow:hidden">{escape(message.preheader)}</div>',
        f"<h1>{escape(message.title)}</h1>" if message.title else "",
        f'<img src="{image}" alt="" width="560">' if image else "",
        f"<p>{body}</p>",
        f'<p><a href="{link}">{escape(message.cta.text) or link}</a></p>' if link else "",
        f"<p><small>{escape(message.ai_label)}</small></p>" if message.ai_label else "",
        f'<p><small><a href="{escape(unsubscribe_url)}">{_unsubscribe(message)}</a></small></p>'
        if unsubscribe_url
        else "",
    ]
    head = f'<head><meta charset="utf-8"><title>{escape(_one_line(message.email_subject))}</title></head>'
    content = "\n".join(part for part in parts if part)
    return f'<!doctype html>\n<html lang="{_token(message.locale)}">\n{head}\n<body>\n{content}\n</body>\n</html>\n'


def _unsubscribe(message: Message) -> str:
    return _UNSUBSCRIBE.get(message.locale.partition("-")[0], _UNSUBSCRIBE["en"])


def _one_line(text: str) -> str:
    """Returns the text as one line without control characters, so that it cannot inject a header.

    >>> _one_line("Hello\\r\\nBcc: eve@evil.example")
    'Hello Bcc: eve@evil.example'
    """
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _token(text: str) -> str:
    return _UNSAFE.sub("-", text)


def _message_id(text: str) -> str:
    """Returns the left side of a Message-ID: the ID if it is at most 64 letters, digits, `.`, `_` and `-`, else its digest."""
    return text if len(text) <= 64 and not _UNSAFE.search(text) else hashlib.sha256(text.encode()).hexdigest()


def _http_url(url: str) -> str:
    """Returns the URL if it is http(s), otherwise "": an e-mail never contains `javascript:`, whatever its source."""
    return url if url.startswith(("https://", "http://")) and url.isprintable() and " " not in url else ""
