"""What a run's page says, as plain values: words, tones, durations, and what may be shown to whom.

Templates only place these. Texts here are untrusted (titles, branches, log lines): control characters and terminal
codes go, and the templates escape the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from closeout.core import commit, terminal
from closeout.core.units import spoken_duration, spoken_size
from closeout.ports import LogLine, RunView, StepView
from closeout.run import visibility

WORDS: Mapping[str, str] = {
    "success": "Succeeded",
    "failure": "Failed",
    "cancelled": "Cancelled",
    "skipped": "Skipped",
    "queued": "Queued",
    "running": "Running",
    "waiting": "Waiting",
    "pending": "Not started",
}
"""What a state or verdict is called; its key is also the tone that the style sheet knows."""

LOG_LINES = 2000
LOG_CHARACTERS = 500_000
"""Of a log a page shows this much at a time: a ledger may hold more than fits into memory."""
OPEN_CHANGES = 8
"""A plan of up to this many changes is shown unfolded."""


def clean(text: object) -> str:
    """Return text without terminal codes, control characters and marks that turn its direction."""
    return terminal.stripped(str(text))


def moment(at: float | None) -> tuple[str, str]:
    """Return a time as (for machines, for people), in UTC."""
    if at is None:
        return "", ""
    when = datetime.fromtimestamp(at, UTC)
    return when.isoformat(timespec="seconds"), when.strftime("%-d %b %Y, %H:%M:%S UTC")


def clock_time(at: float) -> str:
    """Return the time of day of a log line, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the run is about. Addresses are http(s) or None."""

    repository: str | None
    repository_url: str | None
    title: str | None
    number: int | None
    url: str | None
    head: str | None
    base: str | None
    sha: str | None
    commit_url: str | None
    sender: str | None
    private: bool


def subject(payload: Mapping[str, Any]) -> Subject:
    """Read from a payload what the page shows of it. Never raises for its content."""
    repository = _object(payload, "repository")
    pull = _object(payload, "pull_request") or _object(payload, "issue")
    head, base = _object(pull, "head"), _object(pull, "base")
    repository_url = _address(repository.get("html_url"))
    sha = _text(head, "sha") or _text(payload, "after")
    known = sha is not None and re.fullmatch(r"[0-9a-f]{40,64}", sha) is not None
    number = pull.get("number")
    return Subject(
        repository=_text(repository, "full_name"),
        repository_url=repository_url,
        title=_text(pull, "title"),
        number=number if type(number) is int else None,
        url=_address(pull.get("html_url")),
        head=_text(head, "ref") or _text(payload, "ref"),
        base=_text(base, "ref"),
        sha=sha if known else None,
        commit_url=f"{repository_url}/commit/{sha}" if known and repository_url else None,
        sender=_text(_object(payload, "sender"), "login"),
        private=commit.certainly_private(payload),
    )


def for_anybody(run: RunView, shows_plan: Callable[[str], bool]) -> RunView:
    """Return a run without what only the log's readers may see.

    What it and its steps say becomes what was made for everybody; why it waits, and who asked for it, go. A plan and
    what is left stay if `shows_plan` says so of the action: those of a script are the script's.
    """
    said = run.summary if run.verdict == "skipped" else run.public
    steps = tuple(_step_for_anybody(step, shows_plan(step.uses)) for step in run.steps)
    reason = run.reason if run.sleeps_in else None
    return run._replace(summary=said, reason=reason, requested_by=None, steps=steps)


def _step_for_anybody(step: StepView, shows_plan: bool) -> StepView:
    said = step._replace(summary=step.public, reason=None)
    if not shows_plan:
        return said._replace(changes=None, left=())
    changes = None if step.changes is None else tuple(map(_row_for_anybody, step.changes))
    return said._replace(changes=changes, left=tuple(map(_row_for_anybody, step.left)))


def _row_for_anybody(row: Mapping[str, Any]) -> dict[str, Any]:
    resource, reason = str(row.get("resource", "")), str(row.get("reason", ""))
    return {**row, "resource": visibility.named(resource), "reason": visibility.masked(reason)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """One line of a plan."""

    verb: str
    resource: str
    reason: str
    amount: str
    part: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One step on the timeline."""

    id: str
    name: str
    uses: str
    state: str
    word: str
    took: str
    tries: int
    says: str
    changes: tuple[ChangeRow, ...] | None
    unfolded: bool
    left: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """The verdict, or where the run stands."""

    tone: str
    word: str
    says: str
    took: str
    finished: bool


def banner(run: RunView, now: float) -> Banner:
    """Return the banner of a run."""
    finished = run.state == "finished"
    tone = (run.verdict or "failure") if finished else run.state
    says = (run.summary if finished else _sleeps(run, now) or run.reason) or _standing(run)
    end = run.finished_at if finished else now
    took = spoken_duration(end - run.started_at) if run.started_at is not None and end is not None else ""
    return Banner(tone=tone, word=WORDS.get(tone, tone), says=clean(says), took=took, finished=finished)


def _sleeps(run: RunView, now: float) -> str | None:
    """Return until when a run sleeps; None for one that does not."""
    if run.sleeps_in is None or run.until is None:
        return None
    when = f"{clock_time(run.until)} UTC" if run.until - now < 86_400 else moment(run.until)[1]
    return f"It waits until {when} ({run.sleeps_in})."


def _standing(run: RunView) -> str:
    if run.state == "queued":
        return "It starts when the runs before it have ended."
    for step in run.steps:
        if step.state in ("running", "waiting"):
            return f"{step.name} is running."
    return "" if run.state == "finished" else "It is running."


def steps(run: RunView, now: float, progress: Mapping[str, str]) -> tuple[StepRow, ...]:
    """Return the timeline. `progress` is the last log line of each step, said while the step goes on."""
    return tuple(_step(step, now, progress.get(step.id, "")) for step in run.steps)


def _step(step: StepView, now: float, progress: str) -> StepRow:
    under_way = step.state in ("running", "waiting")
    end = now if under_way else step.ended_at
    took = spoken_duration(end - step.started_at) if step.started_at is not None and end is not None else ""
    says = step.reason or step.summary or (progress if under_way else "")
    rows = None if step.changes is None else tuple(map(_change, step.changes))
    return StepRow(
        id=clean(step.id),
        name=clean(step.name),
        uses=clean(step.uses),
        state=step.state,
        word=WORDS.get(step.state, step.state),
        took=took if step.state != "skipped" else "",
        tries=step.attempts,
        says=clean(says),
        changes=rows,
        unfolded=rows is not None and len(rows) <= OPEN_CHANGES,
        left=tuple((clean(item.get("resource", "")), clean(item.get("reason", ""))) for item in step.left),
    )


def _change(change: Mapping[str, Any]) -> ChangeRow:
    objects, held = int(change.get("objects") or 0), int(change.get("bytes") or 0)
    amount = f"{objects:,} object{'' if objects == 1 else 's'}, {spoken_size(held)}" if objects else ""
    return ChangeRow(
        verb=clean(change.get("verb", "")),
        resource=clean(change.get("resource", "")),
        reason=clean(change.get("reason", "")),
        amount=amount,
        part=bool(change.get("part_of")),
    )


def progress_of(lines: Iterable[LogLine]) -> dict[str, str]:
    """Return the last line of each step."""
    return {line.step: line.text for line in lines if line.step is not None}


def _object(holder: Any, key: str) -> Mapping[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def _text(holder: Mapping[str, Any], key: str) -> str | None:
    value = holder.get(key)
    return clean(value) if isinstance(value, str) and value else None


def _address(value: Any) -> str | None:
    """Return an address that may stand in a link: a payload could hold `javascript:`."""
    if isinstance(value, str) and re.match(r"https?://[^\s\"'<>]+\Z", value):
        return value
    return None
