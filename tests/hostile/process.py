"""A process as /proc shows it: memory, descriptors, threads; and a thread that keeps the peak."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import NamedTuple, Self

EVERY = 0.1


class Sample(NamedTuple):
    """A process at one moment: memory in MB (10^6 bytes), counts of descriptors and threads."""

    resident: float
    private: float
    descriptors: int
    threads: int


def sample(pid: int) -> Sample | None:
    """Return the process's figures; None when it has ended. See proc_pid_smaps(5), proc_pid_status(5)."""
    folder = Path(f"/proc/{pid}")
    try:
        rollup = _kilobytes((folder / "smaps_rollup").read_text())
        descriptors = len(os.listdir(folder / "fd"))  # noqa: PTH208 - a path object for each would take longer
        status = (folder / "status").read_text()
    except OSError:
        return None
    if not rollup:
        return None
    threads = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("Threads:")), 0)
    private = rollup["Private_Clean"] + rollup["Private_Dirty"]
    return Sample(rollup["Rss"] * 1024 / 1e6, private * 1024 / 1e6, descriptors, threads)


def _kilobytes(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines() if line.endswith(" kB"))
    return {row[0].rstrip(":"): int(row[1]) for row in rows}


def slowness(seconds: float = 0.3) -> float:
    """Return how many times longer work takes here than on a machine that does nothing else: 1 on a quiet one.

    Measured by working: time that passes by the time that this thread gets. What others do at this moment may make a
    timed promise unfair; on a quiet machine nothing is given.
    """
    began, worked = time.monotonic(), time.thread_time()
    while time.thread_time() - worked < seconds / 10 or time.monotonic() - began < seconds:
        sum(range(1000))
    return max(1.0, (time.monotonic() - began) / (time.thread_time() - worked))


class Watch:
    """Samples a process from its own thread. `start` is the first sample, `peak` the largest resident memory so far."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        first = sample(pid)
        assert first is not None, f"process {pid} has ended"
        self.start = self.last = first
        self.peak = first.resident
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(5)

    def _look(self) -> None:
        while not self._done.wait(EVERY):
            seen = sample(self.pid)
            if seen is not None:
                self.last = seen
                self.peak = max(self.peak, seen.resident)

    def settled(self, within: float, seconds: float, descriptors: int = 10**6) -> float:
        """Wait, for at most `seconds`, until the process is near its start; return its resident memory in MB.

        Near: at most `within` MB and so many `descriptors` over it.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end and (
            self.last.resident > self.start.resident + within
            or self.last.descriptors > self.start.descriptors + descriptors
        ):
            time.sleep(EVERY)
        return self.last.resident
