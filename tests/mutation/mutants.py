"""Generates the mutants of one module: each is its source with one small change of behaviour."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import msgspec

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
#: Parts of the syntax tree that are types, or not our behaviour.
_LEFT_OUT = frozenset({"annotation", "returns", "decorator_list", "type_params", "bases"})
_NO_KEYWORDS = frozenset({"frozen", "gc", "kw_only", "maxsize"})
_NO_BEHAVIOUR = (ast.Import, ast.ImportFrom, ast.Assert)


class Mutant(msgspec.Struct, frozen=True):
    """One change. `key` identifies it independently of its line: function, source before and after, and number if several match.

    `make` changes the tree that it was found in, and is called once, in a process of its own.
    """

    key: str
    line: int
    make: Callable[[], None]


def find(tree: ast.Module) -> list[Mutant]:
    """Returns every mutant of a module, in source order.

    >>> [mutant.key for mutant in find(ast.parse("def f(a):\\n    return a < 3"))][:2]
    ['f: return a < 3 → return None', 'f: a < 3 → a <= 3']
    """
    seen: Counter[str] = Counter()
    found = []
    for place, node, put, new in _changes(tree, ""):
        key = f"{place or 'module'}: {_words(node)} → {_words(new)}"
        seen[key] += 1
        ast.fix_missing_locations(ast.copy_location(new, node))
        number = f" ({seen[key]})" if seen[key] > 1 else ""
        found.append(Mutant(key + number, getattr(node, "lineno", 0), partial(put, new)))
    return found


_Change = tuple[str, ast.AST, Callable[[ast.AST], None], ast.AST]


def _changes(node: ast.AST, place: str) -> Iterator[_Change]:
    for name, value in ast.iter_fields(node):
        if name in _LEFT_OUT or isinstance(node, _NO_BEHAVIOUR):
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or _says_nothing(child):
                continue

            def put(new: ast.AST, name: str = name, value: object = value, index: int = index) -> None:
                if isinstance(value, list):
                    value[index] = new
                else:
                    setattr(node, name, new)

            if not isinstance(node, ast.JoinedStr | ast.FormattedValue) or (
                isinstance(child, ast.expr) and name == "value"
            ):
                yield from ((place, child, put, new) for new in _instead(child, node, name))
            inner = place
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = f"{place}.{child.name}".lstrip(".")
            yield from _changes(child, inner)


def _instead(node: ast.AST, parent: ast.AST, field: str) -> Iterator[ast.AST]:  # a table in the form of a match
    if (isinstance(parent, ast.If | ast.IfExp | ast.While) and field == "test") or field == "ifs":
        yield from (ast.Constant(truth) for truth in (True, False) if not (truth and isinstance(parent, ast.While)))
    match node:
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Delete() | ast.Raise():
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                for other in _COMPARISONS[type(operator)]:
                    ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                    yield ast.Compare(node.left, ops, node.comparators)
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.BinOp() if type(node.op) in _OPERATORS:
            yield ast.BinOp(node.left, _OPERATORS[type(node.op)](), node.right)
        case ast.Constant(value=bool(truth)):
            yield ast.Constant(not truth)
        case ast.Constant(value=int() | float() as number):
            yield from (ast.Constant(number + 1), ast.Constant(number - 1))
        case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
            yield ast.Call(ast.Name(_CALLS[name], ast.Load()), node.args, node.keywords)


def _says_nothing(node: ast.AST) -> bool:
    """Returns whether it is a docstring, or only affects the speed or safety of a struct or cache."""
    if isinstance(node, ast.keyword):
        return node.arg in _NO_KEYWORDS
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _words(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())
