"""Stores one lane's state in RocksDB: a copy of its changelog up to `progress`, never ahead of what was committed.

A folder that cannot be opened or read is set aside (as `<path>.quarantined-<n>`, of which the newest is kept for inspection)
and rebuilt from the changelog. A full disk, or missing permissions, are not damage: the worker stops and reports them.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec
import rocksdict

from workers.adapters.process import clock
from workers.adapters.state.checkpoint import Progress
from workers.core.errors import Fatal
from workers.private_files import private_folder

log = logging.getLogger(__name__)

_PROGRESS_KEY = b"\x00progress"
_CHANGELOG_KEY = b"\x00changelog"
#: Tombstones leave a changelog after seven days (schemas.topics.COMPACTION): an older copy might keep deleted records [s].
_MAX_AGE_S = 6 * 86_400.0
#: RocksDB's messages for problems of the environment, not of the files.
_NO_ROOM = ("No space left", "File too large", "Disk quota exceeded")
_NO_ACCESS = (
    *("While lock file", "lock hold by", "Permission denied", "Read-only file system"),
    *("Too many open files", "Cannot allocate memory"),
)


_encode = msgspec.msgpack.Encoder().encode
_decode_progress = msgspec.msgpack.Decoder(Progress).decode


class RocksStore:
    """Implements core.stream.records.StateStore. One writer, one process; values and index share keys (partition.keys)."""

    def __init__(self, path: Path) -> None:
        """Opens the folder, or a new one in place of a damaged one. Raises Fatal if the environment is at fault."""
        self._path = path
        self._damaged = path.with_name(f"{path.name}.damaged")  # left by a predecessor that found damage while reading
        if self._damaged.exists():
            _set_aside(path, "a worker found it damaged")
            self._damaged.unlink()
        if (age_s := _age_s(path)) > _MAX_AGE_S:
            _set_aside(path, f"it was not written for {age_s / 86_400:.0f} days, and may have missed deletions")
        try:
            self._db = self._open()
        except Exception as error:
            if _is_outside(error):
                raise self._failed(error) from error
            _set_aside(path, f"it cannot be opened: {error}")
            self._db = self._open()

    def get(self, key: bytes) -> bytes | None:
        """Returns the value of a key, or None."""
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._failed(error) from error
        return value

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[bytes]:
        """Yields the keys that begin with `prefix`, from `start` on, in byte order; a snapshot of this moment."""
        keys = self._db.keys(from_key=max(prefix, start))
        while True:
            try:
                key = next(keys, None)
            except Exception as error:
                raise self._failed(error) from error
            if not isinstance(key, bytes) or not key.startswith(prefix):  # raw mode: keys are bytes
                return
            yield key

    def write(
        self,
        puts: Iterable[tuple[bytes, bytes | None]],
        index_puts: Iterable[bytes],
        index_deletes: Iterable[bytes],
        progress: Progress,
        *,
        logged: bool = True,
    ) -> None:
        """Writes one atomic batch: values (None = delete), index entries, and the progress that they reach.

        Without `logged` (no WAL) it is faster, but a crash undoes the newest such batches, whole and in order, unless `flush`
        was called first. Call `flush` before the next logged batch, which would survive them.
        """
        batch = rocksdict.WriteBatch(raw_mode=True)
        put, delete = batch.put, batch.delete
        for key, value in puts:
            if value is None:
                delete(key)
            else:
                put(key, value)
        for key in index_deletes:
            delete(key)
        for key in index_puts:
            put(key, b"")
        put(_PROGRESS_KEY, _encode(progress))
        try:
            self._db.write(batch, _LOGGED if logged else _UNLOGGED)
        except Exception as error:
            raise self._failed(error) from error

    def flush(self) -> None:
        """Ensures that everything written survives a crash of this machine."""
        try:
            self._db.flush()
        except Exception as error:
            raise self._failed(error) from error

    @property
    def progress(self) -> Progress:
        """The progress of the local copy; the beginning if it is new."""
        stored = self.get(_PROGRESS_KEY)
        if stored is None:
            return Progress()
        try:
            return _decode_progress(stored)
        except msgspec.DecodeError as error:
            self.quarantine(f"its progress cannot be read: {error}")
            return Progress()

    @property
    def changelog_id(self) -> str:
        """The ID that the broker gave the changelog of which this is a copy; empty if not known."""
        return (self.get(_CHANGELOG_KEY) or b"").decode(errors="replace")

    @changelog_id.setter
    def changelog_id(self, topic_id: str) -> None:
        try:
            self._db.put(_CHANGELOG_KEY, topic_id.encode())
        except Exception as error:
            raise self._failed(error) from error

    def quarantine(self, reason: str) -> None:
        """Sets the local copy aside and creates an empty one, to be rebuilt from the changelog."""
        self._db.close()
        _set_aside(self._path, reason)
        self._db = self._open()

    def close(self) -> None:
        """Closes the database; the store cannot be used afterwards."""
        self._db.close()

    def _open(self) -> rocksdict.Rdict:
        private_folder(self._path.parent)
        return rocksdict.Rdict(str(self._path), _options())

    def _failed(self, error: Exception) -> Fatal:
        """Returns an error that explains a failure of RocksDB; damage is recorded for the next start."""
        text = str(error)
        if any(word in text for word in _NO_ROOM):
            return Fatal(
                f"the local state {self._path} cannot be written: {text}",
                "free some space for data_dir; nothing is lost: everything committed is in Kafka, and a restart catches up",
            )
        if any(word in text for word in _NO_ACCESS):
            return Fatal(
                f"the local state {self._path} cannot be used: {text}",
                "is another worker using this data_dir? If not, give this user access to the folder",
            )
        with suppress(OSError):
            self._damaged.touch()
        return Fatal(
            f"the local state {self._path} is damaged: {text}",
            "the next start sets the folder aside and rebuilds it from the changelog; is the disk healthy?",
        )


def _is_outside(error: Exception) -> bool:
    """Returns whether the environment is at fault, so that a new folder would not help."""
    return isinstance(error, OSError) or any(word in str(error) for word in (*_NO_ROOM, *_NO_ACCESS))


def _age_s(path: Path) -> float:
    """Returns the time since a folder was last written to; 0 if it is empty or missing [s]."""
    written = [file.stat().st_mtime for file in path.iterdir()] if path.is_dir() else []
    return clock.now_s() - max(written) if written else 0.0


def _set_aside(path: Path, reason: str) -> None:
    """Moves a folder to `<path>.quarantined-<n>`, replacing the previous one."""
    if not path.exists():
        return
    before = {int(old.name.rpartition("-")[2]): old for old in path.parent.glob(f"{path.name}.quarantined-*")}
    aside = path.with_name(f"{path.name}.quarantined-{max(before, default=0) + 1}")
    path.rename(aside)
    for old in before.values():
        shutil.rmtree(old, ignore_errors=True)
    log.error("the local state %s is set aside as %s and rebuilt from the changelog: %s", path, aside.name, reason)


class NoStore:
    """The state of a lane without state."""

    def get(self, key: bytes) -> bytes | None:
        """Returns None: nothing is ever stored."""
        del key
        return None  # the value of a missing key

    def scan(self, prefix: bytes, start: bytes = b"") -> Iterator[bytes]:
        """Yields nothing: nothing is ever stored."""
        del prefix, start
        return iter(())


@cache
def _blocks() -> rocksdict.Cache:
    """Returns one cache for all lanes of the process (32 MiB), so that its memory does not grow with their number.

    Profiles that a worker reads often are in its profile cache; blocks of files that compaction has replaced fill this one up
    to its limit in any case.
    """
    return rocksdict.Cache(32 << 20)


def _options() -> rocksdict.Options:
    """Returns options that bound memory per lane: two memtables of 8 MiB.

    Universal compaction rewrites a large state far less often than level compaction does, and takes more disk space: up to
    three times the live data, four while it merges.
    """
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_compaction_style(rocksdict.DBCompactionStyle.universal())
    options.set_write_buffer_size(8 << 20)
    options.set_max_write_buffer_number(2)
    options.set_keep_log_file_num(2)
    table = rocksdict.BlockBasedOptions()
    table.set_block_cache(_blocks())
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options


def _write_options(*, disable_wal: bool) -> rocksdict.WriteOptions:
    options = rocksdict.WriteOptions()
    options.disable_wal = disable_wal  # type: ignore[assignment,method-assign] # the stub takes the attribute for a method
    return options


_LOGGED, _UNLOGGED = _write_options(disable_wal=False), _write_options(disable_wal=True)
