"""The steps of a run as its page shows them: each resource of a plan with its outcome, and what went wrong.

An error appears once on a page, at the top, with what to do about it; a step's own card only says that it failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any, NamedTuple

from closeout.core.advice import advice
from closeout.core.units import spoken_duration, spoken_size
from closeout.ports import LogLine, RunView, StepView
from closeout.server.pages import console
from closeout.server.pages.presentation import Limit, failure_text, is_uninformative, limit

OPEN_RESOURCES = 8
"""A plan of up to this many resources is shown unfolded."""
_PAST = {
    "delete": "deleted",
    "run": "ran",
    "call": "called",
    "start": "started",
    "dispatch": "dispatched",
    "comment": "commented",
    "post": "posted",
    "patch": "patched",
    "put": "put",
    "send": "sent",
}
_ING = {"delete": "deleting", "run": "running"}
_WORDS: Mapping[str, tuple[str, str]] = {
    "kept": ("kept", "none"),
    "left": ("still there", "bad"),
    "gone": ("already gone", "none"),
    "failed": ("failed", "bad"),
    "unknown": ("not known", "wait"),
    "untouched": ("not reached", "none"),
    "pending": ("next", "none"),
}
"""Word and tone of an outcome (`ledger.outcomes`) that does not depend on the verb."""


class ResourceRow(NamedTuple):
    """One resource of a plan, or a leftover that was not in the plan."""

    outcome: str
    tone: str
    resource: str
    reason: str
    amount: str
    part: bool
    console: str | None


class StepRow(NamedTuple):
    """One step, with its texts on the page."""

    step: StepView
    took: str
    says: str
    rows: tuple[ResourceRow, ...] | None
    """None if there is no plan to show."""
    limit: Limit | None

    @property
    def counts(self) -> str:
        """The outcomes of the rows: `3 deleted, 1 kept`."""
        counted = Counter(row.outcome for row in self.rows or ())
        return ", ".join(f"{count:,} {word}" for word, count in counted.items())

    @property
    def unfolded(self) -> bool:
        """Whether the rows are shown at once: there are few, or some need repair."""
        rows = self.rows or ()
        return len(rows) <= OPEN_RESOURCES or any(row.tone == "bad" for row in rows)


class StepFailure(NamedTuple):
    """A step that failed, what is left of it, and what to do about it."""

    step: StepView
    left: tuple[ResourceRow, ...]
    advice: str


def steps(run: RunView, now: float, progress: Mapping[str, str]) -> tuple[StepRow, ...]:
    """Return the steps. `progress` is the last log line of each step, shown while the step runs."""
    return tuple(_step(step, now, progress.get(step.id, "")) for step in run.steps)


def troubles(run: RunView, *, whole: bool) -> tuple[StepFailure, ...]:
    """Return the errors of a run's steps. Advice and addresses are only for visitors who may see the whole run."""
    return tuple(
        StepFailure(
            step,
            left=tuple(row for row in _rows(step) or () if row.tone == "bad"),
            advice=advice(step.code, failure_text(step)) if whole else "",
        )
        for step in run.steps
        if step.state == "failure"
    )


def progress_of(lines: Iterable[LogLine]) -> dict[str, str]:
    """Return the last line of each step."""
    return {line.step: line.text for line in lines if line.step is not None}


def _step(step: StepView, now: float, progress: str) -> StepRow:
    under_way = step.state in ("running", "waiting")
    end = now if under_way else step.ended_at
    took = spoken_duration(end - step.started_at) if step.started_at is not None and end is not None else ""
    # "Waits in this step" says nothing here; the step's last line says whether it waits for AWS or because of a pause.
    reason = None if step.state == "failure" or is_uninformative(step.reason, step) else step.reason
    says = reason or step.summary or (progress if under_way else "") or step.reason or ""
    return StepRow(
        step,
        took=took if step.state != "skipped" else "",
        says=says if step.state != "failure" else "",
        rows=_rows(step),
        limit=limit(step.started_at, step.timeout, now, "Has run for") if under_way else None,
    )


def _rows(step: StepView) -> tuple[ResourceRow, ...] | None:
    """Return a row for each planned change and each other leftover; None for a step without either."""
    if step.changes is None and not step.left:
        return None
    reasons = {str(item.get("resource", "")): str(item.get("reason", "")) for item in step.left}
    addresses = console.links(step)
    rows = [
        _row(change, outcome, reasons, addresses)
        for change, outcome in zip_longest(step.changes or (), step.outcomes, fillvalue="")
        if isinstance(change, Mapping)
    ]
    planned = {str(change.get("resource", "")) for change in step.changes or ()}
    besides = [
        _row({"resource": name}, "left", reasons, addresses) for name in reasons if name not in planned
    ]
    return (*rows, *besides)


def _row(
    change: Mapping[str, Any], outcome: Any, reasons: Mapping[str, str], addresses: Mapping[str, str]
) -> ResourceRow:
    resource, verb = str(change.get("resource", "")), str(change.get("verb", ""))
    outcome = "left" if resource in reasons else outcome
    word, tone = _outcome(outcome, verb)
    objects, held = int(change.get("objects") or 0), int(change.get("bytes") or 0)
    amount = f"{objects:,} object{'' if objects == 1 else 's'}, {spoken_size(held)}" if objects else ""
    return ResourceRow(
        outcome=word,
        tone=tone,
        resource=resource,
        reason=reasons.get(resource) or str(change.get("reason", "")),
        amount=amount,
        part=bool(change.get("part_of")),
        console=addresses.get(resource) if outcome in ("left", "unknown") else None,
    )


def _outcome(outcome: str, verb: str) -> tuple[str, str]:
    if outcome == "done":
        return _PAST.get(verb, "done"), "good"
    if outcome == "under-way":
        return _ING.get(verb, "under way"), "busy"
    if outcome == "planned":
        return f"would {verb}", "none"
    return _WORDS.get(outcome, (verb, "none"))
