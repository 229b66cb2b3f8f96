"""State that an earlier version left behind opens, and what follows from it is the same to the byte.

`tests/golden` was written by version 1 of the profile, before modules and classes got their present names: the state of a
lane of `personalise` and of `learn`, the records that came next, and what was published then; and the folder of a RocksDB.
"""

from __future__ import annotations

import tarfile
from base64 import b64decode
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.core import LaneHarness
from tests.support.learning import LearnHarness
from workers.adapters.state.rocksdb import RocksStore
from workers.core.partition import keys
from workers.core.profile import model
from workers.core.stream.records import Output, Record

GOLDEN = Path(__file__).parents[1] / "golden"


class Left(msgspec.Struct):
    """What an earlier version left: bytes in base64. `wall_s`: the time of the batch of `records`, then of an empty one."""

    state: dict[str, str]
    clock_s: float
    records: list[tuple[str, int, int, str | None, str | None, float]]
    wall_s: tuple[float, float]
    outputs: list[tuple[str, str | None, str | None]]

    def values(self) -> dict[bytes, bytes]:
        return {b64decode(key): b64decode(value) for key, value in self.state.items()}

    def batch(self) -> list[Record]:
        return [
            Record(
                topic=topic, partition=partition, offset=offset, key=_bytes(key), value=_bytes(value), appended_at_s=at
            )
            for topic, partition, offset, key, value, at in self.records
        ]


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)


def left_by(role: str) -> Left:
    return msgspec.json.decode((GOLDEN / f"{role}.json").read_bytes(), type=Left)


def shown(outputs: list[Output]) -> list[tuple[str, bytes | None, Any]]:
    """With values decoded: a difference is found at once."""
    return [(out.topic, out.key, msgspec.json.decode(out.value) if out.value else None) for out in outputs]


def test_personalise_goes_on_from_the_state_of_an_earlier_version() -> None:
    left, lane = left_by("personalise"), LaneHarness()
    lane.store.values, lane.clock_s = left.values(), left.clock_s
    lane.restart()
    lane.run(left.batch(), left.wall_s[0])
    lane.run([], left.wall_s[1])
    expected = [Output(topic, _bytes(key), _bytes(value)) for topic, key, value in left.outputs]
    assert shown(lane.outputs) == shown(expected)
    assert [out.value for out in lane.outputs] == [out.value for out in expected]


def test_learn_goes_on_from_the_state_of_an_earlier_version() -> None:
    left, lane = left_by("learn"), LearnHarness()
    lane.store.values, lane._clock_s = left.values(), left.clock_s
    lane.restart()
    lane.wall_s = left.wall_s[0]
    lane.run(*left.batch())
    lane.tick(left.wall_s[1])
    expected = [Output(topic, _bytes(key), _bytes(value)) for topic, key, value in left.outputs]
    assert shown(lane.outputs) == shown(expected)
    assert [out.value for out in lane.outputs] == [out.value for out in expected]


def test_the_folder_of_an_earlier_version_opens(tmp_path: Path) -> None:
    with tarfile.open(GOLDEN / "state.tar.gz") as packed:
        packed.extractall(tmp_path, filter="data")
    store = RocksStore(tmp_path / "state")
    try:
        assert store.progress.marker.offsets == {"customer.events": 17}
        ana = model.decode(store.get(keys.profile_key("ana")) or b"")
        assert (ana.user_id, list(ana.carts), len(ana.published)) == ("ana", ["cart-1"], 1)
    finally:
        store.close()


@pytest.mark.parametrize("role", ["personalise", "learn"])
def test_there_is_something_to_go_on_from(role: str) -> None:
    left = left_by(role)
    assert min(len(left.state), len(left.records), len(left.outputs)) >= 4
