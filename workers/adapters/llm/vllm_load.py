"""Reads vLLM's queue and cache from its Prometheus page. The page is untrusted: anything but a valid number is ignored."""

from __future__ import annotations

import math
import re

from workers.core.resilience.concurrency_limit import ServerLoad

MAX_PAGE_BYTES = 4 << 20  # a vLLM with some adapters has a few hundred KB

_RUNNING, _WAITING = b"num_requests_running", b"num_requests_waiting"
#: The second is the name in older versions.
_CACHE = (b"kv_cache_usage_perc", b"gpu_cache_usage_perc")
_SAMPLE = re.compile(
    rb"^vllm:("
    + b"|".join((_RUNNING, _WAITING, *_CACHE))
    + rb')(?:\{(?:[^"\n}]|"(?:[^"\\\n]|\\.)*")*\})?[ \t]+(\S{1,40})',
    re.MULTILINE,
)
_MAX_SAMPLES = 10_000


def parse_load(page: bytes) -> ServerLoad | None:
    """Sums the queues of several engines or models, and takes the fullest of their caches. None = not a vLLM page.

    >>> parse_load(b'vllm:num_requests_running{engine="0"} 3.0\\nvllm:num_requests_waiting{engine="0"} 1.0\\n')
    ServerLoad(running=3.0, waiting=1.0, kv_cache_usage=None)
    >>> parse_load(b"vllm:num_requests_running NaN")
    """
    found: dict[bytes, list[float]] = {}
    for sample, _ in zip(_SAMPLE.finditer(page), range(_MAX_SAMPLES), strict=False):
        value = _number(sample[2])
        if value is not None:
            found.setdefault(sample[1], []).append(value)
    if _RUNNING not in found or _WAITING not in found:
        return None
    cache = [value for name in _CACHE for value in found.get(name, ())]
    return ServerLoad(
        running=sum(found[_RUNNING]), waiting=sum(found[_WAITING]), kv_cache_usage=max(cache) if cache else None
    )


def _number(text: bytes) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
