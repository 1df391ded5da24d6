"""Thousands of runs that wait: what they cost in memory. The measuring is `tests/hostile/waiting.py`'s.

Red when sabotaged: keep a waiting run's payload or its traceback (`engine/local.py`).
"""

from __future__ import annotations

import importlib
from typing import Any

from tests.hostile.memory import MOST
from tests.hostile.report import Report
from tests.hostile.stage import Stage

RUNS, MOST_RUNS = 1_500, 10_000
SWEEPS = 4.0
"""Seconds for which they are watched, before and after a restart."""


def run(stage: Stage, report: Report) -> None:
    """Have so many runs wait, and look at the memory."""
    try:
        waiting: Any = importlib.import_module("tests.hostile.waiting")
    except ModuleNotFoundError:
        report.absent = "tests/hostile/waiting.py is not there"
        return
    runs = min(stage.count(RUNS), MOST_RUNS)
    figures: dict[str, Any] = waiting.run(runs, stage.folder, sweeps=min(stage.seconds(SWEEPS), 60.0))
    peak = max(figures["peak_mb"], figures["restarted_peak_mb"])
    report.memory = (figures["start_mb"], peak, figures["end_mb"])
    report.events.append(f"{runs:,} runs wait, {figures['restarted_end_mb']:.0f} MB after a restart")
    report.check(peak < MOST, f"{runs:,} waiting runs take {peak:.0f} MB, over {MOST:.0f}")
