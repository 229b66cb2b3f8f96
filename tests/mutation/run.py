"""Runs `make mutate`: tries mutants of the modules in `table`, and reports those that no test detects.

A sample a module, the same for the same seed. What has been tried is kept in .cache/mutation and not tried again: a killed
mutant until its module changes, a survivor until its module or a test of its files does. FRESH=1 forgets all.
"""

from __future__ import annotations

import argparse
import ast
import random
import sys
import time
from hashlib import blake2b
from pathlib import Path

import msgspec
import yaml

from tests.mutation import trial
from tests.mutation.mutants import Mutant, find
from tests.mutation.table import TESTS

EQUIVALENT = Path(__file__).parent / "equivalent.yaml"
_KEPT = trial.ROOT / ".cache" / "mutation"
_BASELINE_LIMIT_S = 900.0


class Tried(msgspec.Struct):
    """The results of one module. `results`: key of a mutant → killed, timeout, survived or invalid."""

    source: str = ""
    tests: str = ""
    baseline: trial.Baseline = msgspec.field(default_factory=trial.Baseline)
    results: dict[str, str] = {}


class Line(msgspec.Struct, frozen=True):
    """The counts of one module; equivalent mutants are not survivors, and are not included in other counts."""

    module: str
    valid: int
    killed: int
    survivors: list[str]
    equivalent: int

    @property
    def share(self) -> float:
        return self.killed / self.valid if self.valid else 1.0


def equivalents() -> dict[str, dict[str, str]]:
    """Returns module → key of a mutant without a visible effect → reason."""
    found: dict[str, dict[str, str]] = yaml.safe_load(EQUIVALENT.read_text()) or {}
    return found


def path_of(module: str) -> Path:
    """Returns the file of a module."""
    plain = trial.ROOT / (module.replace(".", "/") + ".py")
    return plain if plain.exists() else plain.with_suffix("") / "__init__.py"


def sample(module: str, mutants: list[Mutant], size: int, seed: int) -> list[Mutant]:
    """Returns `size` mutants in source order, the same for the same seed; 0 = all."""
    if not size or size >= len(mutants):
        return mutants
    chosen = random.Random(f"{seed}:{module}").sample(range(len(mutants)), size)
    return [mutants[place] for place in sorted(chosen)]


def mutate(module: str, size: int, seed: int, *, fresh: bool = False) -> Line:
    """Tries a sample of one module's mutants. Raises SystemExit if its tests fail without a mutant."""
    path, files = path_of(module), TESTS[module]
    source = path.read_text()
    told = _read(module)
    marks = _hash([path, Path(__file__).with_name("mutants.py")]), _hash([trial.ROOT / file for file in files])
    if fresh or told.source != marks[0]:
        told = Tried()
    if (told.source, told.tests) != marks:
        base = trial.baseline(path, files, _BASELINE_LIMIT_S)
        if base.rc != 0:
            sys.exit(f"{module}: its tests fail without a mutant (pytest exits with {base.rc}): {' '.join(files)}")
        killed = {key: result for key, result in told.results.items() if result != "survived"}
        told = Tried(source=marks[0], tests=marks[1], baseline=base, results=killed)
    same, names = equivalents().get(module, {}), sample(module, find(ast.parse(source)), size, seed)
    for mutant in names:
        if mutant.key not in told.results and mutant.key not in same:
            told.results[mutant.key] = _try(module, path, source, mutant.key, told.baseline)
            _keep(module, told)
    _keep(module, told)
    results = {mutant.key: told.results[mutant.key] for mutant in names if mutant.key not in same}
    valid = {key: result for key, result in results.items() if result != "invalid"}
    lines = {mutant.key: mutant.line for mutant in names}
    survivors = [
        f"{path.relative_to(trial.ROOT)}:{lines[key]} {key}" for key, result in valid.items() if result == "survived"
    ]
    return Line(module, len(valid), len(valid) - len(survivors), survivors, sum(mutant.key in same for mutant in names))


def _try(module: str, path: Path, source: str, key: str, base: trial.Baseline) -> str:
    tree = ast.parse(source)
    mutant = next(found for found in find(tree) if found.key == key)
    nearest = base.through(mutant.line)
    for tests in (nearest, [test for test in base.took_s if test not in set(nearest)]):
        if not tests:
            continue
        limit_s = 15.0 + 8 * sum(base.took_s[test] for test in tests)
        match trial.trial(module, path, tree, mutant.make, tests, limit_s):
            case 0:
                continue
            case trial.INVALID:
                return "invalid"
            case trial.TIMEOUT:
                return "timeout"
            case _:
                return "killed"
    return "survived"


def _read(module: str) -> Tried:
    kept = _KEPT / f"{module}.json"
    return msgspec.json.decode(kept.read_bytes(), type=Tried) if kept.exists() else Tried()


def _keep(module: str, told: Tried) -> None:
    _KEPT.mkdir(parents=True, exist_ok=True)
    (_KEPT / f"{module}.json").write_bytes(msgspec.json.encode(told))


def _hash(files: list[Path]) -> str:
    return blake2b(b"\0".join(file.read_bytes() for file in files), digest_size=12).hexdigest()


def main() -> None:
    """Prints a line per module, each survivor, and the total; exits with 1 if too many survive."""
    options = argparse.ArgumentParser()
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--sample", type=int, default=12, help="mutants a module; 0 = all")
    options.add_argument("--only", help="modules whose names have one of these words: bandit,timers")
    options.add_argument("--least", type=float, default=0.9, help="the share that must be killed")
    options.add_argument("--fresh", action="store_true")
    chosen = options.parse_args()
    words = chosen.only.split(",") if chosen.only else [""]
    trial.preload()
    done = []
    for module in TESTS:
        if not any(word in module for word in words):
            continue
        began_s = time.monotonic()
        line = mutate(module, chosen.sample, chosen.seed, fresh=chosen.fresh)
        done.append(line)
        told = f"{line.killed:3} of {line.valid:3} killed ({line.share:4.0%}), {line.equivalent} equivalent"
        print(f"{module:40} {told}, {time.monotonic() - began_s:.0f} s", flush=True)
        for survivor in line.survivors:
            print(f"    survived: {survivor}", flush=True)
    valid, killed = sum(line.valid for line in done), sum(line.killed for line in done)
    print(f"{killed} of {valid} valid mutants killed: {killed / max(valid, 1):.1%}")
    sys.exit(killed < chosen.least * valid)


if __name__ == "__main__":
    main()
