"""Checks of closeout's own results: whether patrol's last round is recent and complete, and whether teardowns find anything.

They read patrol's marks in the ledger; GitHub is not asked again.
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
"""Patrol's marks of its last rounds, each with the key under `patrol` that sets its interval."""


def _watching(ask: Callable[[World], Result]) -> Callable[[World], Result]:
    """Return a check that is skipped if patrol has nothing to look at, or no server has run."""

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
    # A round with lists also reads the logs.
    ends = [float(last[name]["ended_at"]) for name in {kind, "lists"} if name in last]
    if not ends:
        return unknown("patrol has not ended a round yet", "wait for it, or run `closeout patrol --once`")
    age = world.now() - max(ends)
    text = f"patrol last read the {'lists' if kind == 'lists' else 'delivery logs'} {spoken_duration(max(age, 0.0))} ago"
    return wrong(text) if age > 2 * every + SLACK else fine(text)


def _whole(world: World) -> Result:
    errors = [text for one in world.ledger.last_patrols().values() for text in one.get("errors", ())]
    if errors:
        return wrong(f"patrol could not read everything: {listed(errors)}")
    return fine("the last patrols could read everything")


def _patterns(world: World) -> Result:
    patterns = coverage(world.loaded.automations).patterns
    if not patterns:
        return fine("patrol can follow each repository of the file")
    return skipped(
        f"patrol cannot follow {listed(pattern for _, pattern in patterns)}: name the owner at least (`acme/*`)"
    )


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
    return (
        wrong(listed(found))
        if found
        else fine(f"each automation with {FIRST_RUNS} runs or more has found something to delete")
    )


PATROL_NOW = "run `closeout patrol --once` (`closeout patrol --stack NAME` for a stack), which names what it cannot read"

_check = partial(Check, group="Patrol", breaks="closings that GitHub did not deliver are not found")

CHECKS = (
    _check(
        id="patrol-lists",
        looks="patrol has read the lists of closed pull requests recently",
        fix=PATROL_NOW,
        ask=_watching(partial(_fresh, "lists")),
        after=("configuration", "ledger", "server"),
    ),
    _check(
        id="patrol-logs",
        looks="patrol has read the delivery logs recently",
        fix=PATROL_NOW,
        ask=_watching(partial(_fresh, "logs")),
        after=("configuration", "ledger", "server"),
    ),
    _check(
        id="patrol-errors",
        looks="the last patrols could read everything",
        fix="fix what the message names; `closeout patrol --once` shows whether it is gone",
        ask=_watching(_whole),
        after=("configuration", "ledger"),
    ),
    _check(
        id="patrol-patterns",
        looks="it can follow each repository that the file names",
        fix="name each repository in full, or at least its owner (`acme/*`)",
        ask=_patterns,
        after=("configuration",),
    ),
    _check(
        id="empty-runs",
        looks=f"each automation with {FIRST_RUNS} runs or more has found something to delete",
        breaks="closed pull requests leave something behind, although the runs are green",
        fix="check the names that its steps make",
        ask=empty,
        after=("configuration", "ledger"),
        at_start=True,
    ),
)
