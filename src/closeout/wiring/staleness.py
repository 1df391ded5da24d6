"""What of closeout itself no longer runs as it should: patrol that does not end, and a drill that found something.

A failed teardown is told by its run. Nobody tells of closings that were never heard, so this is told too. The rule is the same
on both runtimes: a server asks its own figures, a stack's function the marks that patrol's function keeps.
"""

from __future__ import annotations

from collections.abc import Mapping

from closeout.core.units import spoken_duration

MISSED = 3
"""Intervals without an end after which patrol is stale."""
_PARTS = {"logs": "the delivery logs", "lists": "the lists of closed pull requests"}


def stale(
    every: Mapping[str, float | None],
    ended_at: Mapping[str, float],
    drill: Mapping[str, str],
    *,
    started: float,
    now: float,
) -> dict[str, str | None]:
    """Return what is stale, by name, with why; None for what could not be asked. What is fine is not named.

    `every` has the intervals of `logs` and `lists`, None for what is switched off, and `ended_at` when a round of each last
    ended. `drill` has the states that the last drill found, by check. What was missed before patrol `started` does not
    count; that it ended before says nothing of now.
    """
    found: dict[str, str | None] = {}
    for part, interval in every.items():
        # A round with lists reads the logs too, and is kept as one of lists.
        ended = max(ended_at.get(one, 0.0) for one in {part, "lists"})
        silent = now - max(ended, started)
        if interval is not None and silent > MISSED * interval:
            found[f"patrol/{part}"] = (
                f"patrol has not read {_PARTS[part]} for {spoken_duration(silent)}, but should every"
                f" {spoken_duration(interval)}; a closing that GitHub did not deliver stays unknown"
            )
        elif interval is not None and ended < started:
            found[f"patrol/{part}"] = None  # a restart repairs nothing
    for check, state in drill.items():
        if state in ("wrong", "unknown"):
            wrong = f"the drill found something wrong with `{check}`"
            found[f"drill/{check}"] = wrong if state == "wrong" else None
    return found
