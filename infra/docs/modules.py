"""Writes docs/modules.md: every module with the first sentence of its docstring, by folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "modules.md"
_PACKAGES = ("schemas", "workers", "infra")
_HEAD = """# Modules

Every module and what it does, from its docstring; `make schemas` writes this page. The picture of the flow, and which file to
change for a given task: [architecture.md](architecture.md).
"""


def page(root: Path = ROOT) -> str:
    """Returns the page as Markdown."""
    parts = [_HEAD]
    for folder, modules in groupby(_modules(root), key=lambda path: path.parent):
        name = folder.relative_to(root).as_posix()
        parts.append(f"\n## {name}\n\n{_purpose(folder / '__init__.py')}\n")
        rows = [f"| [{path.name}](../{name}/{path.name}) | {_purpose(path)} |" for path in modules]
        parts.append("\n".join(["", "| module | what it does |", "| --- | --- |", *rows, ""]))
    return "".join(parts)


def _modules(root: Path) -> Iterator[Path]:
    """Yields the modules, folder by folder."""
    for package in _PACKAGES:
        found = (path for path in (root / package).rglob("*.py") if path.name != "__init__.py")
        yield from sorted(found, key=lambda path: (path.parent.as_posix(), path.name))


def _purpose(path: Path) -> str:
    """Returns the first paragraph of a module's docstring, in one line."""
    docstring = ast.get_docstring(ast.parse(path.read_text())) if path.exists() else None
    return " ".join((docstring or "").split("\n\n")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
