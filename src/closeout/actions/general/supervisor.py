"""Run a script for the server, and end all of its processes when the server dies or the time is up.

It is a separate program, started with `python -I -S`, because a parent-death signal belongs to the *thread* that
forked, and the server's threads come and go; this process has one thread. The server holds the other end of its
standard input: the first line says what to run, and end of file (the server was killed, or no longer wants it) means
stop. Everything here is from the standard library and quick to import.
"""
# ruff: noqa: SIM105 - contextlib would be one more import in a process that is to start in a few milliseconds

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
NOT_FOUND, NOT_STARTED, STOPPED = 127, 126, 125
"""Exit codes in addition to the script's own. A script killed by signal N gives 128 + N."""


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process (prctl(2)); do nothing on systems without this call."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def read_order() -> dict | None:  # type: ignore[type-arg]
    """Read the first line of standard input, byte by byte so that nothing after it is consumed; None at end of file."""
    line = bytearray()
    while not line.endswith(b"\n"):
        part = os.read(0, 65_536)
        if not part:
            return None
        line += part
    return json.loads(line)  # type: ignore[no-any-return]


def start(order: dict, parent: int) -> int:  # type: ignore[type-arg]
    """Start the script in a session of its own; it dies with this process. Return its pid."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died before the signal was asked for
            os._exit(STOPPED)
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.chdir(order["directory"])
        os.execvpe(order["argv"][0], order["argv"], order["environment"])  # noqa: S606 - the point
    except OSError as error:
        os.write(2, f"{why_not(order, error)}\n".encode("utf-8", "replace"))
        os._exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_STARTED)
    except BaseException:  # noqa: BLE001 - a forked child must never continue as its parent
        os._exit(NOT_STARTED)


def why_not(order: dict, error: OSError) -> str:  # type: ignore[type-arg]
    """Return why the program could not be started. The error itself names only the last folder that was searched."""
    program = order["argv"][0]
    if not isinstance(error, FileNotFoundError) or error.filename == order["directory"]:
        return f"cannot start {os.fsdecode(error.filename or program)}: {error.strerror}"
    if "/" in program:
        places = [program]
    else:
        places = [folder + "/" + program for folder in os.get_exec_path(order["environment"])]
    for place in places:
        if os.path.exists(place):  # noqa: PTH110
            return f"{place} is there, and the interpreter that its first line names is not"
    return f"there is no {program}" if "/" in program else f"{program} is not on the PATH of closeout's user"


def wait(child: int, wake: int, seconds: float | None, *, listen: bool) -> int | None:
    """Return the script's wait status; None at a request to stop, or when `seconds` have passed."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([wake, 0] if listen else [wake], [], [], left)
        if wake in ready:
            number = os.read(wake, 1)
            if listen and number == bytes([signal.SIGTERM]):
                return None
        if (listen and 0 in ready) or left == 0.0:
            return None


def kill_group(child: int, number: int) -> None:
    """Signal the script's whole process group."""
    try:
        os.killpg(child, number)
    except (ProcessLookupError, PermissionError):
        pass


def descendants() -> list[int]:
    """Return the children of this process. As a subreaper, it is also the parent of every orphan below it."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as listing:  # noqa: PTH123
            return [int(pid) for pid in listing.read().split()]
    except (OSError, ValueError):
        return []


def kill_rest(child: int) -> None:
    """Kill the script's remaining processes: its group, and processes that left the group."""
    kill_group(child, signal.SIGKILL)
    for _ in range(100):
        left = descendants()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def remove(folder: str) -> None:
    """Remove the folder that held the payload."""
    try:
        for name in os.listdir(folder):  # noqa: PTH208 - pathlib would double the time this process takes to start
            os.unlink(os.path.join(folder, name))  # noqa: PTH108, PTH118
        os.rmdir(folder)  # noqa: PTH106
    except OSError:
        pass


def main() -> int:
    """Wait for a command, run it, and exit with its code."""
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(reading, True)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    order = read_order()
    if order is None:
        return STOPPED
    try:
        child = start(order, os.getpid())
        status = wait(child, reading, None, listen=True)
        if status is None:
            kill_group(child, signal.SIGTERM)
            status = wait(child, reading, order["grace"], listen=False)
        kill_rest(child)
    finally:
        remove(order["folder"])
    if status is None:
        return 128 + signal.SIGKILL
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    os._exit(main())  # nothing is buffered, and a signal must not hit a half-finished interpreter
