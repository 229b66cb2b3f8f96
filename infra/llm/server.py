"""Runs the embedded LLM server: llama.cpp inside this process, OpenAI-compatible, loopback only.

`python -m infra.llm.server --port 8080` prints `llm: http://127.0.0.1:8080` when it answers; it ends on SIGTERM or SIGINT,
or when its parent dies. Calls beyond the slots are queued; a client that disconnects frees its slot.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from infra.llm import process, weights
from workers.core.errors import Fatal, Unavailable

SLOTS = 8  # more concurrent calls gain nothing on few cores, and each slot reserves memory
ERRORS_ONLY = 1  # llama.cpp's log level; from 3 on it logs every call
WAITING_CALLS = 256  # a queued call holds one HTTP thread, and /health needs one too
SOCKET_TIMEOUT_S = 120


def main() -> int:
    """Serves until a signal, then ends the process with status 0; returns 1 if it could not start."""
    process.die_with_parent()
    # Blocked before any thread exists, so that none of llama.cpp's threads takes the signal that sigwait waits for.
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        server = serve(process.arguments("The embedded OpenAI-compatible LLM server.", SLOTS))
    except Fatal as error:
        return process.report(error)
    process.announce(server.listening_address)
    signal.sigwait(signals)
    # Without returning: llama.cpp's destructor never ends while a call is in flight, and there is nothing to save.
    os._exit(0)


def serve(options: process.Options) -> Any:
    """Loads the weights and listens; returns the running server, which serves until it is garbage-collected.

    Raises Unavailable if weights or llama.cpp are missing or the port is in use.
    """
    try:
        import xllamacpp  # noqa: PLC0415 - 100 MB of native code that may be missing: reported as an error with a hint
    except ImportError as error:
        raise Unavailable(f"llama.cpp cannot be loaded: {error}.", weights.HINT) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(weights.find())
    params.model_alias = {weights.MODEL}
    params.hostnames = [options.host]
    params.port = options.port
    params.n_parallel = options.slots
    params.n_ctx = options.slots * options.context_tokens
    params.kv_unified = False  # each slot has its own share, which no other call can use
    params.n_threads_http = options.slots + WAITING_CALLS
    params.timeout_read = params.timeout_write = SOCKET_TIMEOUT_S
    # One core stays free: llama.cpp's threads spin while they wait for each other, and one that is descheduled stalls all (2
    # threads on 2 cores alongside one busy process: half the throughput of 1 thread).
    threads = max(1, process.usable_cores() - 1)
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = threads
        cpu.poll = 0  # idle threads sleep
    params.cache_ram_mib = 0  # by default up to 8 GiB of old prompts
    params.fit_params = False
    params.verbosity = ERRORS_ONLY
    params.endpoint_metrics = True
    params.endpoint_slots = False  # it shows every client's prompt
    params.ui = False
    # No web page may read answers; by default, any may.
    where = process.url(options.host, options.port)
    params.cors_origins, params.cors_origins_explicit, params.cors_credentials = where, True, False
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, OSError, ValueError) as error:
        raise Unavailable(
            f"The LLM server cannot start on {where}: {str(error).rstrip('.')}.", "is the port free? --port 0"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
