"""A script under supervision, as the server sees it: start it, stream it, stop it, find it again.

Apart from the action, because this is about processes and time, and its tests kill real ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from closeout.actions.general import supervisor
from closeout.core.terminal import stripped

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

_LOADER = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""What a Python that was built by hand may need to start at all."""

LINE_LIMIT = 65_536
"""Bytes of a line that are given on in one piece: a secret that is cut in two would be recognised in neither."""
OUTPUT_LIMIT = 1_000_000
"""Bytes of output that are kept in the log; what comes after is read and dropped."""

LAST_LINES = 10


class Output:
    """Bytes in, clean lines out: no escape sequences, no control characters, bounded.

    `write` gets each line at once; `last` are the last ones, for the error message.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._rest = b""
        self._kept = 0
        self.last: deque[str] = deque(maxlen=LAST_LINES)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        while len(self._rest) > LINE_LIMIT:
            self._line(self._rest[:LINE_LIMIT])
            self._rest = self._rest[LINE_LIMIT:]

    def end(self) -> None:
        """Take what stood after the last line's end."""
        if self._rest:
            self._line(self._rest)
            self._rest = b""

    def _line(self, line: bytes) -> None:
        # A progress bar writes over itself: what was seen last is what follows the last carriage return.
        shown = line.rstrip(b"\r").rpartition(b"\r")[2][:LINE_LIMIT]
        text = stripped(shown.decode("utf-8", "replace")).rstrip()
        self.last.append(text)
        if self._kept > OUTPUT_LIMIT:
            return
        self._kept += len(line) + 1
        self._write(text if self._kept <= OUTPUT_LIMIT else "… (more output than is kept)")


class Supervised:
    """A supervisor process, parked until `run` tells it what to do. `grace` is between SIGTERM and SIGKILL."""

    def __init__(self, *, grace: float = GRACE) -> None:
        self._grace = grace
        # -I and -S: nothing of the environment, of the user's site or of the folder gets into the supervisor.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", supervisor.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={name: os.environ[name] for name in _LOADER if name in os.environ},
            start_new_session=True,
        )
        self.identity: dict[str, Any] = {"pid": self._process.pid, "started": started(self._process.pid)}

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: str,
        event: Mapping[str, Any],
        timeout: float,
        output: Output,
    ) -> int | None:
        """Run `argv` with the payload in a file named by CLOSEOUT_EVENT_PATH; None: it had to be stopped.

        The file is in a folder of its own that only this user may read; the supervisor removes it.
        """
        folder = Path(tempfile.mkdtemp(prefix="closeout-"))
        try:
            path = folder / "event.json"
            with os.fdopen(
                os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            ) as file:
                json.dump(event, file, ensure_ascii=False)
            order = {
                "argv": list(argv),
                "environment": {**environment, "CLOSEOUT_EVENT_PATH": str(path)},
                "directory": directory,
                "folder": str(folder),
                "grace": self._grace,
            }
            self._tell(json.dumps(order).encode() + b"\n")
            return self._follow(output, timeout)
        finally:
            self.dispose()
            shutil.rmtree(folder, ignore_errors=True)

    def _tell(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def _follow(self, output: Output, timeout: float) -> int | None:
        """Stream the output until the supervisor has ended; at the time limit tell it to stop."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        os.set_blocking(descriptor, False)
        stop_at: float | None = time.monotonic() + timeout
        kill_at = time.monotonic() + timeout + self._grace + 5.0
        with _watch(descriptor, self._process.pid) as selector:
            while self._process.poll() is None:
                now = time.monotonic()
                if stop_at is not None and now >= stop_at:
                    stop_at = None
                    self._close_input()
                elif now >= kill_at:
                    self._process.kill()
                selector.select(min(1.0, max(0.01, (stop_at or kill_at) - now)))
                _drain(descriptor, output)
        _drain(descriptor, output)
        output.end()
        return None if stop_at is None else self._process.returncode

    def _close_input(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def dispose(self) -> None:
        """End the supervisor, whatever it is doing."""
        self._close_input()
        try:
            self._process.wait(self._grace + 5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _watch(descriptor: int, pid: int) -> selectors.BaseSelector:
    """Wake up on output and, where the system can tell (Linux), on the process's end."""
    selector = _Selector()
    selector.register(descriptor, selectors.EVENT_READ)
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            selector.watch(os.pidfd_open(pid))
    return selector


class _Selector(selectors.DefaultSelector):
    """A selector that closes the descriptor it was given."""

    _own: int | None = None

    def watch(self, descriptor: int) -> None:
        self._own = descriptor
        self.register(descriptor, selectors.EVENT_READ)

    def close(self) -> None:
        super().close()
        if self._own is not None:
            os.close(self._own)
            self._own = None


def _drain(descriptor: int, output: Output) -> None:
    """Read what is there now, but not for ever: a script may write faster than it is read."""
    for _ in range(16):
        try:
            data = os.read(descriptor, 65_536)
        except BlockingIOError:
            return
        if not data:
            return
        output.feed(data)


# --- processes of an earlier life -----------------------------------------------------------------------


def started(pid: int) -> str | None:
    """Give when a process started, comparable on this machine and across reboots; None when it is not there.

    Field 22 of /proc/PID/stat (ticks since boot, proc(5)) with the boot's id: a pid alone is used again.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")  # a process may choose its name
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else f"{boot}:{fields[18]}"


def end_survivor(identity: Mapping[str, Any], patience: float = GRACE + 5.0) -> bool:
    """End the supervisor of an earlier life, and with it its script. False: it could not be ended.

    The supervisor stops by itself when its server dies; this waits for it, and insists.
    """
    pid, since = identity.get("pid"), identity.get("started")
    if not isinstance(pid, int) or since is None:
        return True
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 2.0)):
        deadline = time.monotonic() + seconds
        if started(pid) == since:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        while started(pid) == since and time.monotonic() < deadline:
            time.sleep(0.02)
    return bool(started(pid) != since)
