"""DBOS on SQLite, measured as closeout's own engine is: five-step no-op runs, time to the first step, idle CPU.

Runs inside `.venv-bench`. Its polling interval is a tenth of its default, and both ways to start a workflow are
measured, so that what is compared is the better one.
"""

import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

STEPS = 5
Start = Callable[[str], None]


def main(folder: str, runs: int, idle_seconds: float) -> None:
    began = time.perf_counter()
    from dbos import DBOS, SetWorkflowID  # timed: it is part of the start-up

    imported = time.perf_counter() - began
    database = Path(folder) / "dbos.sqlite"
    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{database}",
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )
    marks = Marks()

    @DBOS.step()
    def step(run: str, number: int) -> int:
        marks.passed(run, number)
        return number

    @DBOS.workflow()
    def workflow(run: str) -> int:
        return sum(step(run, number) for number in range(STEPS))

    DBOS.launch()
    DBOS.register_queue("bench", polling_interval_sec=0.1)
    started = time.perf_counter() - began

    def direct(name: str) -> None:
        with SetWorkflowID(name):
            DBOS.start_workflow(workflow, name)

    def queued(name: str) -> None:
        with SetWorkflowID(name):
            DBOS.enqueue_workflow("bench", workflow, name)

    _throughput(direct, "w", 5, marks)
    results = {
        "import_seconds": imported,
        "start_seconds": started,
        "runs_per_second_direct": _throughput(direct, "d", runs, marks),
        "runs_per_second_queued": _throughput(queued, "q", runs, marks),
        "first_step_ms_direct": _first_step(direct, "fd", marks),
        "first_step_ms_queued": _first_step(queued, "fq", marks),
        "idle_cpu_percent": _idle(idle_seconds),
    }
    print(json.dumps(results), flush=True)
    os._exit(0)  # its background threads are of no interest any more


def _throughput(start: Start, prefix: str, runs: int, marks: "Marks") -> float:
    """Runs a second, from the first start to the last run's last step."""
    names = [f"{prefix}-{number}" for number in range(runs)]
    began = time.perf_counter()
    for name in names:
        start(name)
    return runs / (max(marks.last(name) for name in names) - began)


def _first_step(start: Start, prefix: str, marks: "Marks", samples: int = 30) -> float:
    """The median, in milliseconds, from the return of the durable start to the first step of an idle engine."""
    waits = []
    for number in range(samples):
        name = f"{prefix}-{number}"
        start(name)
        acknowledged = time.perf_counter()
        marks.last(name)
        waits.append(max(0.0, marks.first[name] - acknowledged) * 1000)
        time.sleep(0.113)  # not in step with its polling
    return statistics.median(waits)


class Marks:
    """When each run began its first and its last step."""

    def __init__(self) -> None:
        self.first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._changed = threading.Condition()

    def passed(self, run: str, number: int) -> None:
        """Note a step."""
        now = time.perf_counter()
        with self._changed:
            if number == 0:
                self.first[run] = now
            if number == STEPS - 1:
                self._last[run] = now
                self._changed.notify_all()

    def last(self, run: str) -> float:
        """Wait for a run's last step."""
        with self._changed:
            if not self._changed.wait_for(lambda: run in self._last, timeout=120):
                raise TimeoutError(run)
            return self._last[run]


def _idle(seconds: float) -> float:
    """Percent of one core, while nothing is to be done."""
    time.sleep(0.5)
    before = time.process_time()
    time.sleep(seconds)
    return 100 * (time.process_time() - before) / seconds


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
