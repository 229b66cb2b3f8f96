"""Renders Jinja templates with limits: no private attributes, no mutation, bounded run time and size.

The cost of a rendering is counted (loop items, calls, filters), and values are measured at each operator, filter, call and
block. Prompt authors are trusted with the text, not with the process that renders it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sized
from contextvars import ContextVar
from functools import wraps
from itertools import islice
from typing import Any, cast

import jinja2
from jinja2 import nodes
from jinja2.lexer import TOKEN_INTEGER
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

#: Limits of one rendering: loop items, calls and filters [count], and the text [characters].
MAX_STEPS, MAX_CHARS = 10_000, 50_000
#: Limits of any intermediate value [characters or items], and of any number that gives a count.
MAX_SIZE, MAX_COUNT = 20_000, 1_000
#: Limit of a whole number in a source [digits]: Python does not parse or print numbers of more than 4,300 digits.
MAX_DIGITS = 60
#: Limit of nested blocks and expressions in a source: `{{ a.b.c }}` is five deep [levels].
MAX_DEPTH = 40
_MAX_EXPONENT = 64
_BOUNDED, _COUNTED = "_bounded", "_counted"
#: A width in a format string, `%1000d` or `{:1000}`: the result is larger than the string suggests.
_WIDE = re.compile(r"\d{4}|%[^%a-zA-Z]{0,9}\*")
_FAILS = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)
_spent: ContextVar[list[int] | None] = ContextVar("spent", default=None)


class RenderError(jinja2.TemplateRuntimeError):
    """The reason a template could not be rendered; `lineno` is the line of its source, counted from 1."""

    def __init__(self, message: str, lineno: int) -> None:
        super().__init__(message)
        self.lineno = lineno


class BoundedTemplate(jinja2.Template):
    """A template whose rendering always terminates."""

    def render(self, *args: Any, **kwargs: Any) -> str:
        """Returns the text. Raises RenderError (or another jinja2.TemplateError), whatever the source does."""
        before = _spent.set([0])
        parts, size = list[str](), 0
        try:
            for part in self.generate(*args, **kwargs):
                size += len(part)
                if size > MAX_CHARS:
                    raise _too_much(f"the text has more than {MAX_CHARS} characters")
                parts.append(part)
        except (jinja2.TemplateRuntimeError, *_FAILS) as error:
            raise RenderError(_message(error), _line(error)) from error
        finally:
            _spent.reset(before)
        return "".join(parts)


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with limits. A source that cannot be compiled always raises TemplateSyntaxError."""

    template_class = BoundedTemplate
    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.globals["range"] = _range
        del self.globals["lipsum"]
        for name, known in list(self.filters.items()):
            self.add(name, known)
        self.filters[_BOUNDED] = _measured
        self.filters[_COUNTED] = _counted

    def add(self, name: str, function: Callable[..., object]) -> None:
        """Registers a function as a filter, with limits on its arguments and its result."""

        @wraps(function)
        def limited(*args: Any, **kwargs: Any) -> object:
            _spend(1)
            _check_counts(args, kwargs)
            if name == "format":
                _check_format(args)
            return _measured(function(*args, **kwargs))

        self.filters[name] = limited

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Raises TemplateRuntimeError before a product or power grows too large, and after a sum or format has."""
        if operator == "*":
            for one, other in ((left, right), (right, left)):
                if isinstance(one, Sized) and isinstance(other, int) and len(one) * other > MAX_SIZE:
                    raise _too_much(f"the result of `*` has more than {MAX_SIZE} characters or items")
        elif operator == "**" and isinstance(right, int | float) and abs(right) > _MAX_EXPONENT:
            raise _too_much(f"an exponent is at most {_MAX_EXPONENT}")
        elif operator == "%" and isinstance(left, str):
            _check_format((left, right))
        return _measured(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 # as in Jinja
        """Calls a function, method or macro. Raises TemplateRuntimeError if its arguments or its result are too large."""
        _spend(1)
        _check_counts(args, kwargs)
        if getattr(__obj, "__name__", "") in ("format", "format_map"):
            _check_format((getattr(getattr(__obj, "__wrapped__", __obj), "__self__", ""), *args))
        return _measured(super().call(__context, __obj, *args, **kwargs))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        for line, kind, text in self.lexer.tokeniter(source, name, filename):
            if kind == TOKEN_INTEGER and len(text) > MAX_DIGITS:
                raise jinja2.TemplateSyntaxError(f"a number has more than {MAX_DIGITS} digits", line, name, filename)
        try:
            parsed = super()._parse(source, name, filename)
        except RecursionError as error:
            raise jinja2.TemplateSyntaxError("it is nested too deeply", 1, name, filename) from error
        if (deepest := _too_deep(parsed)) is not None:
            raise jinja2.TemplateSyntaxError("it is nested too deeply", deepest, name, filename)
        return parsed

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        """Generates the code, with every loop counted and every chain and block measured."""
        try:
            for loop in list(source.find_all(nodes.For)):
                loop.iter = _through(_COUNTED, loop.iter)
            for block in list(source.find_all(nodes.AssignBlock)):
                block.filter = _through(_BOUNDED, block.filter)
            for chain in list(source.find_all(nodes.Concat)):
                chain.nodes = [_through(_BOUNDED, part) for part in chain.nodes]
            return super()._generate(source, *args, **kwargs)
        except RecursionError as error:
            raise jinja2.TemplateSyntaxError("it is nested too deeply", 1) from error

    def _compile(self, source: str, filename: str) -> Any:
        try:
            return super()._compile(source, filename)
        except (SyntaxError, RecursionError, MemoryError) as error:  # Python's own limits on nested blocks
            raise jinja2.TemplateSyntaxError("it is nested too deeply", 1) from error


def _too_deep(parsed: nodes.Template) -> int | None:
    """Returns the line of the first node beyond MAX_DEPTH, None if there is none. Jinja folds constants again at each level of an
    expression, so its time grows with the cube of the depth.
    """
    level: list[nodes.Node] = [parsed]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return None
    return level[0].lineno


def _through(name: str, node: nodes.Node | None) -> nodes.Filter:
    return nodes.Filter(cast(nodes.Expr, node), name, [], [], None, None, lineno=1 if node is None else node.lineno)


def _measured(value: Any) -> Any:
    """Returns the value if it is not too large; raises otherwise."""
    if isinstance(value, int):
        if value.bit_length() > MAX_SIZE:
            raise _too_much("a number is too large")
    elif isinstance(value, Sized) and len(value) > MAX_SIZE:
        raise _too_much(f"a value has more than {MAX_SIZE} characters or items")
    return value


def _counted(items: Any) -> list[Any]:
    """Returns the items of a loop, counted against the limit before it starts."""
    spent = _spent.get() or [0]
    taken = list(islice(items, MAX_STEPS - spent[0] + 1))
    _spend(len(taken))
    return taken


def _spend(steps: int) -> None:
    spent = _spent.get()
    if spent is not None:
        spent[0] += steps
        if spent[0] > MAX_STEPS:
            raise _too_much(f"its loops and calls take more than {MAX_STEPS} steps")


def _range(*args: int) -> range:
    found = range(*args)
    if len(found) > MAX_COUNT:
        raise _too_much(f"a range has at most {MAX_COUNT} numbers")
    return found


def _check_counts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Rejects large widths and counts, because a function can make large values of them."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, int) and abs(value) > MAX_COUNT:
            raise _too_much(f"a number given to a filter or function is at most {MAX_COUNT}")


def _check_format(args: tuple[Any, ...]) -> None:
    if args and isinstance(args[0], str) and _WIDE.search(args[0]):
        raise _too_much("a format has a width of at most 999")


def _too_much(message: str) -> jinja2.TemplateRuntimeError:
    return jinja2.TemplateRuntimeError(f"{message}: it would take too long, or too much memory")


def _message(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if isinstance(error, LookupError | MemoryError) else str(error)


def _line(error: Exception) -> int:
    """Returns the source line of the error, which Jinja writes into the traceback."""
    lines = list(_template_lines(error))
    return lines[-1] if lines else 1


def _template_lines(error: Exception) -> Iterator[int]:
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename in ("<template>", "<unknown>"):
            yield at.tb_lineno
        at = at.tb_next
