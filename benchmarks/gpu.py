"""Measures `generate` on a GPU (`make bench-gpu`): messages/s, tokens/s, time to the first token, and its own CPU cost.

Needs vLLM on a machine with a GPU (`ATTUNE_VLLM_PYTHON` names its Python; default: the Python that runs this). Speed does not
depend on the weights: without `--model`, vLLM runs random ones in the shape of Qwen3-8B with the tokenizer of the embedded
model, so nothing is downloaded. Its texts are then random but match the JSON schema: the guardrails reject most, each is
requested twice, and only the rates per call are meaningful. With `--model` (a name on the hub, or a folder) the texts are real.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.findings import hardware, here
from benchmarks.programs import ROOT
from benchmarks.run import JVM_OPTIONS, say
from benchmarks.words import Concurrency, Words, bench_words
from infra.kafka.embedded import EmbeddedKafka
from infra.kafka.ports import pick_port
from infra.llm.weights import find
from workers.settings_loader import load

#: https://huggingface.co/Qwen/Qwen3-8B/blob/main/config.json (Apache-2.0): the fields that decide the speed.
QWEN3_8B = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "max_position_embeddings": 40960,
    "rope_theta": 1000000,
    "rms_norm_eps": 1e-06,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
_START_S = 900.0
_METRIC = re.compile(r"^(vllm:[a-z0-9_]+)(?:\{[^}]*\})? ([0-9.e+-]+)$", re.MULTILINE)


class OnGpu(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one concurrency. Tokens are as counted by vLLM; `ttft_s` is the mean time to the first token."""

    words: list[Words]
    prompt_tokens_per_s: float
    output_tokens_per_s: float
    ttft_s: float
    prefix_hit_rate: float


class GpuFindings(msgspec.Struct, frozen=True, kw_only=True):
    """One run of this benchmark, as stored."""

    at: str
    hardware: str
    gpu: str
    vllm: str
    model: str
    commit: str
    results: dict[str, OnGpu]


def main() -> int:
    """Starts vLLM and Kafka, measures each concurrency, prints the results, and stores them as JSON with `--write`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--model", default="", help="a model with weights (default: random weights in the shape of Qwen3-8B)"
    )
    parser.add_argument("--llm", default="", help="base URL of a running vLLM")
    parser.add_argument("--in-flight", default="1,8,32,128", help="calls in flight, comma-separated")
    parser.add_argument("--calls", type=int, default=256, help="calls per concurrency, at least twice the concurrency")
    parser.add_argument("--write", action="store_true", help="write the result to benchmarks/results")
    args = parser.parse_args()
    results: dict[str, OnGpu] = {}
    with tempfile.TemporaryDirectory() as name, EmbeddedKafka(Path(name) / "kafka", jvm_options=JVM_OPTIONS) as kafka:
        folder = Path(name)
        settings = load({}, brokers=kafka.bootstrap, data_dir=name, metrics_port_generate=0)
        with _vllm(args.llm, args.model, folder) as url:
            for number in map(int, args.in_flight.split(",")):
                before, began_s = _metrics(url), time.perf_counter()
                running = settings.changed(prefix=f"gpu{number}.")
                texts = max(args.calls, 2 * number)
                words = bench_words(running, (url,), (Concurrency(number, 1, texts),), args.calls, say)
                results[str(number)] = _on_gpu(words, before, _metrics(url), time.perf_counter() - began_s)
                one = results[str(number)]
                say(
                    f"  {one.output_tokens_per_s:,.0f} tokens/s out, {one.prompt_tokens_per_s:,.0f} in, "
                    f"first token after {one.ttft_s * 1000:.0f} ms, {one.prefix_hit_rate:.0%} of the prompts from the cache"
                )
    found = GpuFindings(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        hardware=hardware(),
        gpu=_output_of(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]),
        vllm=_output_of([_python(), "-c", "import torch, vllm; print(vllm.__version__, 'torch', torch.__version__)"]),
        model=args.model or "random weights, shape of Qwen3-8B",
        commit=here().commit,
        results=results,
    )
    if args.write:
        kind = re.sub(r"[^a-z0-9]+", "-", found.gpu.split(",")[0].lower()).strip("-") or "unknown"
        path = ROOT / "benchmarks" / "results" / f"{found.at[:10]}-gpu-{kind}.json"
        path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
        say(f"wrote {path}")
    return 0


@contextmanager
def _vllm(url: str, model: str, folder: Path) -> Iterator[str]:
    """Yields the base URL of the running vLLM, or of one started for this block."""
    if url:
        yield url
        return
    port = pick_port()
    dummy = [] if model else ["--load-format", "dummy"]
    command = [
        *(_python(), "-m", "vllm.entrypoints.openai.api_server", "--model", model or str(_random_model(folder))),
        *("--host", "127.0.0.1", "--port", str(port), "--max-model-len", "4096", "--enable-prefix-caching", *dummy),
        *("--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}'),
        "--disable-uvicorn-access-log",
    ]
    log = ROOT / "bench-gpu.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        ends_at_s = time.monotonic() + _START_S
        while not _answers(f"http://127.0.0.1:{port}/health"):
            if process.poll() is not None or time.monotonic() > ends_at_s:
                last = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
                raise SystemExit(f"vLLM did not start; {log} ends with:\n{last}")
            time.sleep(1.0)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)
        log.unlink(missing_ok=True)


def _random_model(folder: Path) -> Path:
    """Creates a model folder with the shape of Qwen3-8B and the embedded model's tokenizer (its IDs fit the vocabulary)."""
    converted, target = folder / "own", folder / "qwen3-8b-shape"
    subprocess.run([_python(), "-m", "infra.vllm.convert", str(find()), str(converted)], cwd=ROOT, check=True)
    target.mkdir()
    for file in converted.iterdir():
        if file.suffix != ".safetensors" and file.name != "config.json":
            shutil.copy(file, target)
    own = json.loads((converted / "config.json").read_text())
    ids = {name: own[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id") if name in own}
    (target / "config.json").write_text(json.dumps(QWEN3_8B | ids))
    return target


def _on_gpu(words: list[Words], before: dict[str, float], after: dict[str, float], took_s: float) -> OnGpu:
    def increase(name: str) -> float:
        return after.get(f"vllm:{name}", 0.0) - before.get(f"vllm:{name}", 0.0)

    return OnGpu(
        words=words,
        prompt_tokens_per_s=increase("prompt_tokens_total") / took_s,
        output_tokens_per_s=increase("generation_tokens_total") / took_s,
        ttft_s=increase("time_to_first_token_seconds_sum") / max(1.0, increase("time_to_first_token_seconds_count")),
        prefix_hit_rate=increase("prefix_cache_hits_total") / max(1.0, increase("prefix_cache_queries_total")),
    )


def _metrics(url: str) -> dict[str, float]:
    """Returns vLLM's counters, summed over their labels."""
    found: dict[str, float] = {}
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as page:  # noqa: S310 - the server that is measured
        for name, value in _METRIC.findall(page.read().decode()):
            found[name] = found.get(name, 0.0) + float(value)
    return found


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - likewise
            return bool(answer.status == 200)
    except OSError:
        return False


def _python() -> str:
    return os.environ.get("ATTUNE_VLLM_PYTHON", sys.executable)


def _output_of(command: list[str]) -> str:
    """Returns the output of a command; "" if it is missing or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


if __name__ == "__main__":
    sys.exit(main())
