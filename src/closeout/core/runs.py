"""The life of a run as pure functions: its states, its verdict, and what its status says.

Engines, ledger and pages use these words and no others. Time is an argument, and every order of outcomes is
accepted: a late or repeated one never changes a run that is finished.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

State = Literal["queued", "running", "waiting", "finished"]
Verdict = Literal["success", "failure", "cancelled", "skipped"]
StepState = Literal["pending", "running", "waiting", "success", "failure", "skipped", "cancelled"]
StatusState = Literal["pending", "success", "failure", "error"]
What = Literal["taken", "parked", "recorded", "crashed", "cancel", "queue-expired", "ended"]

STATES: tuple[State, ...] = ("queued", "running", "waiting", "finished")
VERDICTS: tuple[Verdict, ...] = ("success", "failure", "cancelled", "skipped")
STEP_STATES: tuple[StepState, ...] = (
    "pending",
    "running",
    "waiting",
    "success",
    "failure",
    "skipped",
    "cancelled",
)
ENDED: frozenset[str] = frozenset(("success", "failure", "skipped", "cancelled"))

MAX_CRASHES = 2
"""A run that has ended its process this often, without recording anything between, ends as failure."""
MAX_DESCRIPTION = 140
"""Characters that GitHub takes in a status description; a longer one is answered with 422."""
_ELLIPSIS = "…"
_JOINER = "\u200d"
"""Joins emoji into one; it does not count as printable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Where a run stands. Times are seconds since the epoch."""

    state: State = "queued"
    verdict: Verdict | None = None
    crashes: int = 0
    cancel_requested: bool = False
    accepted_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened to a run.

    `taken`: an engine works on it; `parked`: it waits; `recorded`: an operation was recorded; `crashed`: its
    process ended under it; `cancel`: somebody asks for its end; `queue-expired`: its turn did not come in time;
    `ended`: it has a `verdict`.
    """

    what: What
    verdict: Verdict | None = None
    summary: str = ""


def advance(run: RunState, outcome: Outcome, now: float) -> RunState:
    """Give the run after an outcome. A finished run stays as it is, whatever comes."""
    if run.state == "finished":
        return run
    match outcome.what:
        case "taken":
            return replace(run, state="running", started_at=now if run.started_at is None else run.started_at)
        case "parked":
            return replace(run, state="waiting") if run.state == "running" else run
        case "recorded":
            return replace(run, crashes=0) if run.state == "running" else run
        case "crashed":
            return _crashed(run, now)
        case "cancel":
            return replace(run, cancel_requested=True)
        case "queue-expired":
            if run.state != "queued":
                return run
            return _finish(run, "failure", "its turn did not come within the queue's time limit", now)
        case "ended":
            return _finish(run, outcome.verdict or "failure", outcome.summary, now)


def _crashed(run: RunState, now: float) -> RunState:
    if run.state != "running":
        return run
    crashes = run.crashes + 1
    if crashes >= MAX_CRASHES:
        ended = f"it ended its process {crashes} times"
        return _finish(replace(run, crashes=crashes), "failure", ended, now)
    return replace(run, state="queued", crashes=crashes)


def _finish(run: RunState, verdict: Verdict, summary: str, now: float) -> RunState:
    return replace(run, state="finished", verdict=verdict, summary=summary, finished_at=now)


def verdict_of(states: Sequence[str], *, cancelled: bool = False) -> Verdict:
    """Fold the states of a run's steps into its verdict: the worst counts.

    failure, then cancelled, then success. All skipped (or none at all) is a success with nothing to do: `skipped` is
    the verdict of a run whose own `if` was false. A step that never ended counts as failed unless the run was
    cancelled; an unknown state counts as failed.
    """
    unended = [state for state in states if state not in ENDED]
    if "failure" in states or (unended and not cancelled):
        return "failure"
    if cancelled or "cancelled" in states:
        return "cancelled"
    return "success"


def status_of(verdict: str, *, reopened: bool = False, deleted: bool = False) -> StatusState | None:
    """Give the commit status of a finished run, or None: a run that its `if` skipped has no status.

    A cancelled run is `error` when somebody cancelled it. When its pull request is open again it is `success` if
    nothing had been deleted, else `failure`.
    """
    if verdict == "skipped":
        return None
    if verdict == "success":
        return "success"
    if verdict == "cancelled":
        if not reopened:
            return "error"
        return "failure" if deleted else "success"
    return "failure"


def describe(text: str, *, step: int | None = None, of: int | None = None) -> str:
    """Give a status description: `2/3 deleting stack preview-17`, in one line of at most 140 characters."""
    return clip(f"{step}/{of} {text}" if step is not None and of is not None else text)


def describe_end(states: Sequence[str], details: Sequence[str] = (), *, dry_run: int | None = None) -> str:
    """Give the final description: counts first, then what is to be said of single steps.

    `dry_run` is the number of changes that a dry run would have made.
    """
    if dry_run is not None:
        return clip(f"dry run: would delete {dry_run}")
    if not states or all(state == "skipped" for state in states):
        return clip("nothing to do: every step was skipped" if states else "nothing to do")
    counts = [
        (word, sum(state == word for state in states))
        for word in ("failure", "cancelled", "success", "skipped")
    ]
    words = {"failure": "failed", "cancelled": "cancelled", "success": "done", "skipped": "skipped"}
    head = ", ".join(f"{count} {words[word]}" for word, count in counts if count)
    total = f"{len(states)} steps: " if len(states) > 1 else ""
    return clip("; ".join((total + head, *details)))


def clip(text: str, limit: int = MAX_DESCRIPTION) -> str:
    """Give `text` as one line of at most `limit` characters, cut with `…` and never inside a character.

    White space becomes single spaces and control characters go. The cut is before a word if one begins near.
    """
    line = " ".join("".join(char if char.isprintable() or char == _JOINER else " " for char in text).split())
    if len(line) <= limit:
        return line
    end = limit - 1
    while end > 0 and _joined(line, end):
        end -= 1
    space = line.rfind(" ", max(end - limit // 5, 1), end + 1)
    return line[: space if space > 0 else end].rstrip() + _ELLIPSIS


def _joined(line: str, place: int) -> bool:
    """Whether a cut here would part what is shown as one character: accents, joined emoji, their colours."""
    after, before = line[place], line[place - 1]
    return (
        unicodedata.combining(after) != 0
        or unicodedata.category(after) in ("Mn", "Me", "Mc")
        or after in (_JOINER, "\ufe0e", "\ufe0f")
        or before == _JOINER
        or "\U0001f3fb" <= after <= "\U0001f3ff"
    )
