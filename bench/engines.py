"""closeout's engine and DBOS in the same run.

Each engine is a process of its own on the server's core, on an empty database on the same disk, with the same work:
five steps that do nothing, each recorded.
"""

import json
import os
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
    "waiting_cpu_percent": "CPU %, 1,000 runs waiting",
    "peak_mb": "peak memory MB",
    "import_ms": "import ms",
}


def compare(*, runs: int, idle: float, rounds: int) -> dict[str, Any]:
    """Measure both engines in turn; the medians, and what the budgets ask for."""
    rates: dict[str, list[Figures]] = {OURS: [], DIRECT: [], QUEUED: []}
    for number in range(rounds):
        print(f"round {number + 1}/{rounds}: engines", flush=True)
        ours = _run([sys.executable, str(BENCH / "engine.py"), "--runs", str(runs), "--folder"], [])
        # DBOS does a tenth as many a second: a tenth as many make the same time.
        dbos = _run([str(PEER_PYTHON), str(BENCH / "dbos_peer.py")], [str(max(runs // 10, 20)), f"{idle:g}"])
        rates[OURS].append(_ours(ours))
        rates[DIRECT].append(_dbos(dbos, "direct"))
        rates[QUEUED].append(_dbos(dbos, "queued"))
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


def _run(command: list[str], arguments: list[str]) -> dict[str, Any]:
    """Run one engine's script on an empty folder; return what it printed, with the peak of its memory."""
    folder = WORK / "engine"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = pinned(SERVER_CORE, [*command, str(folder), *arguments])
    with (folder / "output.json").open("wb") as output, (folder / "errors.txt").open("wb") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)}: {(folder / 'errors.txt').read_text('utf-8')[-2000:]}")
    figures: dict[str, Any] = json.loads((folder / "output.json").read_text("utf-8"))
    return {**figures, "peak_mb": usage.ru_maxrss * 1024 / 1e6}


def _ours(raw: dict[str, Any]) -> Figures:
    empty, waiting = raw["idle"]
    return {
        "runs_per_second": raw["five_step_runs_per_second"],
        "first_step_ms": raw["enqueue_to_first_step"]["p50_ms"],
        "idle_cpu_percent": empty["cpu_percent"],
        "waiting_cpu_percent": waiting["cpu_percent"],
        "peak_mb": raw["peak_mb"],
        "import_ms": raw["import_ms"],
    }


def _dbos(raw: dict[str, Any], way: str) -> Figures:
    return {
        "runs_per_second": raw[f"runs_per_second_{way}"],
        "first_step_ms": raw[f"first_step_ms_{way}"],
        "idle_cpu_percent": raw["idle_cpu_percent"],
        "peak_mb": raw["peak_mb"],
        "import_ms": raw["import_seconds"] * 1e3,
    }


def _medians(figures: list[Figures]) -> Figures:
    return {key: statistics.median(one[key] for one in figures) for key in figures[0]}
