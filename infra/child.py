"""Starts a child process that never outlives its parent, however the parent ends.

Linux kills the child when the *thread* that forked it ends; so a dedicated thread forks, and waits until the child exits. This
file, run as a script, sets the signal after the fork and then executes the program: that is safe in a multi-threaded process,
where running code between fork and exec is not.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def start_child(
    command: Sequence[str], *, output: Path, environment: Mapping[str, str] | None = None, keep_open: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Starts `command` (first item: an absolute path) in its own session; it is killed when this process dies.

    stdout and stderr go to the file `output`, which is truncated; that file and what the child creates are accessible to this
    user only. `environment` None: that of this process. The file descriptors `keep_open` stay open in the child. A terminal's
    Ctrl-C reaches only this process. On other systems than Linux, the child survives a killed parent. Raises OSError if no
    process can be started; a program that cannot be executed ends with exit code 127.
    """
    started: Future[subprocess.Popen[bytes]] = Future()
    arguments = [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]

    def keep() -> None:
        try:
            from workers.private_files import UMASK, private_open  # noqa: PLC0415 - this file also runs as a script, without its package

            with private_open(output, "w") as file:
                process = subprocess.Popen(  # noqa: S603 - the caller's own arguments, no shell
                    arguments,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    pass_fds=keep_open,
                    start_new_session=True,
                    umask=UMASK,
                )
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(process)
        process.wait()

    threading.Thread(target=keep, name="child", daemon=True).start()
    return started.result()


def _execute(parent: int, command: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # the parent died before the signal was set
        sys.exit(1)
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    _execute(int(sys.argv[1]), sys.argv[2:])
