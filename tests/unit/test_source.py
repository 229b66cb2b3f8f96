"""What a reader of the source takes for code is code: no string stands where nobody reads it, no statement does nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.unit.test_architecture import ROOT

SOURCES = sorted(
    path
    for folder in ("schemas", "workers", "infra", "examples", "benchmarks", "tests")
    for path in (ROOT / folder).rglob("*.py")
)
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_DOES_SOMETHING = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom)


def idle(source: str) -> Iterator[tuple[int, str]]:
    """(line, words) of every expression that stands alone and does nothing.

    Allowed are docstrings, and beneath an attribute of a class or of `self` a sentence that tells what it is.
    """
    for scope in ast.walk(ast.parse(source)):
        for _, body in ast.iter_fields(scope):
            if not isinstance(body, list):
                continue
            for place, node in enumerate(body):
                if not isinstance(node, ast.Expr) or isinstance(node.value, _DOES_SOMETHING):
                    continue
                value = node.value.value if isinstance(node.value, ast.Constant) else None
                if value is ... or (isinstance(value, str) and _is_documentation(scope, body, place, value)):
                    continue
                yield node.lineno, ast.unparse(node)


def _is_documentation(scope: ast.AST, body: list[ast.stmt], place: int, words: str) -> bool:
    if place == 0:
        return isinstance(scope, _WITH_DOCSTRING)
    before = body[place - 1]
    targets = before.targets if isinstance(before, ast.Assign) else [getattr(before, "target", None)]
    is_attribute = isinstance(scope, ast.ClassDef) or all(isinstance(target, ast.Attribute) for target in targets)
    is_sentence = (words[0].isupper() or words[0].isdigit()) and words.endswith(".")
    return isinstance(before, ast.Assign | ast.AnnAssign) and is_attribute and is_sentence


def test_no_string_and_no_expression_stands_where_nobody_reads_it() -> None:
    assert len(SOURCES) > 300
    found = [f"{path.relative_to(ROOT)}:{line}: {words}" for path in SOURCES for line, words in idle(path.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        'SPORTS = "tennis|golf"\n"|cycling"',
        'class Sport:\n    names = "tennis"\n    "|cycling"',
        'def f():\n    """Does."""\n    x = "a"\n    "b"',
        "x = 1\nx == 2",
        "x = [1]\nx[0]",
        "if x:\n    'a'",
        "try:\n    f()\nexcept E:\n    'a sentence.'",
    ],
)
def test_the_check_sees_what_it_is_for(source: str) -> None:
    assert list(idle(source))


@pytest.mark.parametrize(
    "source",
    [
        '"""What a module is."""\nx = 1',
        'class Rule:\n    """A rule."""\n    most: int = 3\n    """So many at most."""',
        'class Pulse:\n    def __init__(self):\n        self.silent_s = 0.0\n        """For how long."""',
        "class Port(Protocol):\n    def f(self) -> int:\n        ...",
    ],
)
def test_documentation_is_no_finding(source: str) -> None:
    assert list(idle(source)) == []
