"""One lane's state in RocksDB: a copy of its changelog up to `progress`, never ahead of what was committed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import rocksdict

from workers.errors import Fatal

_PROGRESS_KEY = b"\x00progress"


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction says of its lane: the next source offset of each topic, and the partition clock [s]."""

    offsets: dict[str, int] = {}
    clock_s: float = 0.0


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the local copy is: the next changelog offset to read, and the newest marker before it."""

    changelog_offset: int = 0
    marker: Marker = Marker()


_encode = msgspec.msgpack.Encoder().encode
_decode_progress = msgspec.msgpack.Decoder(Progress).decode


class RocksStore:
    """Implements ports.StateStore. One writer, one process; values and index live in one key space (core.keys)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = rocksdict.Rdict(str(path), _options())
        except Exception as error:
            raise Fatal(
                f"the local state {path} cannot be opened: {error}",
                "is another worker using this data_dir? Else delete the folder: it is rebuilt from the changelog",
            ) from error

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, or None."""
        value: bytes | None = self._db.get(key)
        return value

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[bytes]:
        """The keys that begin with `prefix`, from `start` on, in byte order; a snapshot of this moment."""
        for key in self._db.keys(from_key=max(prefix, start)):
            if not isinstance(key, bytes) or not key.startswith(prefix):  # raw mode: keys are bytes
                return
            yield key

    def write(
        self,
        puts: Iterable[tuple[bytes, bytes | None]],
        index_puts: Iterable[bytes],
        index_deletes: Iterable[bytes],
        progress: Progress,
    ) -> None:
        """One atomic batch: values (None = delete), index entries, and how far they go."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in puts:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        for key in index_deletes:
            batch.delete(key)
        for key in index_puts:
            batch.put(key, b"")
        batch.put(_PROGRESS_KEY, _encode(progress))
        self._db.write(batch)

    @property
    def progress(self) -> Progress:
        """How far the local copy is; the beginning if it is new."""
        stored = self.get(_PROGRESS_KEY)
        return _decode_progress(stored) if stored is not None else Progress()

    def clear(self) -> None:
        """Throws the local copy away, to be rebuilt from the changelog."""
        self._db.close()
        shutil.rmtree(self._path)
        self._db = rocksdict.Rdict(str(self._path), _options())

    def close(self) -> None:
        """Closes the database; the store cannot be used after."""
        self._db.close()


class NoStore:
    """The state of a lane that has none."""

    def get(self, key: bytes) -> bytes | None:
        """Nothing is ever stored."""
        del key
        return None  # what a missing key is

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[bytes]:
        """Nothing is ever stored."""
        del prefix, start
        return iter(())


def _options() -> rocksdict.Options:
    """Bounded memory per lane: two memtables of 8 MiB and a 32 MiB block cache."""
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(8 << 20)
    options.set_max_write_buffer_number(2)
    options.set_keep_log_file_num(2)
    table = rocksdict.BlockBasedOptions()
    table.set_block_cache(rocksdict.Cache(32 << 20))
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options
