"""The contents of a run's page as plain values: words, tones, durations, and what may be shown to whom.

Templates only place them. Texts here are untrusted (titles, branches, log lines): control characters and terminal
codes are removed, and the templates escape the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from closeout.core import commit, terminal
from closeout.core.units import spoken_duration
from closeout.ports import RunView, StepView
from closeout.run import visibility
from closeout.server.pages.wording import rough

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
"""The word for each state or verdict; the key is also its tone in the style sheet."""

NEAR_LIMIT = 75
"""Percent of its time limit after which a run counts as waiting long."""
LOG_LINES = 2000
LOG_CHARACTERS = 500_000
"""The part of a log that a page shows at a time, because a ledger may hold more than fits into memory."""


def clean(text: object) -> str:
    """Return text without terminal codes, control characters and marks that change its direction."""
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
    """The subject of the run. Addresses are http(s) or None."""

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
    """Read the subject from a payload. Never raises because of its content."""
    repository = object_of(payload, "repository")
    pull = object_of(payload, "pull_request") or object_of(payload, "issue")
    head, base = object_of(pull, "head"), object_of(pull, "base")
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
        sender=_text(object_of(payload, "sender"), "login"),
        private=commit.certainly_private(payload),
    )


def for_anybody(run: RunView, shows_plan: Callable[[str], bool]) -> RunView:
    """Return a run without the texts that only readers of the log may see.

    The summaries and errors of the run and its steps are replaced by their public versions; the reason for waiting and the
    name of its requester are removed. Plans and leftovers stay if `shows_plan` allows it for the action: a script's do not.
    """
    said = run.summary if run.verdict == "skipped" else run.public
    steps = tuple(_step_for_anybody(step, shows_plan(step.uses)) for step in run.steps)
    reason = run.reason if run.sleeps_in else None
    return run._replace(
        summary=said, reason=reason, requested_by=None, steps=steps, timeout=None, queue_timeout=None
    )


def _step_for_anybody(step: StepView, shows_plan: bool) -> StepView:
    said = step._replace(summary=step.public, reason=None, code=None, timeout=None)
    if not shows_plan:
        return said._replace(changes=None, outcomes=(), left=())
    changes = None if step.changes is None else tuple(map(_row_for_anybody, step.changes))
    return said._replace(changes=changes, left=tuple(map(_row_for_anybody, step.left)))


def _row_for_anybody(row: Mapping[str, Any]) -> dict[str, Any]:
    resource, reason = str(row.get("resource", "")), str(row.get("reason", ""))
    shown = {key: row[key] for key in ("verb", "part_of", "objects", "bytes") if key in row}
    return {**shown, "resource": visibility.named(resource), "reason": visibility.masked(reason)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How much of a time limit has been used."""

    spent: float
    most: float
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """The verdict, or the current state of the run."""

    tone: str
    word: str
    says: str
    took: str
    finished: bool
    limit: Limit | None


def banner(
    run: RunView,
    now: float,
    *,
    errors_below: bool = False,
    progress: Mapping[str, str] | None = None,
    paused: bool = False,
) -> Banner:
    """Return the banner of a run. With `errors_below` it leaves out the error of the step that failed first.

    `progress` is the last log line of each step, and `paused` whether destructive calls are paused: both explain why a run waits.
    """
    finished = run.state == "finished"
    tone = (run.verdict or "failure") if finished else run.state
    result = _result(run) if errors_below else run.summary
    says = (
        result if finished else _sleeps(run, now) or _waits(run, progress or {}, paused=paused)
    ) or _state_sentence(run)
    end = run.finished_at if finished else now
    took = spoken_duration(end - run.started_at) if run.started_at is not None and end is not None else ""
    return Banner(
        tone=tone,
        word=WORDS.get(tone, tone),
        says=clean(says),
        took=took,
        finished=finished,
        limit=None if finished else run_limit(run, now),
    )


def limit(since: float | None, most: float | None, now: float, doing: str) -> Limit | None:
    """Return how much of `most` seconds has been used; None if there is no limit or nothing has begun."""
    if since is None or most is None or most <= 0:
        return None
    spent = max(0.0, now - since)
    says = f"{doing} {spoken_duration(spent)} of at most {spoken_duration(most)}"
    return Limit(spent=round(min(spent, most), 1), most=most, says=says)


def run_limit(run: RunView, now: float) -> Limit | None:
    """Return how much of its time limit a run under way has used."""
    if run.started_at is None:
        return limit(run.accepted_at, run.queue_timeout, now, "Has waited")
    return limit(run.started_at, run.timeout, now, "Has run for")


class RunProgress(NamedTuple):
    """A run under way. `percent` is the used part of its time limit; None if no limit applies now."""

    run: RunView
    took: str
    limit: str
    percent: int | None

    @property
    def is_near(self) -> bool:
        """Whether its time is nearly over."""
        return self.percent is not None and self.percent >= NEAR_LIMIT


def going(runs: Sequence[RunView], now: float) -> list[RunProgress]:
    """Return runs with those nearest to their limit first, and the queued ones last."""
    by_age = sorted(runs, key=lambda run: run.accepted_at)
    found = [_going(run, now) for run in by_age]
    return sorted(found, key=lambda one: (one.run.started_at is None, -(one.percent or 0)))


def _going(run: RunView, now: float) -> RunProgress:
    spent = max(now - (run.accepted_at if run.started_at is None else run.started_at), 0.0)
    limit = run_limit(run, now)
    if limit is None:
        return RunProgress(run, rough(spent), "", None)
    # A sleep uses up no limit: the automation asked for it.
    percent = None if run.sleeps_in else round(100 * limit.spent / limit.most)
    return RunProgress(run, rough(spent), rough(limit.most), percent)


def step_name(step: StepView) -> str:
    """Return a step's name, which is its action's summary by default."""
    return clean(step.name).removesuffix(".")


def failure_text(step: StepView) -> str:
    """Return the error of a step that failed, as this visitor may see it."""
    return step.reason or step.summary or "failed"


def _result(run: RunView) -> str | None:
    """Return a finished run's summary without the error of its first failed step."""
    summary = run.summary
    failed = next((step for step in run.steps if step.state == "failure"), None)
    if summary is None or failed is None or run.verdict != "failure":
        return summary
    head, found, tail = summary.partition(failure_text(failed))
    if not found:
        return summary
    for title in (failed.name, failed.id):
        head = head.removesuffix(f"{title}: ")
    return (head.rstrip("; ") + tail).strip() or None


def _sleeps(run: RunView, now: float) -> str | None:
    if run.sleeps_in is None or run.until is None:
        return None
    when = f"{clock_time(run.until)} UTC" if run.until - now < 86_400 else moment(run.until)[1]
    return f"It waits until {when} ({run.sleeps_in})."


def is_uninformative(reason: str | None, step: StepView) -> bool:
    """Whether a reason only names the step that waits, and not what it waits for."""
    return reason == f"waits in {step.id}"


def _waits(run: RunView, progress: Mapping[str, str], *, paused: bool) -> str | None:
    step = next((step for step in run.steps if is_uninformative(run.reason, step)), None)
    if step is None or run.reason is None:
        return run.reason
    return progress.get(step.id) or run.reason + ("; destructive calls are paused" if paused else "")


def _state_sentence(run: RunView) -> str:
    if run.state == "queued":
        return "It starts when the runs before it have ended."
    for step in run.steps:
        if step.state in ("running", "waiting"):
            return f"Current step: {step_name(step)}."
    return "" if run.state == "finished" else "It is running."


def object_of(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an object in a payload; empty if it is absent or not an object."""
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def _text(holder: Mapping[str, Any], key: str) -> str | None:
    value = holder.get(key)
    return clean(value) if isinstance(value, str) and value else None


def _address(value: Any) -> str | None:
    """Return an address that is safe in a link: a payload could contain `javascript:`."""
    if isinstance(value, str) and re.match(r"https?://[^\s\"'<>]+\Z", value):
        return value
    return None
