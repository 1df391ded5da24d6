"""The server's side of a supervised script: start it, stream its output, stop it, find it again.

Separate from the action, because it deals with processes and time, and its tests kill real processes.
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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from closeout.actions.general import outputs, supervisor
from closeout.core.terminal import stripped

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
PATIENCE = 5.0
"""Seconds after that in which a supervisor must end."""

_LOADER = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
"""Variables that a Python built by hand may need to start."""

LINE_LIMIT = 65_536
"""Bytes of a line that are passed on in one piece, because neither half of a split secret would be recognized."""
HEAD_LINES, HEAD_BYTES = 8_000, 800_000
"""The beginning of the output, written to the log as it arrives."""
TAIL_LINES, TAIL_BYTES = 2_000, 200_000
"""The end of the output, written to the log at the end. Lines are limited, too, because each is a row of the ledger."""


class Output:
    """Turns bytes into clean lines: bounded, without escape sequences and control characters.

    `write` gets each line of the head at once, and at the end those of the tail, with the number of lines left out between
    them. `last` is the last line that is not empty, `error` the last one of stderr.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._rest = {False: b"", True: b""}
        """The beginning of a line, of stdout and of stderr."""
        self._lines = 0
        self._bytes = 0
        self._late = 0
        """Lines that came after the head."""
        self._tail: deque[bytes] = deque(maxlen=TAIL_LINES)
        self.last = ""
        self.error = ""

    def feed(self, data: bytes, *, error: bool = False) -> None:
        """Take the next bytes, of stderr if `error`."""
        *lines, rest = (self._rest[error] + data).split(b"\n")
        while len(rest) > LINE_LIMIT:
            lines.append(rest[:LINE_LIMIT])
            rest = rest[LINE_LIMIT:]
        self._rest[error] = rest
        self._take(lines, error=error)

    def end(self) -> None:
        """Take the last, unterminated line, and write the tail."""
        for error, rest in self._rest.items():
            if rest:
                self._take([rest], error=error)
                self._rest[error] = b""
        left_out = self._late - len(self._tail)
        if left_out:
            self._write(f"… ({left_out:,} lines left out)")
        while self._tail:
            self._write(_shown(self._tail.popleft()))
        self._late = 0

    def _take(self, lines: Sequence[bytes], *, error: bool) -> None:
        """Write lines until the head is full, then keep the last ones."""
        said = next((text for line in reversed(lines) if line.strip() and (text := _shown(line))), None)
        if said is not None:
            self.last = said
            self.error = said if error else self.error
        for line in lines:
            if not self._late:
                if self._lines < HEAD_LINES and self._bytes + len(line) <= HEAD_BYTES:
                    self._lines += 1
                    self._bytes += len(line) + 1
                    self._write(_shown(line))
                    continue
                self._write(
                    f"… (a long output: of what follows, the last {TAIL_LINES:,} lines come at its end)"
                )
            self._late += 1
            self._tail.append(line)
        size = sum(map(len, self._tail))
        while size > TAIL_BYTES:
            size -= len(self._tail.popleft())


def _shown(line: bytes) -> str:
    """Return a line as text. A progress bar overwrites itself, so only text after the last carriage return counts."""
    shown = line.rstrip(b"\r").rpartition(b"\r")[2][:LINE_LIMIT]
    return stripped(shown.decode("utf-8", "replace")).rstrip()


class Supervised:
    """A supervisor process that waits until `run` sends it a command.

    `grace` is the time between SIGTERM and SIGKILL. A supervisor that has not ended `patience` later is killed with its script.
    """

    def __init__(self, *, grace: float = GRACE, patience: float = PATIENCE) -> None:
        self._grace = grace
        self._patience = grace + patience
        # -I and -S keep the environment, the user's site-packages and the folder out of the supervisor.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", supervisor.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={name: os.environ[name] for name in _LOADER if name in os.environ},
            start_new_session=True,
        )
        pipes: Any = self._process  # none of the three is None
        self._stdin, self._stdout, self._stderr = pipes.stdin, pipes.stdout, pipes.stderr
        self.written = b""
        """The command's outputs for later steps, up to one byte over the limit."""
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
        """Run `argv` with the payload in a file named by CLOSEOUT_EVENT_PATH; return None if it had to be stopped.

        This file and the one for outputs are in a folder that only this user can read. The supervisor removes the folder, so
        outputs are read through a file that was opened before.
        """
        folder = Path(tempfile.mkdtemp(prefix="closeout-"))
        try:
            paths = {"CLOSEOUT_EVENT_PATH": str(folder / "event.json")}
            paths |= dict.fromkeys(outputs.VARIABLES, str(folder / "outputs"))
            with _private(paths["CLOSEOUT_EVENT_PATH"]) as file:
                file.write(json.dumps(event, ensure_ascii=False).encode())
            with _private(paths[outputs.VARIABLES[0]]) as file:
                order = {
                    "argv": list(argv),
                    "environment": {**environment, **paths},
                    "directory": directory,
                    "folder": str(folder),
                    "grace": self._grace,
                }
                with contextlib.suppress(BrokenPipeError):
                    self._stdin.write(json.dumps(order).encode() + b"\n")
                    self._stdin.flush()
                code = self._follow(output, timeout)
                self.written = file.read(outputs.LIMIT + 1)
            return code
        finally:
            self.dispose()
            shutil.rmtree(folder, ignore_errors=True)

    def _follow(self, output: Output, timeout: float) -> int | None:
        """Stream the output until the supervisor has ended; at the time limit, tell the supervisor to stop."""
        streams = {self._stdout.fileno(): False, self._stderr.fileno(): True}
        stop_at: float | None = time.monotonic() + timeout
        kill_at = time.monotonic() + timeout + self._patience
        with _watch(streams, self._process.pid) as selector:
            while self._process.poll() is None:
                now = time.monotonic()
                if stop_at is not None and now >= stop_at:
                    stop_at = None
                    self._close_input()
                    self._process.send_signal(signal.SIGCONT)
                elif now >= kill_at:
                    end_tree(self._process.pid)
                selector.select(min(1.0, max(0.01, (stop_at or kill_at) - now)))
                _drain(streams, output)
        _drain(streams, output)
        output.end()
        return None if stop_at is None else self._process.returncode

    def _close_input(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def dispose(self) -> None:
        """End the supervisor in any state."""
        self._close_input()
        try:
            self._process.wait(self._patience)
        except subprocess.TimeoutExpired:
            end_tree(self._process.pid)
            self._process.wait()
        self._stdout.close()
        self._stderr.close()


def _private(path: str) -> IO[bytes]:
    """Create a file that only this user may read."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")


@contextlib.contextmanager
def _watch(streams: Iterable[int], pid: int) -> Iterator[selectors.BaseSelector]:
    """Wake up on output and, on Linux, when the process ends."""
    with contextlib.ExitStack() as opened, selectors.DefaultSelector() as selector:
        for descriptor in streams:
            os.set_blocking(descriptor, False)
            selector.register(descriptor, selectors.EVENT_READ)
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                end = os.pidfd_open(pid)
                opened.callback(os.close, end)
                selector.register(end, selectors.EVENT_READ)
        yield selector


def _drain(streams: Mapping[int, bool], output: Output) -> None:
    """Read what is available now, up to a limit, because a script may write faster than it is read."""
    for descriptor, error in streams.items():
        for _ in range(16):
            try:
                data = os.read(descriptor, 65_536)
            except BlockingIOError:
                break
            if not data:
                break
            output.feed(data, error=error)


# --- processes of an earlier life -----------------------------------------------------------------------


def started(pid: int) -> str | None:
    """Return when a process started, comparable on this machine and across reboots; None if it does not exist.

    It is field 22 of /proc/PID/stat (ticks since boot, proc(5)) with the boot's id, because the system reuses pids.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")  # a process may choose its name
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state == "Z" else f"{boot}:{fields[18]}"


def end_tree(pid: int) -> None:
    """Kill everything below a supervisor, and then the supervisor.

    For a supervisor that does not do so itself, because its script may have stopped it (SIGSTOP). While it exists, stopped or
    not, it is the parent of every orphan below it, so `/proc` finds all of them (on Linux only).
    """
    for _ in range(100):
        below = [one for one in _below(pid) if started(one) is not None]
        for one in below:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(one, signal.SIGKILL)
        if not below:
            break
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _below(pid: int) -> Iterator[int]:
    """Yield the descendants of a process."""
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError, ValueError):
            for child in map(int, listing.read_text().split()):
                yield child
                yield from _below(child)


def end_survivor(identity: Mapping[str, Any], patience: float = GRACE + PATIENCE) -> bool:
    """End the supervisor of an earlier server process, with its script. Return False if that fails.

    A supervisor stops when its server dies. This waits for that, and then kills it.
    """
    pid, since = identity["pid"], identity["started"]
    if since is None:
        return True
    for end, seconds in ((_ask, patience), (end_tree, 2.0)):
        deadline = time.monotonic() + seconds
        if started(pid) == since:
            end(pid)
        while started(pid) == since and time.monotonic() < deadline:
            time.sleep(0.02)
    return bool(started(pid) != since)


def _ask(pid: int) -> None:
    """Ask a supervisor to end its script, even if the supervisor is stopped (SIGSTOP)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)
