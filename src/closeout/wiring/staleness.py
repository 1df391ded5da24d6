"""What of closeout itself no longer runs as it should: patrol that does not end, and a drill that found something.

A failed teardown is told by its run. Nobody tells of closings that were never heard, so this is told too.
"""

from __future__ import annotations

from collections.abc import Mapping

from closeout.config.patrol import PatrolSettings
from closeout.core.units import spoken_duration
from closeout.patrol.report import PatrolFigures
from closeout.wiring.drills import DrillFigures

MISSED = 3
"""Intervals without an end after which patrol is stale."""
_PARTS = {"logs": "the delivery logs", "lists": "the lists of closed pull requests"}


def stale(
    settings: PatrolSettings | None,
    figures: PatrolFigures,
    drill: DrillFigures | None,
    *,
    started: float,
    now: float,
) -> dict[str, str | None]:
    """Return what is stale, by name, with why; None for what could not be asked. What is fine is not named.

    `settings` are None if patrol has nothing to look at. What was missed before this process `started` does not count; that
    it ended before says nothing of now.
    """
    found: dict[str, str | None] = {}
    every = {"logs": settings.deliveries, "lists": settings.state} if settings else {}
    for part, interval in every.items():
        # A round with lists reads the logs too, and is kept as one of lists.
        ended = max(figures.ended_at.get(one, 0.0) for one in {part, "lists"})
        silent = now - max(ended, started)
        if interval is not None and silent > MISSED * interval:
            found[f"patrol/{part}"] = (
                f"patrol has not read {_PARTS[part]} for {spoken_duration(silent)}, and should every"
                f" {spoken_duration(interval)}; a closing that GitHub did not deliver stays unknown"
            )
        elif interval is not None and ended < started:
            found[f"patrol/{part}"] = None  # a restart repairs nothing
    states: Mapping[str, str] = drill.states if drill else {}
    for check, state in states.items():
        if state in ("wrong", "unknown"):
            wrong = f"the drill found something wrong with `{check}`"
            found[f"drill/{check}"] = wrong if state == "wrong" else None
    return found
