"""Writes the contract for readers in other languages: `python -m schemas.generate [--check]`.

`json/<topic>.schema.json` is a JSON Schema (draft 2020-12) of each public topic's value, `asyncapi.yaml` an AsyncAPI
3.0 document of all topics. Both come from the structs and the table of topics alone; `--check` writes nothing and fails
when a file is not what it would be written as.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import yaml

from schemas.asyncapi import asyncapi
from schemas.json_schema import public_topics, topic_schema

FOLDER = Path(__file__).resolve().parent


def files() -> dict[str, str]:
    """Path below this folder → text, for every generated file."""
    found = {
        f"json/{topic.name}.schema.json": json.dumps(topic_schema(topic), indent=2, ensure_ascii=False) + "\n"
        for topic in public_topics()
    }
    document = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=120)
    found["asyncapi.yaml"] = f"# Written by `python -m schemas.generate`; do not edit.\n{document}"
    return found


def stale(folder: Path = FOLDER) -> list[str]:
    """What `--check` finds wrong, one line each."""
    wanted = files()
    problems = [
        f"{name} is {'not up to date' if (folder / name).exists() else 'missing'}"
        for name, content in wanted.items()
        if not (folder / name).exists() or (folder / name).read_text("utf-8") != content
    ]
    kept = (f"json/{path.name}" for path in sorted((folder / "json").glob("*")))
    return problems + [f"{name} belongs to no topic" for name in kept if name not in wanted]


def write(folder: Path = FOLDER) -> None:
    """Writes all files and removes the schemas of topics that are gone."""
    (folder / "json").mkdir(exist_ok=True)
    wanted = files()
    for path in (folder / "json").glob("*.schema.json"):
        if f"json/{path.name}" not in wanted:
            path.unlink()
    for name, content in wanted.items():
        (folder / name).write_text(content, "utf-8")


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when `--check` finds something."""
    parser = argparse.ArgumentParser(prog="python -m schemas.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is not up to date")
    if parser.parse_args(arguments).check:
        problems = stale()
        print("\n".join([*problems, "run `make schemas`"]) if problems else "schemas are up to date")
        return 1 if problems else 0
    write()
    print(f"wrote {len(files())} files below {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
