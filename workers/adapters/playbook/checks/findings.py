"""Checks common to all files of a playbook: known names, texts in all languages, no duplicates, nothing missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from workers.adapters.playbook.documents.yaml_documents import Document, FieldPath, Problem
from workers.adapters.playbook.documents.yaml_structs import did_you_mean
from workers.core.playbook.base import Texts


def reference(document: Document, path: FieldPath, kind: str, name: str, known: Iterable[str]) -> None:
    """Reports a name that is not among the known ones."""
    known = list(known)
    if name not in known:
        wrong = f"{kind} `{name}` is not known" + did_you_mean(name, known)
        document.report(path, wrong, ", ".join(known) or f"(there is no {kind})")


def texts(document: Document, path: FieldPath, given: Texts, languages: list[str], *, required: bool) -> None:
    """Reports unknown and missing languages and empty texts; no texts at all are valid unless `required`."""
    for language, text in given.items():
        reference(document, (*path, language), "language", language, languages)
        if not text.strip():
            document.report((*path, language), "is empty", "text")
    missing = [language for language in languages if language not in given]
    if missing and (required or given):
        document.report(path, f"{', '.join(missing)} is missing", "texts in " + ", ".join(languages))


def unique(document: Document, path: FieldPath, names: Sequence[str], kind: str, field: str = "") -> None:
    """Reports duplicate names; `field` is the field that holds the name of an item."""
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in first:
            at = (*path, index, field) if field else (*path, index)
            document.report(at, f"{kind} `{name}` appears twice (also at {path[-1]}[{first[name]}])", "no duplicates")
        first.setdefault(name, index)


def missing_file(problems: list[Problem], file: str, user: str) -> None:
    """Reports a missing text file that `user` needs, unless a mistake was reported in it: in that case it exists."""
    if not any(problem.file == file for problem in problems):
        problems.append(Problem(file, 1, "", f"the file is missing; {user} needs it"))
