"""The mutation runner itself: what it changes, and that it tells what no test notices."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.mutants import find
from tests.mutation.run import equivalents, path_of, sample
from tests.mutation.table import TESTS

ROOT = Path(__file__).resolve().parents[2]
TOY = '''
"""Says who is old enough."""

LIMIT = 18

def old_enough(age: int = 0) -> bool:
    """A docstring, and 7."""
    return age >= LIMIT
'''
TOY_TEST = """
from toy import LIMIT, old_enough

def test_limit():
    assert LIMIT == 18

def test_old_enough():
    assert old_enough(30) and not old_enough(3)
"""


def changed(source: str) -> list[str]:
    """Each mutant's source in one line."""
    found = []
    for place in range(len(find(ast.parse(source)))):
        tree = ast.parse(source)
        find(tree)[place].make()
        compile(tree, "toy", "exec")
        found.append("; ".join(line.strip() for line in ast.unparse(tree).splitlines()))
    return found


@pytest.mark.parametrize(
    ("source", "mutants"),
    [
        ("x = a < b", ["x = a <= b", "x = a >= b"]),
        (
            "x = 0 < b <= c",
            [
                "x = 0 <= b <= c",
                "x = 0 >= b <= c",
                "x = 0 < b < c",
                "x = 0 < b > c",
                "x = 1 < b <= c",
                "x = -1 < b <= c",
            ],
        ),
        (
            "x = a is None and b in c",
            ["x = a is None or b in c", "x = a is not None and b in c", "x = a is None and b not in c"],
        ),
        ("x = not a", ["x = a"]),
        ("x = a + b", ["x = a - b"]),
        ("x = True", ["x = False"]),
        ("x = a if b else c", ["x = a if True else c", "x = a if False else c"]),
        ("if a:\n    b = c", ["if True:; b = c", "if False:; b = c"]),
        ("while a:\n    b = c", ["while False:; b = c"]),
        ("x = [a for a in b if c]", ["x = [a for a in b if True]", "x = [a for a in b if False]"]),
        ("while a:\n    break", ["while False:; break", "while a:; continue"]),
        ("f(a)", ["pass"]),
        ("del a[b]", ["pass"]),
        ("a += b", ["pass"]),
        ("raise a", ["pass"]),
        ("x = min(a, b)", ["x = max(a, b)"]),
        ("def f() -> None:\n    return None", []),
        ("def f(a: Literal[1]) -> Literal[2]:\n    return a", ["def f(a: Literal[1]) -> Literal[2]:; return None"]),
        (
            "class A(B, frozen=True, array_like=True):\n    a: int",
            ["class A(B, frozen=True, array_like=False):; a: int"],
        ),
        ("x: Annotated[str, 3] = a", []),
        ("import a\n'''text'''\nassert 1 < 2", []),
        ("x = f'{a:>8} {b + c}'", ["x = f'{a:>8} {b - c}'"]),
    ],
)
def test_each_mutant_differs_in_one_thing(source: str, mutants: list[str]) -> None:
    assert changed(source) == mutants


def test_a_sample_is_the_same_for_the_same_seed_and_in_order() -> None:
    mutants = find(ast.parse("x = [" + ", ".join(f"a < {number}" for number in range(40)) + "]"))
    first = sample("m", mutants, 12, 7)
    assert first == sample("m", mutants, 12, 7) != sample("m", mutants, 12, 8)
    assert sorted(first, key=mutants.index) == first
    assert sample("m", mutants, 0, 7) == mutants == sample("m", mutants, 1_000, 7)


def test_the_table_names_what_is_there() -> None:
    assert [file for files in TESTS.values() for file in files if not (ROOT / file).exists()] == []
    assert len(TESTS) >= 22
    for module in TESTS:
        keys = [mutant.key for mutant in find(ast.parse(path_of(module).read_text()))]
        assert len(keys) == len(set(keys)) > 5, module


def test_what_is_listed_as_equivalent_is_a_mutant_and_has_its_reason() -> None:
    for module, listed in equivalents().items():
        keys = {mutant.key for mutant in find(ast.parse(path_of(module).read_text()))}
        assert [key for key in listed if key not in keys] == [], module
        assert [key for key, reason in listed.items() if len(reason) < 10] == [], module


@pytest.mark.slow
def test_what_no_test_notices_is_told(tmp_path: Path) -> None:
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "test_toy.py").write_text(TOY_TEST)
    script = f"""
import sys, json
from pathlib import Path
from tests.mutation import run, trial
trial.ROOT, run._KEPT = Path({str(tmp_path)!r}), Path({str(tmp_path)!r}) / "kept"
sys.path.insert(0, {str(tmp_path)!r})
run.TESTS = {{"toy": ("test_toy.py",)}}
import os; os.chdir({str(tmp_path)!r})
trial.preload()
first = run.mutate("toy", 0, 7)
(trial.ROOT / "test_toy.py").write_text({TOY_TEST.replace("(30)", "(18)")!r})
second = run.mutate("toy", 0, 7)
print(json.dumps([[line.valid, line.killed, line.survivors] for line in (first, second)]))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    default = "old_enough: 0 → "
    survived = [f"toy.py:6 {default}1", f"toy.py:6 {default}-1", "toy.py:8 old_enough: age >= LIMIT → age > LIMIT"]
    first, second = json.loads(done.stdout.splitlines()[-1])
    assert first == [7, 4, survived]
    assert second == [7, 5, survived[:2]]
