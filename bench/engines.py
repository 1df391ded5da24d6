"""closeout's engine beside DBOS in the same run, and closeout over a ledger that is already full.

Each engine is a process of its own on the server's core, on an empty database on the same disk, with the same work:
five steps that do nothing, each recorded.
"""

import json
import shutil
import statistics
import subprocess
import sys
from typing import Any

from bench.servers import SERVER_CORE, pinned
from bench.tools import BENCH, PEER_PYTHON, ROOT, WORK

Figures = dict[str, float]

OURS, DIRECT, QUEUED = "closeout", "DBOS, started in process", "DBOS, through its queue"
ROWS = {
    "runs_per_second": "runs/s",
    "first_step_ms": "ack to first step, p50 ms",
    "idle_cpu_percent": "idle CPU %",
    "memory_mb": "memory MB",
    "import_ms": "import ms",
    "start_ms": "import to ready ms",
    "threads": "threads",
}


def compare(*, runs: int, idle: float, rounds: int) -> dict[str, Any]:
    """Measure both engines in turn; the medians, and what the budgets ask for."""
    rates: dict[str, list[Figures]] = {OURS: [], DIRECT: [], QUEUED: []}
    for number in range(rounds):
        print(f"round {number + 1}/{rounds}: engines", flush=True)
        ours = _run([sys.executable, "-m", "bench.engine"], runs, idle)
        # DBOS does a tenth as many a second: a tenth as many make the same time.
        dbos = _run([str(PEER_PYTHON), str(BENCH / "dbos_peer.py")], max(runs // 10, 20), idle)
        rates[OURS].append(_figures(ours, ""))
        rates[DIRECT].append(_figures(dbos, "_direct"))
        rates[QUEUED].append(_figures(dbos, "_queued"))
    medians = {name: _medians(figures) for name, figures in rates.items()}
    best = [
        max(a["runs_per_second"], b["runs_per_second"])
        for a, b in zip(rates[DIRECT], rates[QUEUED], strict=True)
    ]
    ratios = [ours["runs_per_second"] / peer for ours, peer in zip(rates[OURS], best, strict=True)]
    return {
        "method": (
            f"One core; {runs} runs of five recorded no-op steps ({max(runs // 10, 20)} for DBOS), enqueued at once; "
            "ack to first step one at a time on an idle engine. DBOS is measured both ways: a workflow started in the "
            "process that asked, and one through its queue, polled every 0.1 s (its default is 1 s)."
        ),
        "rows": ROWS,
        "figures": medians,
        "rounds": rates,
        "budgets": {
            "rate": medians[OURS]["runs_per_second"],
            "ratio": statistics.median(ratios),
            "first_step_ms": medians[OURS]["first_step_ms"],
        },
    }


def _run(command: list[str], runs: int, idle: float) -> Figures:
    folder = WORK / "engine"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    command = pinned(SERVER_CORE, [*command, str(folder), str(runs), f"{idle:g}"])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    figures: Figures = json.loads(done.stdout)
    return figures


def _figures(raw: Figures, way: str) -> Figures:
    return {
        "runs_per_second": raw[f"runs_per_second{way}"],
        "first_step_ms": raw[f"first_step_ms{way}"],
        "idle_cpu_percent": raw["idle_cpu_percent"],
        "memory_mb": raw["memory_mb"],
        "import_ms": raw["import_seconds"] * 1e3,
        "start_ms": raw["start_seconds"] * 1e3,
        "threads": raw["threads"],
    }


def _medians(figures: list[Figures]) -> Figures:
    return {key: statistics.median(one[key] for one in figures) for key in figures[0]}
