"""Plays many seeds: `python -m tests.simulation.run --seeds 100000`."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.simulation.plan import plan
from tests.simulation.world import World


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    first: dict[str, tuple[int, str]] = {}
    seeds: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    started = time.perf_counter()
    for seed in range(args.first, args.first + args.seeds):
        judge = World(plan(seed)).run()
        for rule in {v.rule for v in judge.violations}:
            seeds[rule] += 1
        for v in judge.violations:
            first.setdefault(v.rule, (seed, v.text))
        for hit in judge.hits:
            hits[hit] += 1
    took = time.perf_counter() - started
    print(f"{args.seeds} seeds, {took / args.seeds * 1000:.1f} ms each")
    for hit, n in sorted(hits.items()):
        print(f"  {n / args.seeds:6.1%} {hit}")
    for rule, n in seeds.most_common():
        print(f"{rule:14} {n:5} seeds, first {first[rule]}")
    sys.exit(bool(first))


if __name__ == "__main__":
    main()
