"""Runs Apache Kafka on this machine: one Java process, broker and controller in one, for demo, tests and benchmarks.

    <data_dir>/data               partitions and metadata; created by one rename after formatting
    <data_dir>/port               the port of the last start, so that the address stays the same after a restart
    <data_dir>/lock               held by the Java process itself while it runs
    <data_dir>/kafka.log          warnings of the broker, rolled; jvm.log: the output of Java
    <data_dir>/server.properties  written at each start

Only this user can access the folder. The broker has no authentication: anyone with an account on this machine can connect to
its port (docs/operation.md).

Run in the foreground: `python -m infra.kafka.embedded --data-dir D [--port P]`.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import click

from infra.child import start_child
from infra.kafka.jars import default_cache, ensure_jars
from infra.kafka.java import find_java
from infra.kafka.log_tail import last_lines, log_size
from infra.kafka.ports import is_free, pick_port
from infra.kafka.properties import HOST, Forwarded, render, server_properties
from infra.kafka.startup import StartFailed, start_failure, wait_until_ready
from infra.kafka.storage import cluster_id, format_storage
from workers.core.errors import AttuneError, Misconfigured, Unavailable
from workers.private_files import private_folder, private_text

LOGGING = Path(__file__).with_name("log4j2.properties")
#: Only the first-tier JIT compiler: half the broker's CPU time of the default in runs of minutes, which matters on two cores.
JVM_OPTIONS = (
    *("-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"),
    *("-XX:-UsePerfData", "-Djava.awt.headless=true", "-Dlog4j2.disableJmx=true"),
)

#: A killed Java process releases its files with a short delay; a restart waits this long for it [s].
LOCK_WAIT_S = 3.0


class EmbeddedKafka:
    """One broker on loopback that keeps its topics and records in `data_dir` between starts.

    A context manager: inside the block the broker answers at `bootstrap`. One instance per folder, over all processes. The
    Java process ends with `stop()`, and is killed by the kernel (Linux) if this process dies in any other way.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        forwarded: Forwarded | None = None,
        cache: Path | None = None,
        jvm_options: tuple[str, ...] = JVM_OPTIONS,
        start_timeout_s: float = 60.0,
    ) -> None:
        """`port` None: the port of the last start if it is free, otherwise any free one; a given port must be free.

        `forwarded` is a second listener, for clients that connect through a proxy or a port forward. `cache` is the folder of the
        jars (default: `infra.kafka.jars.default_cache()`). Does not start the broker yet. Raises Misconfigured for a folder whose
        name Kafka does not support.
        """
        self.data_dir = data_dir.absolute()
        if "," in str(self.data_dir):  # log.dirs is a comma-separated list
            raise Misconfigured(f"The data folder {self.data_dir} has a comma in its name.", "use a folder without one")
        self._requested_port = port
        self._forwarded = forwarded
        self._cache = cache
        self._jvm_options = jvm_options
        self._start_timeout_s = start_timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def bootstrap(self) -> str:
        """host:port that clients connect to, also after a stop. Raises Unavailable before the first start."""
        if not self._port:
            raise Unavailable("The embedded Kafka was not started.", "call start() first")
        return f"{HOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The ID of the Java process, None if it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the broker and returns once it answers (about 2 s, 4 s on a busy machine); no effect if it runs.

        Raises Unavailable, with the last lines of the log, if Java or the jars are missing, the folder is in use or damaged,
        the port is in use, or the broker does not answer in time. In these cases no process is left running.
        """
        if self.pid is not None:
            return
        java = find_java()
        jars = ensure_jars(self._cache or default_cache())
        run_java = (java, *self._jvm_options, "-cp", f"{jars}/*")
        try:
            private_folder(self.data_dir)
            lock = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            hint = "use a writable folder"
            raise Unavailable(f"The data folder {self.data_dir} cannot be used: {error.strerror}.", hint) from error
        try:
            self._acquire(lock)
            self._port = self._choose_port()
            self._launch(run_java, lock)
            private_text(self.data_dir / "port", f"{self._port}\n")
        finally:
            os.close(lock)  # a started Java process has inherited it, and so keeps the lock

    def wait(self) -> int:
        """Blocks until the Java process ends; returns its exit code (negative: the signal that ended it)."""
        return self._process.wait() if self._process is not None else 0

    def stop(self, timeout_s: float = 20.0) -> None:
        """Stops the broker cleanly; after `timeout_s` it is killed. The data are kept. No effect if nothing runs."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _acquire(self, lock: int) -> None:
        deadline_s = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > deadline_s:
                    holder = os.pread(lock, 100, 0).decode(errors="replace").strip() or "starting"
                    what = f"Another Kafka is already running on {self.data_dir} ({holder})."
                    raise Unavailable(what, "stop it, or use another folder") from error
            time.sleep(0.05)

    def _choose_port(self) -> int:
        if self._requested_port:
            if not is_free(self._requested_port):
                what = f"Port {self._requested_port} of {HOST} is in use."
                raise Unavailable(what, "stop the program that uses it, or choose another port")
            return self._requested_port
        remembered = self.data_dir / "port"
        text = remembered.read_text().strip() if remembered.exists() else ""
        return int(text) if text.isdecimal() and is_free(int(text)) else pick_port()

    def _launch(self, run_java: tuple[str, ...], lock: int) -> None:
        data, log, jvm_log = (self.data_dir / name for name in ("data", "kafka.log", "jvm.log"))
        logging = (f"-Dattune.kafka.log={log}", f"-Dlog4j2.configurationFile={LOGGING}")
        run_java = (*run_java, *logging)
        since = log_size(log)
        try:
            if not data.exists():
                format_storage(run_java, data, self._write_properties, jvm_log, self._start_timeout_s)
            command = [*run_java, "kafka.Kafka", str(self._write_properties(data))]
            self._process = start_child(command, output=jvm_log, keep_open=[lock])
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"process {self._process.pid} at {self.bootstrap}".encode(), 0)
            wait_until_ready(self._process, self.bootstrap, cluster_id(data), self._start_timeout_s)
        except (StartFailed, OSError) as error:
            self.stop()
            lines = last_lines(log, since) or last_lines(jvm_log)
            raise start_failure(str(error), lines, self.data_dir) from error
        except BaseException:  # an interrupt, for example
            self.stop()
            raise

    def _write_properties(self, data: Path) -> Path:
        path = self.data_dir / "server.properties"
        taken = {self._port} | ({self._forwarded.port} if self._forwarded is not None else set())
        properties = server_properties(data, self._port, pick_port(frozenset(taken)), self._forwarded)
        private_text(path, render(properties))
        return path


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), required=True, help="Topics and records.")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Loopback port (default: that of the last start, or any free one)."
)
def main(data_dir: Path, port: int | None) -> None:
    """Runs Apache Kafka in the foreground until SIGINT or SIGTERM; prints `bootstrap: host:port` when it answers."""
    for number in (signal.SIGTERM, signal.SIGINT):  # a background job of a shell starts with SIGINT ignored
        signal.signal(number, _interrupt)
    try:
        with EmbeddedKafka(data_dir, port=port) as kafka:
            click.echo(f"bootstrap: {kafka.bootstrap}")
            code = kafka.wait()
            hint = f"see {kafka.data_dir / 'kafka.log'}"
            raise Unavailable(f"The embedded Kafka exited unexpectedly with exit code {code}.", hint)
    except KeyboardInterrupt:
        return
    except AttuneError as error:
        click.echo(f"kafka: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
