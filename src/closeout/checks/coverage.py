"""Checks of what closeout itself has seen: whether patrol's last look is recent and whole, and whether teardowns find anything.

They read what patrol keeps in the ledger; GitHub is not asked again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from closeout.checks.check import Check, Result, fine, listed, skipped, unknown, wrong
from closeout.checks.world import World
from closeout.core.runs import FIRST_RUNS
from closeout.core.units import spoken_duration
from closeout.patrol.coverage import coverage

SLACK = 600.0
"""Seconds that a round may take beyond twice its interval."""
KINDS = {"lists": "state", "logs": "deliveries"}
"""What patrol keeps of its last rounds, and the key under `patrol` that says how often they are due."""


def _watching(ask: Callable[[World], Result]) -> Callable[[World], Result]:
    """Return a check that is skipped where patrol has nothing to look at, or no server has run."""

    def asked(world: World) -> Result:
        if not world.has_token or not coverage(world.loaded.automations).repositories:
            return skipped("patrol has no repository to look at")
        return ask(world) if world.ledger.exists() else skipped("no server has run yet")

    return asked


def _fresh(kind: str, world: World) -> Result:
    every: float | None = getattr(world.patrol, KINDS[kind])
    if every is None:
        return skipped(f"the file says `patrol: {{ {KINDS[kind]}: off }}`")
    last = world.ledger.last_patrols()
    # A round with lists reads the logs too.
    ends = [float(last[name]["ended_at"]) for name in {kind, "lists"} if name in last]
    if not ends:
        return unknown("patrol has not ended a round yet", "wait for it, or run `closeout patrol --once`")
    age = world.now() - max(ends)
    text = f"patrol last read the {'lists' if kind == 'lists' else 'delivery logs'} {spoken_duration(max(age, 0.0))} ago"
    return wrong(text) if age > 2 * every + SLACK else fine(text)


def _whole(world: World) -> Result:
    errors = [text for one in world.ledger.last_patrols().values() for text in one.get("errors", ())]
    if errors:
        return wrong(f"patrol could not read all: {listed(errors)}")
    return fine("the last patrols could read everything")


def _patterns(world: World) -> Result:
    patterns = coverage(world.loaded.automations).patterns
    if not patterns:
        return fine("patrol can follow each repository of the file")
    return skipped(f"patrol cannot follow {listed(pattern for _, pattern in patterns)}: write the names out")


def empty(world: World) -> Result:
    """Return a finding if the first runs of an automation all found nothing to delete: its names may be wrong."""
    if not world.ledger.exists():
        return skipped("no run has ended yet")
    counts = world.ledger.empty_runs()
    found = [
        f"automation {automation.name} has found nothing to delete in any of its {counts[automation.name]} runs"
        for automation in world.loaded.automations
        if counts.get(automation.name, 0) >= FIRST_RUNS
    ]
    return wrong(listed(found)) if found else fine("no automation found nothing in its first runs")


PATROL_NOW = "run `closeout patrol --once` (`closeout patrol --stack NAME` for a stack), which names what it cannot read"

_check = partial(Check, group="Patrol", breaks="closings that GitHub did not deliver are not found")

CHECKS = (
    _check(
        id="patrol-lists",
        looks="patrol has read the lists of closed pull requests lately",
        fix=PATROL_NOW,
        ask=_watching(partial(_fresh, "lists")),
        after=("configuration", "ledger", "server"),
    ),
    _check(
        id="patrol-logs",
        looks="patrol has read the delivery logs lately",
        fix=PATROL_NOW,
        ask=_watching(partial(_fresh, "logs")),
        after=("configuration", "ledger", "server"),
    ),
    _check(
        id="patrol-errors",
        looks="its last rounds could read everything",
        fix="mend what the message names; `closeout patrol --once` shows whether it is gone",
        ask=_watching(_whole),
        after=("configuration", "ledger"),
    ),
    _check(
        id="patrol-patterns",
        looks="it can follow each repository that the file names",
        fix="write the repositories out",
        ask=_patterns,
        after=("configuration",),
    ),
    _check(
        id="empty-runs",
        looks=f"no automation found nothing to delete in all of its first {FIRST_RUNS} runs",
        breaks="closed pull requests leave something behind, and the runs are green",
        fix="check the names that its steps make",
        ask=empty,
        after=("configuration", "ledger"),
        at_start=True,
    ),
)
