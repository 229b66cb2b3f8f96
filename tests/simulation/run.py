"""Plays many seeds and says what was wrong: `python -m tests.simulation.run --seeds 100000`."""

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
#: A mean so far from 1 that chance alone goes so far less than once in e^20 looks is not chance.
_UNLIKELY = 20.0
#: The rule that no single world can break.
PROPENSITY = "propensity"
#: So many worlds at a time for each process.
_CHUNK = 100


@dataclass
class Sums:
    """1[arm] / propensity of one arm, added up; its mean is 1 where the propensities in the ledger are true."""

    number: int = 0
    total: float = 0.0
    variance: float = 0.0
    largest: float = 0.0

    def add(self, other: Sums) -> None:
        """Takes over what is in another."""
        self.number += other.number
        self.total += other.total
        self.variance += other.variance
        self.largest = max(self.largest, other.largest)

    def unlikely(self) -> float:
        """-log of a bound on the chance of a total so far from its mean (Bernstein's inequality): a rare arm that is taken
        once is no proof, however far it moves a mean of few.
        """
        off = abs(self.total - self.number)
        return off * off / 2 / (self.variance + self.largest * off / 3) if off else 0.0


class Tally:
    """What many worlds have come to. `broken`: rule → the first seed that broke it."""

    def __init__(self) -> None:
        self.seeds = 0
        self.hits: Counter[str] = Counter()
        self.broken: dict[str, int] = {}
        self.how_often: Counter[str] = Counter()
        self._sums: dict[tuple[str, bool], Sums] = {}

    def add(self, seed: int, judge: Judge) -> None:
        """One world."""
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
        """Takes over what other worlds, of later seeds, have come to."""
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
        """How many standard errors the mean of 1[arm] / propensity is from 1; `rated`: where a rate makes decisions wait."""
        sums = self._sums[arm, rated]
        return (sums.total - sums.number) / sqrt(sums.variance)

    def means(self) -> Iterator[str]:
        """The mean of 1[arm] / propensity, line by line."""
        for (arm, rated), sums in sorted(self._sums.items()):
            where = "with a rate" if rated else "without"
            off = self.error(arm, rated=rated)
            mean = sums.total / sums.number
            yield f"{arm} {where}: {mean:.3f} over {sums.number} decisions, {off:+.1f} standard errors"


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
                found = ", ".join(f"{rule} (seed {seed})" for rule, seed in whole.broken.items()) or "no rule"
                print(f"{whole.seeds:,} of {seeds:,} seeds, broken: {found}", flush=True)
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
