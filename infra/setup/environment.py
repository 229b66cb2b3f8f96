"""Creates a virtual environment from hashed lock files; runs on the system's Python, before anything is installed.

Standard library only. `uv` installs the packages (an order of magnitude faster than pip); pip installs `uv`. All packages have
a hash, including `uv` and the build tool of this repository's own package.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: uv and setuptools.
TOOLS = ROOT / "requirements-setup.lock"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, required=True)
    parser.add_argument("--lock", type=Path, required=True, help="hashed lock file")
    parser.add_argument("--no-deps-lock", type=Path, help="hashed lock file installed without dependencies")
    args = parser.parse_args()
    if sys.version_info < (3, 11):
        return fail(
            f"Python 3.11 or newer is required, this is {sys.version.split()[0]}.", "make setup PYTHON=python3.12"
        )
    python = args.venv / "bin" / "python"
    started = time.monotonic()
    if not python.exists():
        say(f"creating {args.venv} on Python {sys.version.split()[0]}")
        try:
            venv.create(args.venv, with_pip=True, clear=args.venv.exists())
        except subprocess.CalledProcessError:
            return fail("the venv module of this Python is incomplete.", "apt-get install python3-venv")
    try:
        if not (args.venv / "bin" / "uv").exists():
            pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
            run([*pip, "--only-binary", ":all:", "--require-hashes", "-r", str(TOOLS)])
        install(args.venv, ["--require-hashes", "-r", str(TOOLS)])
        say(f"installing {count(args.lock)} pinned packages of {args.lock.name}")
        install(args.venv, ["--require-hashes", "-r", str(args.lock)])
        if args.no_deps_lock:
            install(args.venv, ["--require-hashes", "--no-deps", "-r", str(args.no_deps_lock)])
        if "vllm" not in args.lock.name:
            install(args.venv, ["--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    except subprocess.CalledProcessError as error:
        return fail(f"`{' '.join(error.cmd[:4])} ...` failed.", "read the lines above; is the package index reachable?")
    say(f"{args.venv} is ready ({time.monotonic() - started:.0f} s)")
    return 0


def install(environment: Path, arguments: list[str]) -> None:
    run(
        [
            str(environment / "bin" / "uv"),
            *("pip", "install", "--quiet", "--link-mode", "copy"),
            *("--python", str(environment / "bin" / "python")),
            *arguments,
        ]
    )


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, cwd=ROOT)


def count(lock: Path) -> int:
    return sum("==" in line for line in lock.read_text().splitlines())


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def fail(what: str, hint: str) -> int:
    print(f"setup: {what} Hint: {hint}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
