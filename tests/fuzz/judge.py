"""Checks whether a target keeps its promises for an input, and how often inputs reach it."""

from __future__ import annotations

import time
from hashlib import blake2b
from pathlib import Path

import msgspec

from tests.fuzz.targets import TARGETS, Target
from tests.support.cpu_time import slowness

FOUND = Path(__file__).parent / "found"
_SIZE_OF_LIMIT = 20_000
_TRIES = 3


class Broken(AssertionError):
    """Raised if a promise does not hold for an input."""


class Hits(msgspec.Struct):
    """The number of inputs that pass the first check of a target."""

    tried: int = 0
    reached: int = 0

    @property
    def share(self) -> float:
        """The share of such inputs; 0 without inputs."""
        return self.reached / self.tried if self.tried else 0.0


def judge(target: Target, data: bytes, hits: Hits | None = None) -> None:
    """Raises Broken if a target raises an unexpected exception, takes too long, or produces too much for an input."""
    reached, size, spent_s = _measured(target, data)
    if hits is not None:
        hits.tried += 1
        hits.reached += reached
    if size > target.factor * len(data) + target.constant:
        raise Broken(f"{target.name}: {size} bytes of output for {len(data)} bytes")
    limit_s = target.limit_s * max(1.0, len(data) / _SIZE_OF_LIMIT)
    if spent_s > limit_s:
        # What the machine does beside it is no finding, nor what is done once and then remembered.
        best_s = min(_measured(target, data)[2] for _ in range(_TRIES))
        if best_s > limit_s * slowness():
            raise Broken(f"{target.name}: {1000 * best_s:.0f} ms of CPU for {len(data)} bytes")


def _measured(target: Target, data: bytes) -> tuple[bool, int, float]:
    begun = time.thread_time()
    try:
        reached, size = target.call(data)
    except target.raises:
        reached, size = False, 0
    except Exception as error:
        raise Broken(f"{target.name}: {type(error).__name__}: {str(error)[:200]}") from error
    return reached, size, time.thread_time() - begun


def keep(target: Target, data: bytes) -> Path:
    """Writes an input that broke a promise to the folder that the quick tests replay. The file name contains the target."""
    FOUND.mkdir(exist_ok=True)
    path = FOUND / f"{target.name.replace(' ', '_')}-{blake2b(data, digest_size=4).hexdigest()}.bin"
    path.write_bytes(data)
    return path


def kept() -> list[tuple[Target, Path]]:
    """Returns the inputs found earlier."""
    named = {target.name.replace(" ", "_"): target for target in TARGETS.values()}
    return [(named[path.stem.rpartition("-")[0]], path) for path in sorted(FOUND.glob("*.bin"))]
