"""Reads YAML files with line numbers: safe, size-limited, without aliases, collecting every mistake."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import msgspec
import yaml

MAX_FILE_BYTES = 1_000_000
MAX_DEPTH = 24
_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")
)
_TAB = re.compile(r"^ *\t", re.MULTILINE)
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

FieldPath = tuple[str | int, ...]


class Problem(msgspec.Struct, frozen=True, order=True):
    """One mistake of a playbook and its position."""

    file: str
    line: int
    field: str
    wrong: str
    allowed: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: {self.field}: " if self.field else f"{self.file}:{self.line}: "
        return place + self.wrong + (f"; allowed: {self.allowed}" if self.allowed else "")


class Document:
    """One file's content, its lines, and the problems found in it."""

    def __init__(self, file: str, text: str, problems: list[Problem], first_line: int = 1) -> None:
        self.file = file
        self.root: yaml.Node | None = None
        self._problems = problems
        self._first_line = first_line
        self._lines: dict[FieldPath, int] = {(): first_line}
        self._compose(text)

    def report(self, path: FieldPath, wrong: str, allowed: str = "") -> None:
        """Reports a mistake at a field, or at the nearest enclosing field that is in the file."""
        self._problems.append(Problem(self.file, self.line(path), field_name(path), wrong, allowed))

    def line(self, path: FieldPath) -> int:
        """Returns the line of a field, counted from 1."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def _compose(self, text: str) -> None:
        if tab := _TAB.search(text):
            self._fail(text.count("\n", 0, tab.end()) + 1, "the indentation contains a tab", "spaces")
            return
        try:
            depth = 0
            for event in yaml.parse(text, Loader=_Loader):
                mark = event.start_mark
                line = mark.line + 1 if mark else 1
                if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                    self._fail(
                        line,
                        "anchors and aliases (& and *) are not supported",
                        "repeat the content, or put the text in quotes",
                    )
                    return
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                if depth > MAX_DEPTH:
                    self._fail(line, "too deeply nested", f"{MAX_DEPTH} levels")
                    return
            root = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._fail(mark.line + 1 if mark else 1, f"not valid YAML: {error.problem or error.context}")
            return
        except yaml.YAMLError as error:
            self._fail(1, f"not valid YAML: {str(error).splitlines()[0]}")
            return
        if root is None:
            self._fail(1, "the file is empty")
            return
        before = len(self._problems)
        self._index(root, ())
        if len(self._problems) == before:
            self.root = root

    def _index(self, node: yaml.Node, path: FieldPath) -> None:
        self._lines.setdefault(path, node.start_mark.line + self._first_line)
        if node.tag not in _TAGS:
            self.report(path, f"the tag {node.tag} is not supported", "plain text, numbers, lists and maps")
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._index(item, (*path, index))
        elif isinstance(node, yaml.MappingNode):
            for key, item in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    self.report(path, "a key is not text", "names")
                    continue
                inner = (*path, str(key.value))
                if inner in self._lines:
                    self._problems.append(
                        Problem(
                            self.file,
                            key.start_mark.line + self._first_line,
                            field_name(inner),
                            "appears twice",
                            "once",
                        )
                    )
                self._lines[inner] = key.start_mark.line + self._first_line
                self._index(item, inner)

    def _fail(self, line: int, wrong: str, allowed: str = "") -> None:
        self._problems.append(Problem(self.file, line + self._first_line - 1, "", wrong, allowed))


def read_text(folder: Path, file: str, problems: list[Problem]) -> str | None:
    """Returns a file's text; None (and a problem) if it is missing, too big or not UTF-8."""
    path = folder / file
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            problems.append(Problem(file, 1, "", f"the file has {size} bytes", f"{MAX_FILE_BYTES} bytes"))
            return None
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        problems.append(Problem(file, 1, "", "the file is missing"))
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        problems.append(Problem(file, line, "", "the file is not UTF-8", "UTF-8 text"))
    except OSError as error:
        problems.append(Problem(file, 1, "", f"the file cannot be read: {error.strerror}"))
    return None


def plain(node: yaml.Node) -> object:
    """Returns the value of a node as dict, list, str, int, float, bool or None. Keys are always text, even `no`.

    Raises ValueError for an invalid scalar, such as a date with month 13.
    """
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(value) for value in node.value]
    value: object = yaml.constructor.SafeConstructor().construct_object(node)
    return value.isoformat() if isinstance(value, date) else value


def field_name(path: FieldPath) -> str:
    """Returns the name of a field, such as `campaigns[0].trigger.delay_s`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
