"""How fast the engine runs, how soon it begins, and what it costs when it has nothing to do.

    python bench/engine.py [--runs N]

Runs of five recorded no-ops on SQLite with fsync, as in the comparison with DBOS. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

SRC = str(Path(__file__).resolve().parents[1] / "src")
sys.path.insert(0, SRC)

from closeout.core.records import NewDelivery, NewRun
from closeout.engine.local import Engine
from closeout.ledger.sqlite import Ledger
from closeout.ports import Durable, Ending, Execution


class Clock:
    def now(self) -> float:
        return time.time()


def accept(ledger: Ledger, name: str, done: Any = None) -> Any:
    delivery = NewDelivery(
        "1", name, "pull_request", "closed", "acme/shop", b"{}" * 12_000, False, time.time(), "github"
    )
    runs = [NewRun(name, "preview-cleanup", None, "{}", 3600.0)]
    return ledger.accept_group([(delivery, runs, done)]) if done else ledger.accept_wait(delivery, runs)


def five_steps(durable: Durable, execution: Execution) -> Ending:
    for number in range(5):
        durable.record(f"step-{number}", lambda: None)
    return Ending("success", "")


def throughput(folder: Path, count: int) -> float:
    """Runs per second, from the first accept to the last ending."""
    left = threading.Semaphore(0)
    with Ledger(folder / "throughput.db", clock=Clock()) as ledger:
        engine = Engine(ledger, five_steps, clock=Clock(), on_finish=lambda _: left.release())
        engine.start()
        begun = time.perf_counter()
        for number in range(count):
            accept(ledger, f"run{number}", lambda _result: engine.wake())
        for _ in range(count):
            left.acquire()
        took = time.perf_counter() - begun
        engine.stop(5)
    return round(count / took, 1)


def latency(folder: Path, count: int) -> dict[str, float]:
    """Milliseconds from the committed answer to the first step's call, one run at a time."""
    begun: dict[str, float] = {}
    began = threading.Event()

    def run(durable: Durable, execution: Execution) -> Ending:
        def first() -> None:
            begun[execution.run_id] = time.perf_counter()
            began.set()

        durable.record("first", first)
        return Ending("success", "")

    times = []
    with Ledger(folder / "latency.db", clock=Clock()) as ledger:
        engine = Engine(ledger, run, clock=Clock())
        engine.start()
        for number in range(count):
            began.clear()
            accept(ledger, f"run{number}")
            answered = time.perf_counter()
            engine.wake()
            began.wait(5)
            times.append(begun[f"run{number}"] - answered)
            time.sleep(0.005)
        engine.stop(5)
    times.sort()
    return {"p50_ms": round(times[count // 2] * 1000, 2), "p99_ms": round(times[int(count * 0.99)] * 1000, 2)}


def idle(folder: Path, waiting: int, seconds: float) -> dict[str, float]:
    """Percent of one processor with nothing to do, and with many runs waiting (a poll a minute each)."""
    with Ledger(folder / f"idle{waiting}.db", clock=Clock()) as ledger:

        def run(durable: Durable, execution: Execution) -> Ending:
            durable.wait_until("gone", lambda: None, 60.0, 3600.0)
            return Ending("success", "")

        engine = Engine(ledger, run, clock=Clock())
        engine.start()
        for number in range(waiting):
            accept(ledger, f"run{number}")
            engine.wake()
        while engine.counts()["waiting"] < waiting:
            time.sleep(0.05)
        time.sleep(0.2)
        cpu, begun = time.process_time(), time.perf_counter()
        time.sleep(seconds)
        percent = (time.process_time() - cpu) / (time.perf_counter() - begun) * 100
        threads = threading.active_count()
        engine.stop(5)
    return {"waiting": waiting, "cpu_percent": round(percent, 2), "threads": threads}


def import_ms() -> float:
    """Milliseconds that importing engine and ledger adds to a bare interpreter, the best of five."""
    code = "import time; t = time.perf_counter(); import closeout.engine, closeout.ledger.sqlite; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    times = [
        float(subprocess.run(command, env={"PYTHONPATH": SRC}, capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    return round(min(times) * 1000, 1)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--runs", type=int, default=3_000)
    arguments.add_argument("--folder", default=None)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        result = {
            "five_step_runs_per_second": throughput(folder, options.runs),
            "enqueue_to_first_step": latency(folder, 200),
            "idle": [idle(folder, 0, 3.0), idle(folder, 1_000, 3.0)],
            "import_ms": import_ms(),
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
