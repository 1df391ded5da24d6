"""The life of a run as pure functions: its states, its verdict, and what its status says.

The ledger changes a run's row only by `advance`, the run function takes its verdict and its commit status from here,
and the engine counts crashes by the limit that stands here. Time is an argument, and every order of outcomes is
accepted: a late or repeated one never changes a run that is finished.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal, NamedTuple

Verdict = Literal["success", "failure", "cancelled", "skipped"]
StatusState = Literal["pending", "success", "failure", "error"]

STATES: tuple[str, ...] = ("queued", "running", "waiting", "finished")
VERDICTS: tuple[str, ...] = ("success", "failure", "cancelled", "skipped")
ENDED: frozenset[str] = frozenset(("success", "failure", "skipped", "cancelled"))
"""The states of a step that has ended; before that it is `pending`, `running` or `waiting`."""

MAX_CRASHES = 2
"""Times that a run's process may end under it, without anything recorded between, before what it was at counts as
failed."""
MAX_DESCRIPTION = 140
"""Characters that GitHub takes in a status description; a longer one is answered with 422."""
_ELLIPSIS = "…"
_JOINER = "\u200d"
"""Joins emoji into one; it does not count as printable."""


class RunState(NamedTuple):
    """Where a run stands: these columns of the ledger, in this order. Times are seconds since the epoch."""

    state: str = "queued"
    turn: str = "own"
    """`own`; or `expired`, `cancelled`: it runs out of its turn, without its key, only to end."""
    crashes: int = 0
    """Times that its process ended under it since it last recorded something."""
    cancel: str | None = None
    """Who asks for its end; None again once the run was told."""
    verdict: str | None = None
    summary: str | None = None
    started_at: float | None = None
    wake: float | None = None
    """When a waiting run goes on."""
    finished_at: float | None = None


class Taken(NamedTuple):
    """An engine works on the run from now on."""

    turn: str
    at: float


class Parked(NamedTuple):
    """It waits, and holds no thread."""

    wake: float


class Recorded(NamedTuple):
    """An operation was recorded: whatever ended the process before, this run has come further."""


class Crashed(NamedTuple):
    """The process ended under it."""


class CancelAsked(NamedTuple):
    """Somebody asks for its end."""

    by: str


class CancelTold(NamedTuple):
    """The run function knows: what it does from here on is how it ends."""


class Ended(NamedTuple):
    """It has a verdict."""

    verdict: str
    summary: str
    at: float


Outcome = Taken | Parked | Recorded | Crashed | CancelAsked | CancelTold | Ended


def advance(run: RunState, outcome: Outcome) -> RunState:
    """Give the run after an outcome. A finished run stays as it is, whatever comes."""
    if run.state == "finished":
        return run
    match outcome:
        case Taken(turn, at):
            begun = at if run.started_at is None else run.started_at
            return run._replace(state="running", turn=turn, started_at=begun, wake=None)
        case Parked(wake):
            return run._replace(state="waiting", wake=wake)
        case Recorded():
            return run._replace(crashes=0)
        case Crashed():
            return run._replace(crashes=run.crashes + 1) if run.state == "running" else run
        case CancelAsked(by):
            return run._replace(cancel=by)
        case CancelTold():
            return run._replace(cancel=None)
        case Ended(verdict, summary, at):
            known = verdict if verdict in VERDICTS else "failure"
            return run._replace(state="finished", verdict=known, summary=summary, finished_at=at, wake=None)


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
