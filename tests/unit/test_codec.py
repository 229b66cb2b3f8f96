"""Decoders are shared by threads: the first use of a struct by several at once is the dangerous one."""

from __future__ import annotations

import subprocess
import sys

#: Each round makes structs that nobody has decoded, and lets threads decode them at the same moment. `sys.argv[1]` is how
#: their decoder is built.
RACE = r"""
import sys, threading, types
import msgspec
from schemas import codec

sys.setswitchinterval(1e-6)
build = {"guarded": codec._decoder, "bare": msgspec.json.Decoder}[sys.argv[1]]
SOURCE = '''
from __future__ import annotations
import msgspec
from typing import Annotated
class Inner(msgspec.Struct):
    a: Annotated[int, msgspec.Meta(ge=0)] = 0
    b: dict[str, list[Annotated[str, msgspec.Meta(max_length=9)]]] = {}
class Outer(msgspec.Struct):
    x: Inner
    y: list[Inner] = []
    z: str | None = None
'''
VALUE = b'{"x": {"a": 1, "b": {"k": ["v"]}}, "y": [{"a": 2}], "z": "q"}'

for number in range(400):
    module = sys.modules[f"m{number}"] = types.ModuleType(f"m{number}")
    exec(SOURCE, module.__dict__)
    start, wrong = threading.Barrier(3), []

    def decode():
        start.wait()
        try:
            build(module.Outer).decode(VALUE)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=decode) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
"""


def race(builder: str) -> int:
    command = [sys.executable, "-c", RACE, builder]
    return subprocess.run(command, check=False, capture_output=True).returncode


def test_threads_that_meet_a_struct_for_the_first_time_together_all_decode_it() -> None:
    assert race("guarded") == 0


def test_without_the_guard_the_same_threads_break() -> None:
    assert race("bare") != 0
