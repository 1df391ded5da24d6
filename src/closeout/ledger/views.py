"""Make `ports.RunView` from stored data, so that a run looks the same in every store.

A store reads `RunFacts` and the operations of an attempt; everything else is derived from these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from closeout.core.closing import heard_by
from closeout.core.ids import execution_id
from closeout.ledger.steps import (
    public,
    reopened,
    reported,
    sleep_of,
    step_views,
    suspected,
    time_limits,
    waits_for,
)
from closeout.ports import DeliveryId, Operation, RunView


class RunFacts(NamedTuple):
    """The stored data of an attempt: the first fields of `RunView`, and the sources of its reason and steps."""

    id: str
    attempt: int
    automation: str
    state: str
    verdict: str | None
    delivery: DeliveryId
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
    """None if the store counts none. `alone` and `deaths` are those of `core.runs.RunState`."""
    origin: str
    closing: str | None
    definition: str


def run_view(
    run: RunFacts, operations: Sequence[Operation], behind: Callable[[str], str | None], *, full: bool
) -> RunView:
    """Return a run with its steps. `behind` returns the execution that holds a key; `full` includes plans."""
    waiting = run.state == "waiting"
    reason = waits_for(operations) if waiting else None
    if run.state == "queued" and run.key is not None:
        holder = behind(run.key)
        reason = f"queued behind {holder} for the concurrency key {run.key}" if holder else None
    if run.alone:
        reason = suspected(run.alone, run.deaths or 0)
    if run.cancel and run.state != "finished":
        reason = f"{run.cancel} asked to cancel it"
    sleeps_in, until = sleep_of(operations) if waiting and not run.cancel else (None, None)
    steps = step_views(run.definition, operations, verdict=run.verdict, full=full)
    timeout, queue_timeout = time_limits(run.definition)
    shown = run._asdict()
    for name in ("cancel", "alone", "deaths", "origin", "definition"):
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
        heard=heard_by(run.origin),
        reopened=run.verdict == "cancelled" and reopened(operations),
        timeout=timeout,
        queue_timeout=queue_timeout,
    )


def pause_phrase(by: str, reason: str | None) -> str:
    """Return who paused destructive calls, and why, as a phrase."""
    return f"by {by}: {reason}" if reason else f"by {by}"
