"""The time line of a run: when it was accepted and began, how long each step worked and waited, and which crashes it survived.

All of it is derived from recorded operations, so nothing is stored for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from closeout.core.runs import SURVIVED
from closeout.core.units import spoken_duration
from closeout.ports import LogLine, Operation, RunView, StepView
from closeout.server.pages.presentation import WORDS, clean, step_name

LONG_WAIT = 1.0
"""Seconds from which a wait is shown."""
LONGEST_NAME = 32
"""Characters of a step's name; the time line shows the id instead of a longer one."""
NARROWEST = 0.8
"""The least width of a bar, in percent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A stretch of time, in percent of the run's."""

    left: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the time line. Without `bar` it is a moment."""

    at: float
    tone: str
    title: str
    says: str = ""
    took: str = ""
    bar: Bar | None = None
    waits: tuple[Bar, ...] = ()
    step: str = ""


def entries(
    run: RunView, operations: Sequence[Operation], survived: Iterable[LogLine], now: float
) -> tuple[Entry, ...]:
    """Return the time line, oldest first. `survived` are the log lines of crashes after which the run continued."""
    end = run.finished_at if run.finished_at is not None else now
    bar = partial(_scaled, run.started_at if run.started_at is not None else run.accepted_at, end)
    found = [_accepted(run)]
    if run.started_at is not None and run.started_at - run.accepted_at >= LONG_WAIT:
        waited = spoken_duration(run.started_at - run.accepted_at)
        found.append(
            Entry(at=run.started_at, tone="none", title="Began", says=f"after {waited} in the queue")
        )
    by_step: dict[str, list[Operation]] = {}
    for operation in operations:
        by_step.setdefault(operation.name.partition("/")[0] if "/" in operation.name else "", []).append(
            operation
        )
    found += [_sleep(one, bar) for one in by_step.get("", ()) if one.kind == "sleep"]
    for step in run.steps:
        if step.started_at is None or step.state == "skipped":
            continue
        until = step.ended_at if step.ended_at is not None else end
        waits = [one for one in by_step.get(step.id, ()) if _waited(one, end) >= LONG_WAIT]
        found.append(
            Entry(
                at=step.started_at,
                tone=step.state,
                title=_title(step),
                says=_waits(waits, end),
                took=spoken_duration(max(0.0, until - step.started_at)),
                bar=bar(step.started_at, until),
                waits=tuple(bar(one.started_at, _ended(one, end)) for one in waits),
                step=clean(step.id),
            )
        )
    found += map(_survived, survived)
    if run.finished_at is not None:
        found.append(_finished(run, run.finished_at))
    return tuple(sorted(found, key=lambda entry: entry.at))


def _scaled(begin: float, end: float, since: float, until: float) -> Bar:
    """Return the position of a time between the beginning of a run and its end, or now."""
    length = max(end - begin, 0.001)
    left = min(max((since - begin) / length * 100, 0.0), 100.0 - NARROWEST)
    width = min(max((until - since) / length * 100, NARROWEST), 100.0 - left)
    return Bar(left=round(left, 2), width=round(width, 2))


def _title(step: StepView) -> str:
    name = step_name(step)
    return name if len(name) <= LONGEST_NAME else clean(step.id)


def _accepted(run: RunView) -> Entry:
    who = f"attempt {run.attempt}" if run.attempt > 1 else f"heard by {run.heard}"
    asked = f", asked for by {clean(run.requested_by)}" if run.requested_by else ""
    return Entry(at=run.accepted_at, tone="none", title="Accepted", says=who + asked)


def _survived(line: LogLine) -> Entry:
    if line.text == SURVIVED:
        title, says = "Survived a crash", "closeout's process ended while the run was under way"
    else:
        title, says = "Waited through a restart", "closeout was started again"
    return Entry(at=line.at, tone="wait", title=title, says=says)


def _finished(run: RunView, at: float) -> Entry:
    verdict = run.verdict or "failure"
    status = {
        "delivered": "GitHub has the status",
        "undelivered": "GitHub did not take the status",
    }.get(run.status or "", "")
    return Entry(at=at, tone=verdict, title=WORDS.get(verdict, verdict), says=status)


def _sleep(operation: Operation, bar: Callable[[float, float], Bar]) -> Entry:
    until = _ended(operation, operation.wake or operation.started_at)
    took = spoken_duration(max(0.0, until - operation.started_at))
    slept, title = bar(operation.started_at, until), clean(operation.name).capitalize()
    return Entry(at=operation.started_at, tone="waiting", title=title, took=took, bar=slept, waits=(slept,))


def _waits(waits: Sequence[Operation], end: float) -> str:
    """Return how long a step waited, and how often it polled meanwhile."""
    if not waits:
        return ""
    seconds = spoken_duration(sum(_waited(one, end) for one in waits))
    looks = sum(one.tries for one in waits if one.kind != "sleep")
    return f"waited {seconds}" + (f", looked {looks} times" if looks > 1 else "")


def _waited(operation: Operation, end: float) -> float:
    """Return the seconds that an operation waited: a sleep, or a call that was made more than once."""
    if operation.kind == "sleep" or operation.tries > 1 or operation.state == "waiting":
        return max(0.0, _ended(operation, end) - operation.started_at)
    return 0.0


def _ended(operation: Operation, end: float) -> float:
    return operation.ended_at if operation.ended_at is not None else end
