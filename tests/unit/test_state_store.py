"""The store of one lane on a real RocksDB: what its memory is bounded by."""

from __future__ import annotations

from pathlib import Path

from workers.adapters.state.checkpoint import Marker, Progress
from workers.adapters.state.rocksdb import RocksStore

ENTRIES = 40_000


def test_all_stores_of_a_process_share_one_block_cache(tmp_path: Path) -> None:
    progress = Progress(changelog_offset=1, marker=Marker(offsets={}, clock_s=1.0))
    stores = [RocksStore(tmp_path / name) for name in ("0", "1")]
    for store in stores:
        for part in range(8):  # more than the memtables hold: some of it lies in files
            puts = [(f"p{part * ENTRIES + n}".encode(), b"%d" % n * 20) for n in range(ENTRIES)]
            store.write(puts, (), (), progress)

    def used(store: RocksStore) -> int:
        return int(store._db.property_value("rocksdb.block-cache-usage") or 0)

    before = used(stores[0])
    assert all(stores[0].get(f"p{n}".encode()) for n in range(0, ENTRIES, 50))
    assert used(stores[0]) > before, "its blocks were read"
    assert used(stores[1]) == used(stores[0]), "the other one counts them too"
    for store in stores:
        store.close()
