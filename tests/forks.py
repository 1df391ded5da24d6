"""Begin forked processes and wait for them, from several threads at once.

`multiprocessing` asks each time a process begins which of the others have ended. Of two threads that ask the same process,
one reads its exit code and the other reads nothing, which it takes for 255.
"""

from __future__ import annotations

import threading
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess

_ASKING = threading.Lock()


def begin(process: ForkServerProcess) -> None:
    """Start a process."""
    with _ASKING:
        process.start()


def exit_code(process: ForkServerProcess, seconds: float | None = 0) -> int | None:
    """Wait until a process ends, for ever if `seconds` is None, and return its exit code: None if it still runs."""
    wait([process.sentinel], seconds)
    with _ASKING:
        return process.exitcode
