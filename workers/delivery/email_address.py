"""Normalises an address book's e-mail address into one envelope address, or raises ValueError. Pure."""

from __future__ import annotations

import re
from email.headerregistry import Address

import idna
import msgspec

#: Full stops of Chinese and Japanese keyboards, as listed by IDNA (RFC 3490, 3.1).
_DOTS = str.maketrans({"。": ".", "．": ".", "｡": "."})
#: Invisible characters that are pasted along with an address: zero-width characters, a byte order mark, a soft hyphen.
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u00a1-\U0010ffff-]+")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
#: RFC 5321, 4.5.3.1 [octets].
_MAX_LOCAL, _MAX_ADDRESS = 64, 254


class Mailbox(msgspec.Struct, frozen=True):
    """One address. The domain is ASCII (IDNA); the local part may be non-ASCII, which requires SMTPUTF8."""

    local: str
    domain: str

    @property
    def header(self) -> Address:
        """The address for a header; quoted where RFC 5322 requires it."""
        return Address(username=self.local, domain=self.domain)

    @property
    def envelope(self) -> str:
        return self.header.addr_spec

    @property
    def needs_utf8(self) -> bool:
        return not self.local.isascii()


def mailbox(text: str) -> Mailbox:
    """Parses an address; accepts surrounding blanks, full-width characters and international domains. Raises ValueError.

    >>> mailbox(" ana@bücher。example ").envelope
    'ana@xn--bcher-kva.example'
    >>> mailbox("ana@mail.example\\r\\nBcc: eve@evil.example")
    Traceback (most recent call last):
    ValueError: not an address
    """
    text = text.strip().strip(_INVISIBLE).strip()
    local, at, domain = (text if "@" in text else text.replace("＠", "@")).rpartition("@")
    if not at or not _ATOM.fullmatch(local) or not local.isprintable() or len(local.encode()) > _MAX_LOCAL:
        raise ValueError("not an address")
    parsed = Mailbox(local, _ascii_domain(domain.translate(_DOTS)))
    if len(parsed.envelope.encode()) > _MAX_ADDRESS:
        raise ValueError("not an address")
    return parsed


def _ascii_domain(domain: str) -> str:
    domain = domain.removesuffix(".")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError) as error:
            raise ValueError("not an address") from error
    if len(domain) > 253 or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        raise ValueError("not an address")
    return domain
