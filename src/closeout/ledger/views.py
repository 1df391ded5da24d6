"""Runs, log lines and deliveries as people see them: the same values whichever ledger they were read from.

The command line and the pages know these alone. What a ledger must read for them is `RunFacts` and the operations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from closeout.core.ids import execution_id
from closeout.ledger.steps import (
    StepView,
    held_by,
    public,
    reported,
    sleep_of,
    step_views,
    suspected,
    waits_for,
)
from closeout.ports import Operation


class RunView(NamedTuple):
    """One attempt at a run, as people see it."""

    id: str
    execution: str
    attempt: int
    automation: str
    state: str
    verdict: str | None
    delivery: int | str
    """A number on SQLite, a name on DynamoDB."""
    event: str
    action: str | None
    repository: str | None
    number: int | None
    guid: str
    key: str | None
    requested_by: str | None
    accepted_at: float
    started_at: float | None
    finished_at: float | None
    summary: str | None
    reason: str | None
    """Why it is not going on just now."""
    status: str | None
    """Of the final commit status: `delivered`, `undelivered`, `none` (there is none); None before."""
    steps: tuple[StepView, ...]
    public: str | None = None
    """What anybody may read of how it ended; None where nothing was said."""
    sleeps_in: str | None = None
    """The step whose sleep it is in; None for a run that does not sleep, or is asked to end."""
    until: float | None = None
    """When that sleep ends, in seconds since the epoch."""

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {**self._asdict(), "steps": [step.to_json() for step in self.steps]}


class LogLine(NamedTuple):
    """One line of a run's log. Ids grow, but not by one."""

    id: int
    step: str | None
    at: float
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return self._asdict()


class LogWindow(NamedTuple):
    """A part of a run's log, in order."""

    lines: Sequence[LogLine]
    left_out: int
    """Lines that go on where the window ends: before its first line, or after its last if it was read forward."""


class DeliveryView(NamedTuple):
    """A delivery without its body. `runs` are those of its event, whichever hook brought it first."""

    id: int | str
    guid: str
    hook: str
    event: str
    action: str | None
    repository: str | None
    number: int | None
    size: int
    origin: str
    received_at: float
    runs: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {**self._asdict(), "runs": list(self.runs)}


class RunFacts(NamedTuple):
    """What a ledger keeps of an attempt: the first fields of `RunView`, and what its reason and steps are made of."""

    id: str
    attempt: int
    automation: str
    state: str
    verdict: str | None
    delivery: int | str
    event: str
    action: str | None
    repository: str | None
    number: int | None
    guid: str
    key: str | None
    requested_by: str | None
    accepted_at: float
    started_at: float | None
    finished_at: float | None
    summary: str | None
    cancel: str | None
    alone: str | None
    deaths: int | None
    """None of a ledger that counts none: these two as in `core.runs.RunState`."""
    definition: str


def run_view(
    run: RunFacts, operations: Sequence[Operation], behind: Callable[[str], str | None], *, full: bool
) -> RunView:
    """Return a run with its steps; `behind` says who holds a key that a queued run waits for, `full` reads plans."""
    waiting = run.state == "waiting"
    reason = waits_for(operations) if waiting else None
    if run.state == "queued" and run.key is not None:
        reason = held_by(run.key, behind(run.key))
    if run.alone:
        reason = suspected(run.alone, run.deaths or 0)
    if run.cancel and run.state != "finished":
        reason = f"{run.cancel} asked to cancel it"
    sleeps_in, until = sleep_of(operations) if waiting and not run.cancel else (None, None)
    steps = step_views(run.definition, operations, verdict=run.verdict, full=full)
    shown = run._asdict()
    for name in ("cancel", "alone", "deaths", "definition"):
        del shown[name]
    return RunView(
        **shown,
        execution=execution_id(run.id, run.attempt),
        reason=reason,
        status=reported(operations),
        steps=steps,
        public=public(operations),
        sleeps_in=sleeps_in,
        until=until,
    )


def pause_phrase(by: str, reason: str | None) -> str:
    """Say who paused destructive calls, and why."""
    return f"by {by}: {reason}" if reason else f"by {by}"
