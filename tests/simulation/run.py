"""Plays many seeds and reports violations: `python -m tests.simulation.run --seeds 100000`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import sqrt
from multiprocessing import get_context

from tests.simulation.oracle import Judge
from tests.simulation.plan import Plan, plan
from tests.simulation.shrink import shorten, timeline
from tests.simulation.world import World

Make = Callable[[Plan], World]
#: A deviation of the mean from 1 with a probability below e^-20 is not chance.
_UNLIKELY = 20.0
#: The rule that is checked over all worlds.
PROPENSITY = "propensity"
#: Number of worlds per task of a process.
_CHUNK = 100


@dataclass
class Sums:
    """The sum of 1[arm] / propensity of one arm; its mean is 1 if the propensities in the ledger are correct."""

    number: int = 0
    total: float = 0.0
    variance: float = 0.0
    largest: float = 0.0

    def add(self, other: Sums) -> None:
        """Adds another sum."""
        self.number += other.number
        self.total += other.total
        self.variance += other.variance
        self.largest = max(self.largest, other.largest)

    def unlikely(self) -> float:
        """Returns -log of a bound on the probability of such a deviation (Bernstein's inequality): a rare arm that is drawn once
        is not a proof, however much it changes the mean of a few draws.
        """
        off = abs(self.total - self.number)
        return off * off / 2 / (self.variance + self.largest * off / 3) if off else 0.0


class Tally:
    """The results of many worlds. `broken`: rule → the first seed that broke it."""

    def __init__(self) -> None:
        self.seeds = 0
        self.hits: Counter[str] = Counter()
        self.broken: dict[str, int] = {}
        self.how_often: Counter[str] = Counter()
        self._sums: dict[tuple[str, bool], Sums] = {}

    def add(self, seed: int, judge: Judge) -> None:
        """Adds one world."""
        self.seeds += 1
        self.hits.update(dict.fromkeys(judge.hits, 1))
        for rule in dict.fromkeys(violation.rule for violation in judge.violations):
            self.broken.setdefault(rule, seed)
            self.how_often[rule] += 1
        for chances, taken, rated in judge.draws:
            for arm, chance in chances.items():
                sums = self._sums.setdefault((arm, rated), Sums())
                sums.number += 1
                sums.total += (arm == taken) / chance
                sums.variance += 1 / chance - 1
                sums.largest = max(sums.largest, 1 / chance)
        self._weigh(seed)

    def merge(self, other: Tally) -> None:
        """Adds the results of other worlds with later seeds."""
        self.seeds += other.seeds
        self.hits.update(other.hits)
        self.how_often.update(other.how_often)
        for rule, seed in other.broken.items():
            self.broken.setdefault(rule, seed)
        for key, theirs in other._sums.items():
            self._sums.setdefault(key, Sums()).add(theirs)
        self._weigh(max(other.broken.values(), default=0))

    def _weigh(self, seed: int) -> None:
        if any(sums.unlikely() > _UNLIKELY for sums in self._sums.values()):
            self.broken.setdefault(PROPENSITY, seed)

    def error(self, arm: str, *, rated: bool) -> float:
        """Returns the deviation of the mean of 1[arm] / propensity from 1 in standard errors; `rated`: with a channel rate."""
        sums = self._sums[arm, rated]
        return (sums.total - sums.number) / sqrt(sums.variance)

    def means(self) -> Iterator[str]:
        """Yields the means of 1[arm] / propensity, line by line."""
        for (arm, rated), sums in sorted(self._sums.items()):
            where = "with a rate" if rated else "without"
            off = self.error(arm, rated=rated)
            mean = sums.total / sums.number
            yield f"{arm} {where}: {mean:.3f} over {sums.number} decisions, {off:+.1f} standard errors"


def play(first: int, seeds: int, make: Make = World, *, stop: Callable[[Tally], bool] = lambda _: False) -> Tally:
    """Plays `seeds` worlds from seed `first` on; `stop` may end it earlier."""
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
                found = ", ".join(f"{rule} (seed {seed})" for rule, seed in whole.broken.items()) or "no rule"
                print(f"{whole.seeds:,} of {seeds:,} seeds, broken: {found}", flush=True)
    return whole


def _play_chunk(chunk: tuple[int, int]) -> Tally:
    return play(*chunk)


def report(rule: str, seed: int, make: Make = World) -> Iterator[str]:
    """Yields the shortened timeline of a violation, and the command that reproduces it."""
    yield f"{rule}: seed {seed}, reproduce with: make simulate SEED={seed}"
    if rule != PROPENSITY:
        yield from timeline(shorten(plan(seed), rule, make), make)


def main() -> None:
    """Prints the results; exit status 1 = a rule is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play only this seed, and print its timeline")
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
    print(f"{tally.seeds} seeds, {took_s / tally.seeds * 1000:.0f} ms each. Share of worlds with each situation:")
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
