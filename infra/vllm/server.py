"""Starts vLLM's OpenAI-compatible server on the CPU, loopback only, in vLLM's own environment.

`python -m infra.vllm.server --port 8080` prints `llm: http://127.0.0.1:8080` when it answers; all of vLLM's processes end on
SIGTERM or SIGINT, or when the parent dies. The first start converts the weights.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from infra.llm import process, weights
from workers.core.errors import Fatal, Misconfigured, Unavailable
from workers.private_files import UMASK, private_folder

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "ATTUNE_VLLM_PYTHON"
HINT = "make setup-vllm"
SLOTS = 32  # unlike llama.cpp on few cores, vLLM still gains from 32 concurrent calls
KV_CACHE_GIB = 2
START_S = 300.0
STOP_S = 10.0
POLL_S = 0.2
CPU_INFO = Path("/proc/cpuinfo")
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # x86 and ARM: the CPU flags for bfloat16 arithmetic


def main() -> int:
    """Serves until a signal (status 0); returns 1 if vLLM could not start or exited unexpectedly."""
    process.die_with_parent()
    stop_requested = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop_requested.set())
    try:
        options = process.arguments("The CPU build of vLLM as OpenAI-compatible LLM server.", SLOTS)
        python = locate_python(os.environ)
        model = converted(python, weights.find(), model_cache(os.environ), stop_requested)
        options = replace(options, port=options.port or process.free_port(options.host))
        return serve(command(python, model, options), options, stop_requested)
    except Stopped:
        return 0
    except Fatal as error:
        return process.report(error)


class Stopped(Exception):
    """Raised if a signal arrives during the start or a conversion."""


def locate_python(environment: Mapping[str, str]) -> Path:
    """Returns the Python of vLLM's environment: ATTUNE_VLLM_PYTHON, otherwise that of `make setup-vllm`.

    Raises Misconfigured if the variable is not the path of a file, Unavailable if the environment is missing.
    """
    if named := environment.get(PYTHON):
        if not Path(named).is_file():
            raise Misconfigured(
                f"{PYTHON} = {named!r} is not a file.", "set it to the python of an environment with vLLM"
            )
        return Path(named)
    python = ROOT / ".venv-vllm" / "bin" / "python"
    if not python.is_file():
        raise Unavailable("The environment of vLLM is missing (.venv-vllm).", HINT)
    return python


def model_cache(environment: Mapping[str, str]) -> Path:
    """Returns the folder of converted models: `vllm` in the folder of ATTUNE_CACHE, otherwise in `.cache` of the checkout."""
    return Path(environment.get("ATTUNE_CACHE") or ROOT / ".cache").absolute() / "vllm"


def converted(python: Path, gguf: Path, cache: Path, stop_requested: threading.Event) -> Path:
    """Returns the folder with these weights in vLLM's format; converted on first use (25 s), cached by the GGUF's hash.

    Raises Unavailable if the conversion fails, Stopped if a signal arrives.
    """
    with gguf.open("rb") as file:
        key = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    folder = cache / f"{key}-bfloat16"
    if not folder.is_dir():
        variables = environment(os.environ) | {"PYTHONPATH": str(ROOT)}  # the only code of Attune that its Python runs
        child = _spawn([str(python), "-P", "-m", "infra.vllm.convert", str(gguf), str(folder)], variables, ROOT)
        try:
            while child.poll() is None:
                _pause(stop_requested)
        finally:
            process.stop(child, STOP_S, group=True)
        if child.returncode != 0:
            raise Unavailable(f"{gguf.name} could not be converted for vLLM.", HINT)
    return folder


def serve(arguments: list[str], options: process.Options, stop_requested: threading.Event) -> int:
    """Runs vLLM until a signal; returns 1 if it exits unexpectedly after its start.

    Raises Stopped after a signal, Unavailable if it exits during its start, or does not answer within START_S.
    """
    host, port = options.host, options.port
    folder = working_folder(options.folder)
    child = _spawn(arguments, environment(os.environ), folder)
    try:
        deadline = time.monotonic() + START_S
        while not process.answers(host, port):
            if child.poll() is not None:
                raise Unavailable("vLLM exited during its start; its last lines are above.", HINT)
            if time.monotonic() > deadline:
                raise Unavailable(f"vLLM did not answer within {START_S:.0f} s.", "is the machine overloaded?")
            _pause(stop_requested)
        process.announce(process.url(host, port))
        while child.poll() is None:
            _pause(stop_requested)
        return 1
    finally:
        process.stop(child, STOP_S, group=True)
        if options.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


def working_folder(named: Path | None) -> Path:
    """Returns vLLM's working folder, in which no other user can place a `torch.py`.

    Raises Misconfigured for a folder that other users can access.
    """
    if named is None:
        return Path(tempfile.mkdtemp(prefix="attune-vllm-"))
    folder = private_folder(named)
    if folder.stat().st_mode & UMASK:
        raise Misconfigured(
            f"--folder {named} is accessible to other users.", "use a folder that only this user can access"
        )
    return folder


def command(python: Path, model: Path, options: process.Options) -> list[str]:
    """Returns vLLM's command line."""
    return [
        *(str(python), "-P", "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(model), "--served-model-name", weights.MODEL),
        *("--host", options.host, "--port", str(options.port)),
        *("--dtype", compute_dtype(CPU_INFO), "--enforce-eager", "--enable-prefix-caching"),
        *("--max-model-len", str(options.context_tokens), "--max-num-seqs", str(options.slots)),
        # vLLM 0.32 on a CPU crashes ("CPU Generator does not use offset") if it splits the prompt of a call with a seed
        # over two steps: splitting is disabled, and one step is large enough for any prompt.
        *("--no-enable-chunked-prefill", "--max-num-batched-tokens", str(max(2048, options.context_tokens))),
        # No whitespace between JSON tokens: fewer tokens, and a small model cannot write blanks until the limit.
        *("--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'),
        *("--distributed-executor-backend", "uni"),
        *("--allowed-origins", f'["{process.url(options.host, options.port)}"]', "--disable-fastapi-docs"),
        "--disable-uvicorn-access-log",
    ]


def compute_dtype(cpu_info: Path) -> str:
    """Returns bfloat16 if the CPU has instructions for it, otherwise float32: without them prompts take five times as long."""
    try:
        lines = cpu_info.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return "float32"
    flags = {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split()}
    return "bfloat16" if flags & BFLOAT16 else "float32"


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """Returns vLLM's environment variables on top of `base`, without those that point Python to Attune's environment."""
    kept = {name: value for name, value in base.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    return kept | {
        "VLLM_CPU_KVCACHE_SPACE": str(KV_CACHE_GIB),
        "PYTHONSAFEPATH": "1",  # as -P, for the processes that vLLM starts
        "VLLM_HOST_IP": "127.0.0.1",  # the sockets between its own processes
        # The model runs inside the engine's process (backend `uni`): one process less, and 13 s less for imports. vLLM then
        # does not configure OpenMP. One core stays free, as for llama.cpp; no pinning, because the workers share these cores.
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": str(max(1, process.usable_cores() - 1)),
        "VLLM_LOGGING_LEVEL": "WARNING",
        "PYTHONWARNINGS": "ignore",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
    }


def _spawn(arguments: list[str], variables: Mapping[str, str], folder: Path) -> subprocess.Popen[bytes]:
    own = os.getpid()
    return subprocess.Popen(  # noqa: S603 - our own command line
        arguments,
        env=dict(variables),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,  # our standard output has only one line
        start_new_session=True,
        preexec_fn=lambda: process.die_with_parent(own),  # noqa: PLW1509 - this process has one thread
    )


def _pause(stop_requested: threading.Event) -> None:
    if stop_requested.wait(POLL_S):
        raise Stopped


if __name__ == "__main__":
    sys.exit(main())
