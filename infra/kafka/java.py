"""Finds a Java that can run Kafka. Its version is determined by running it."""

from __future__ import annotations

import re
import shutil
import subprocess

from workers.core.errors import Unavailable

MIN_VERSION = 17
HINT = "install Java 17 or newer and Maven (Debian, Ubuntu: apt-get install openjdk-17-jre-headless maven)"
_VERSION = re.compile(r'version "(\d+)(?:\.(\d+))?')


def find_java() -> str:
    """Returns the absolute path of a `java` on the PATH that is new enough for Kafka (17).

    Raises Unavailable with a hint if there is none, if it does not run, or if it is older.
    """
    path = shutil.which("java")
    if path is None:
        raise Unavailable("Java is missing; the embedded Kafka needs it.", HINT)
    try:
        result = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=True)  # noqa: S603 - found on the PATH
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{path} does not run: {error}.", HINT) from error
    version = major_version(result.stderr + result.stdout)
    if version is None:
        raise Unavailable(f"{path} does not report its version.", HINT)
    if version < MIN_VERSION:
        raise Unavailable(f"{path} is Java {version}; Kafka needs {MIN_VERSION} or newer.", HINT)
    return path


def major_version(text: str) -> int | None:
    """Returns the feature release in the output of `java -version`; None if there is none.

    >>> major_version('openjdk version "17.0.15" 2025-04-15'), major_version('java version "1.8.0_402"')
    (17, 8)
    """
    found = _VERSION.search(text)
    if found is None:
        return None
    major = int(found[1])
    return int(found[2]) if major == 1 and found[2] else major  # Java 8 reports 1.8
