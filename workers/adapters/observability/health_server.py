"""Serves /metrics, /healthz (alive) and /readyz (ready for work) over HTTP, for the operator's probes and Prometheus.

It has its own threads, so it answers even while the event loop hangs. Answers name parts of the process, never a customer.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from workers.adapters.process.liveness import Liveness

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

#: An event loop that has not answered for this long fails the liveness probe; the watchdog waits longer [s].
UNHEALTHY_AFTER_S = 5.0
_REASONS_SHOWN = 8


def health(liveness: Liveness) -> tuple[bool, str]:
    """Returns whether the event loop answers, and one line for the probe."""
    if liveness.silent_s >= UNHEALTHY_AFTER_S:
        return False, f"the event loop has not answered for {liveness.silent_s:.0f} s"
    return True, "alive"


def readiness(liveness: Liveness) -> tuple[bool, str]:
    """Returns whether this worker is ready for work, and one line for the probe: what it waits for, if anything."""
    alive, why = health(liveness)
    if not alive:
        return False, why
    if waiting := liveness.waiting:
        more = f"; and {len(waiting) - _REASONS_SHOWN} more" if len(waiting) > _REASONS_SHOWN else ""
        return False, "; ".join(waiting[:_REASONS_SHOWN]) + more
    return True, "ready"


def application(liveness: Liveness, registry: CollectorRegistry) -> WSGIApplication:
    """Serves the three pages: 200, or 503 with the reason; other paths are 404, other methods than GET and HEAD 405."""
    metrics = make_wsgi_app(registry)
    probes = {"/healthz": health, "/readyz": readiness}

    def answer(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        method, path = environment["REQUEST_METHOD"], environment.get("PATH_INFO", "")
        if method not in ("GET", "HEAD"):
            return _text(method, start, "405 Method Not Allowed", "GET only")
        if path == "/metrics":
            page: Iterable[bytes] = metrics(environment, start)
            return page
        if path in probes:
            good, line = probes[path](liveness)
            return _text(method, start, "200 OK" if good else "503 Service Unavailable", line)
        return _text(method, start, "404 Not Found", "/metrics, /healthz, /readyz")

    return answer


def serve(app: WSGIApplication, port: int, host: str) -> int:
    """Serves in daemon threads until the process ends; port 0 = any free one. Returns the port, raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]

    class Server(_Server):
        address_family = family

    server = make_server(str(address[0]), port, app, Server, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return int(server.server_port)


class _Server(ThreadingMixIn, WSGIServer):
    """Uses a thread per request: a slow client does not block others."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Logs nothing, and closes the connection of a client that sends nothing."""

    timeout = 10.0

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the library's name
        """Logs nothing: a probe every ten seconds is not worth a line."""


def _text(method: str, start: StartResponse, status: str, line: str) -> list[bytes]:
    body = f"{line}\n".encode()
    start(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [] if method == "HEAD" else [body]
