"""Sets up the process of an LLM server: it dies with its parent, picks cores and a port, and ends cleanly."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import http.client
import ipaddress
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from workers.core.errors import Fatal, Misconfigured

ANNOUNCEMENT = "llm: "
PR_SET_PDEATHSIG = 1
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def die_with_parent(parent: int | None = None) -> None:
    """Requests SIGTERM from the kernel for when the thread that started this process ends (Linux; no effect elsewhere).

    `parent` is the expected process ID of the parent: a parent that has already exited is detected at once.
    """
    parent = os.getppid() if parent is None else parent
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)


def usable_cores() -> int:
    """Returns the number of cores that this process may use, at least 1: its CPU affinity, limited by a container's quota."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = CPU_QUOTA.read_text().split()
        cores = min(cores, int(quota) // int(period))  # `max` (no quota) is not a number: no limit
    return max(1, cores)


def free_port(host: str) -> int:
    """Returns a TCP port that is free now. Another process may use it first."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def answers(host: str, port: int, path: str = "/health", timeout_s: float = 2.0) -> bool:
    """Returns whether a GET is answered with 200 within `timeout_s`."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def stop(process: subprocess.Popen[bytes], grace_s: float, *, group: bool = False) -> None:
    """Stops a child: SIGTERM, after `grace_s` SIGKILL; returns once it has exited. `group`: its whole process group."""

    def send(number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if group:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)

    if process.poll() is None:
        send(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    if group or process.poll() is None:
        send(signal.SIGKILL)
    process.wait()


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of both servers: an address, and `slots` concurrent calls with a context of `context_tokens` each.

    `folder`: the working folder; None = a new one.
    """

    host: str
    port: int
    slots: int
    context_tokens: int
    folder: Path | None = None


def arguments(description: str, slots: int) -> Options:
    """Parses the command line that both servers share; `slots` is the default. An invalid number exits the process (2).

    Raises Misconfigured for a host that is not loopback.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port; 0 = a free one (default)")
    parser.add_argument("--slots", type=int, default=slots, help="number of concurrent calls (default: %(default)s)")
    parser.add_argument(
        "--context", type=int, default=2048, help="maximum tokens of prompt and answer together (default: %(default)s)"
    )
    parser.add_argument("--folder", type=Path, help="working folder, accessible to this user only (default: a new one)")
    values = parser.parse_args()
    if values.slots < 1 or values.context < 256 or not 0 <= values.port <= 65535:
        parser.error("--slots must be at least 1, --context at least 256, --port within 0..65535")
    host = require_loopback(values.host)
    return Options(host=host, port=values.port, slots=values.slots, context_tokens=values.context, folder=values.folder)


def require_loopback(host: str) -> str:
    """Returns the address if it is loopback: these servers have no API key, so only this machine may reach them.

    Raises Misconfigured for a host name or another address.
    """
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return host
    raise Misconfigured(f"--host {host} is not a loopback address, and the server has no API key.", "--host 127.0.0.1")


def url(host: str, port: int) -> str:
    """Returns the base URL for clients."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def announce(base_url: str) -> None:
    """Prints the line that the parent process waits for."""
    print(f"{ANNOUNCEMENT}{base_url}", flush=True)  # noqa: T201 - standard output is the interface


def report(error: Fatal) -> int:
    """Prints on stderr why the server does not start; returns the exit status."""
    print(f"llm: {error}", file=sys.stderr, flush=True)  # noqa: T201 - a person reads it
    return 1
