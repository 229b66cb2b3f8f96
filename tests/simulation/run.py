"""Plays many seeds and says what was wrong: `python -m tests.simulation.run --seeds 100000`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from math import sqrt
from multiprocessing import get_context

from tests.simulation.oracle import Judge
from tests.simulation.plan import Plan, plan
from tests.simulation.shrink import shorten, timeline
from tests.simulation.world import World

Make = Callable[[Plan], World]
#: A mean that is so many of its standard errors from 1 is no chance, however often one looks.
_ERRORS = 5.0
#: Fewer draws are too few for a mean that is nearly normal.
_LEAST_VARIANCE = 50.0
#: The rule that no single world can break.
PROPENSITY = "propensity"
#: So many worlds at a time for each process.
_CHUNK = 100


class Tally:
    """What many worlds have come to. `broken`: rule → the first seed that broke it."""

    def __init__(self) -> None:
        self.seeds = 0
        self.hits: Counter[str] = Counter()
        self.broken: dict[str, int] = {}
        self.how_often: Counter[str] = Counter()
        self._sums: dict[tuple[str, bool], list[float]] = {}

    def add(self, seed: int, judge: Judge) -> None:
        """One world."""
        self.seeds += 1
        self.hits.update(dict.fromkeys(judge.hits, 1))
        for rule in dict.fromkeys(violation.rule for violation in judge.violations):
            self.broken.setdefault(rule, seed)
            self.how_often[rule] += 1
        for chances, taken, rated in judge.draws:
            for arm, chance in chances.items():
                sums = self._sums.setdefault((arm, rated), [0.0, 0.0, 0.0])
                sums[0] += 1.0
                sums[1] += (arm == taken) / chance
                sums[2] += 1 / chance - 1
        self._weigh(seed)

    def merge(self, other: Tally) -> None:
        """Takes over what other worlds, of later seeds, have come to."""
        self.seeds += other.seeds
        self.hits.update(other.hits)
        self.how_often.update(other.how_often)
        for rule, seed in other.broken.items():
            self.broken.setdefault(rule, seed)
        for key, theirs in other._sums.items():
            self._sums[key] = [mine + more for mine, more in zip(self._sums.get(key, [0.0] * 3), theirs, strict=True)]
        self._weigh(max(other.broken.values(), default=0))

    def _weigh(self, seed: int) -> None:
        for (arm, rated), (_, _, variance) in self._sums.items():
            if variance > _LEAST_VARIANCE and abs(self.error(arm, rated=rated)) > _ERRORS:
                self.broken.setdefault(PROPENSITY, seed)

    def error(self, arm: str, *, rated: bool) -> float:
        """How many standard errors the mean of 1[arm] / propensity is from 1; `rated`: where a rate makes decisions wait."""
        number, total, variance = self._sums[arm, rated]
        return (total - number) / sqrt(variance)

    def means(self) -> Iterator[str]:
        """The mean of 1[arm] / propensity, line by line."""
        for (arm, rated), (number, total, _) in sorted(self._sums.items()):
            where = "with a rate" if rated else "without"
            off = self.error(arm, rated=rated)
            yield f"{arm} {where}: {total / number:.3f} over {number:.0f} decisions, {off:+.1f} standard errors"


def play(first: int, seeds: int, make: Make = World, *, stop: Callable[[Tally], bool] = lambda _: False) -> Tally:
    """Plays `seeds` worlds from seed `first` on; `stop` ends it earlier."""
    tally = Tally()
    for seed in range(first, first + seeds):
        tally.add(seed, make(plan(seed)).run())
        if stop(tally):
            break
    return tally


def play_all(first: int, seeds: int, jobs: int) -> Tally:
    """Plays many worlds in several processes."""
    chunks = [(start, min(_CHUNK, first + seeds - start)) for start in range(first, first + seeds, _CHUNK)]
    whole = Tally()
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for done, part in enumerate(pool.map(_play_chunk, chunks), start=1):
            whole.merge(part)
            if done % 20 == 0:
                print(f"{whole.seeds:,} of {seeds:,} seeds, {len(whole.broken)} rules broken", flush=True)
    return whole


def _play_chunk(chunk: tuple[int, int]) -> Tally:
    return play(*chunk)


def report(rule: str, seed: int, make: Make = World) -> Iterator[str]:
    """The shortened timeline of a violation, and how to see it again."""
    yield f"{rule}: seed {seed}, again with: make simulate SEED={seed}"
    if rule != PROPENSITY:
        yield from timeline(shorten(plan(seed), rule, make), make)


def main() -> None:
    """Prints what is found; exit status 1 = something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one alone, and tell what happens in it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--brief", action="store_true", help="no timelines")
    args = parser.parse_args()
    if args.seed is not None:
        for line in timeline(plan(args.seed)):
            print(line)
        return
    started = time.perf_counter()
    tally = play_all(args.first, args.seeds, args.jobs)
    took_s = time.perf_counter() - started
    print(f"{tally.seeds} seeds, {took_s / tally.seeds * 1000:.0f} ms each. The share of worlds in which there was:")
    for hit, number in sorted(tally.hits.items()):
        print(f"  {number / tally.seeds:6.1%} {hit}")
    print(*tally.means(), sep="\n")
    for rule, seed in tally.broken.items():
        print(f"\n{tally.how_often[rule]} worlds break:")
        for line in [f"{rule}: seed {seed}"] if args.brief else report(rule, seed):
            print(line)
    print(f"{len(tally.broken)} rules broken")
    sys.exit(bool(tally.broken))


if __name__ == "__main__":
    main()
