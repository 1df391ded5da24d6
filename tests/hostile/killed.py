"""`kill -9` at random moments, and a poison beside an innocent. The killing is `tests/hostile/kills.py`'s.

Every acknowledged run ends as success however often the process dies around it, nothing that was recorded is done
again, and a step that ends the server itself fails alone.

Red when sabotaged: count a death against everybody who was under way (`engine/turns.py`); let suspects run together.
"""

from __future__ import annotations

import importlib
from typing import Any

from tests.hostile.report import Report
from tests.hostile.stage import Stage

KILLS, RUNS_PER_KILL = 40, 6
INNOCENT = 6.0
"""Seconds that the innocent script takes beside the poison."""


def run(stage: Stage, report: Report) -> None:
    """Kill, then poison."""
    try:
        kills: Any = importlib.import_module("tests.hostile.kills")
    except ModuleNotFoundError:
        report.absent = "tests/hostile/kills.py is not there"
        return
    count = stage.count(KILLS)
    figures = kills.run(count, count * RUNS_PER_KILL, stage.seed, stage.room("kills"))
    verdicts: dict[str, int] = figures["verdicts"]
    succeeded, acknowledged = verdicts.get("success", 0), figures["acknowledged"]
    report.events.append(f"{count:,} kills: {succeeded:,} of {acknowledged:,} runs ended as success")
    report.check(acknowledged > 0, "no run was acknowledged")
    report.check(verdicts == {"success": acknowledged}, f"{count} kills: {verdicts} of {acknowledged} runs")
    for text in figures["broken"]:
        report.check(False, text)
    poisoned = kills.poison(stage.room("poison"), innocent=INNOCENT)
    report.events.append(f"a poison beside an innocent: {poisoned['deaths']} deaths")
    wanted = {"poison": "failure", "innocent": "success"}
    report.check(poisoned["verdicts"] == wanted, f"a poison beside an innocent: {poisoned['verdicts']}")
