"""Decides which links and pictures may be published: https on the playbook's hosts, since anyone may send events and URLs."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from schemas.messages import ProductFacts
from workers.core.common.memoize import memoize_by_identity
from workers.core.playbook.playbook import Playbook

_HOST = re.compile(r"[a-z0-9.-]+")
#: Characters that browsers may interpret differently: blanks, controls, backslashes, quotes, markup.
_ODD = re.compile(r"[\s\x00-\x20\x7f-\xa0\\\"'<>`{}|^]")


@memoize_by_identity
def hosts(playbook: Playbook) -> tuple[frozenset[str], tuple[str, ...]]:
    """Returns (hosts of the playbook's own products, its `link_hosts`, whose subdomains count too), in lower case."""
    urls = (url for product in playbook.products.values() for url in (product.url, product.image_url))
    own = frozenset(host for url in urls if (host := _host(url)) is not None)
    return own, tuple(host.lower().lstrip("*.") for host in playbook.policy.link_hosts)


def safe(url: str, playbook: Playbook) -> str:
    """Returns the URL if it is https on a host of the playbook, else "".

    Rejects `javascript:`, `data:`, `intent:` and `//host`, and URLs with a user, a port other than 443, or letters that only
    resemble those of a host.
    """
    host = _host(url)
    if host is None:
        return ""
    own, named = hosts(playbook)
    return url if host in own or any(host == parent or host.endswith("." + parent) for parent in named) else ""


def trusted(product: ProductFacts, playbook: Playbook) -> ProductFacts:
    """Returns the facts with link and picture removed unless they are the playbook's own or safe."""
    known = playbook.products.get(product.product_id)
    own = (known.url, known.image_url) if known is not None else ("", "")
    if (product.url, product.image_url) == own:
        return product
    url = product.url if product.url == own[0] else safe(product.url, playbook)
    image_url = product.image_url if product.image_url == own[1] else safe(product.image_url, playbook)
    return msgspec.structs.replace(product, url=url, image_url=image_url)


def _host(url: str) -> str | None:
    if not url.isascii() or _ODD.search(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or port not in (None, 443):
        return None
    host = parts.hostname.lower()
    return host if _HOST.fullmatch(host) else None
