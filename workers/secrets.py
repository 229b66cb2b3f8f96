"""Defines the types for text that must not be printed: passwords, tokens, and URLs that contain them."""

from __future__ import annotations

import ipaddress
import re
from base64 import b64encode
from typing import Any, Self
from urllib.parse import unquote, urlsplit

HIDDEN = "***"
#: Paths that only name an API; any other path may contain a token.
_PLAIN_PATHS = ("", "/", "/v1", "/v1/", "/v1/traces")
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d{1,5})?")


class Secret(str):
    """A text that is `***` in repr, str, f-strings and logs. `reveal` returns the text itself, to send to the other side.

    It is a str, so that it can be compared and checked like one. If a library calls str() on it, the secret is useless there, but
    not leaked.

    >>> f"{Secret('sesame')} {Secret('')}", reveal(Secret("sesame"))
    ('*** ', 'sesame')
    """

    __slots__ = ()

    def __new__(cls, value: str = "") -> Self:
        return super().__new__(cls, reveal(value))

    def __str__(self) -> str:
        return HIDDEN if self else ""

    def __repr__(self) -> str:
        return repr(str(self))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (reveal(self),)


class SecretUrl(Secret):
    """One or more URLs, comma-separated, printed without credentials: only the destination. Text without :// is not secret.

    >>> print(SecretUrl("https://me:sesame@a.example:8443/v1,https://hooks.example/T0/sesame?key=sesame"))
    https://a.example:8443/v1,https://hooks.example/***
    """

    __slots__ = ()

    def __str__(self) -> str:
        return ",".join(shown(part.strip()) for part in reveal(self).split(","))


def reveal(text: str) -> str:
    """Returns the text itself, as a plain str."""
    return str.__str__(text)


def shown(url: str) -> str:
    """Returns scheme, host and port of a URL, and its path if that is a common one; parts that are ambiguous are hidden.

    >>> shown("https://me:secret@llm.example/"), shown("off"), shown("http://me:secret@1/2@llm.example")
    ('https://llm.example/', 'off', 'http://***')
    """
    scheme, separator, rest = reveal(url).partition("://")
    if not separator:
        return scheme if re.fullmatch(r"[a-z-]{0,12}", scheme) else HIDDEN
    found = re.match(r"[^/?#]*", rest)
    authority = found[0] if found else ""
    tail = rest[len(authority) :]
    host_port = authority.rpartition("@")[2]
    if "@" in tail or not _HOST_PORT.fullmatch(host_port):  # a password that contains a /, or not a valid host
        return f"{scheme}://{HIDDEN}" if re.fullmatch(r"[a-z+]{1,20}", scheme) else HIDDEN
    return f"{scheme}://{host_port}{tail if tail in _PLAIN_PATHS else '/' + HIDDEN}"


def without_login(url: str) -> tuple[str, str]:
    """Returns the URL without user and password, and the Authorization header built from them ("" = there are none).

    >>> without_login("http://me:s3%20cret@llm.example:8000")
    ('http://llm.example:8000', 'Basic bWU6czMgY3JldA==')
    >>> without_login("http://llm.example/v1")
    ('http://llm.example/v1', '')
    """
    parts = urlsplit(reveal(url))
    login, at, host_port = parts.netloc.rpartition("@")
    if not at:
        return reveal(url), ""
    user, _, password = login.partition(":")
    credentials = b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    return parts._replace(netloc=host_port).geturl(), f"Basic {credentials}"


def is_http(url: str) -> bool:
    """Returns True for an HTTP(S) URL with a host and without query and fragment.

    >>> is_http("https://a.example:8000/v1"), is_http("http://a.example?key=1"), is_http("off"), is_http("http://a:port")
    (True, False, False, False)
    """
    try:
        parts = urlsplit(reveal(url))
        tail = parts.query or parts.fragment
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not tail
    except ValueError:
        return False


def plain_host(url: str) -> str:
    """Returns the remote host that this URL reaches in plain text; "" = encrypted, or on this machine.

    A name other than localhost counts as remote, even if it could resolve to this machine.

    >>> [plain_host(f"{url}/hook") for url in ("http://vllm:8000", "fcm+http://A", "https://vllm", "http://127.0.0.1:1")]
    ['vllm', 'a', '', '']
    """
    try:
        parts = urlsplit(reveal(url))
        host = parts.hostname or ""
    except ValueError:
        return ""  # the code that uses the URL reports that it is invalid
    if parts.scheme not in ("http", "fcm+http") or host == "localhost":
        return ""
    try:
        return "" if ipaddress.ip_address(host).is_loopback else host
    except ValueError:
        return host
