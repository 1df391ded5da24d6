"""The life of a run as pure functions: its states, its verdict, and what its status says.

The ledger changes a run's row only with `advance`. The run function takes its verdict and its commit status from here, and
the engines use this module's limit of deaths. Time is an argument, and outcomes may come in any order: a late or repeated one
never changes a finished run.
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

MAX_DEATHS = 5
"""Times that the process may end while a run runs alone and makes no progress, before the run's current step counts as failed."""
CRASHED = "crashed"
"""The kind of that failure."""
CONTINUES = "it continues from what it had recorded"
SURVIVED = f"closeout's process ended while this run was under way; {CONTINUES}"
RESTARTED = f"closeout was started again while this run waited; {CONTINUES}"
"""The log lines of a run that continues after the process had ended."""
NOTHING_THERE = "nothing was there"
"""The beginning of a run's summary if none of its destructive steps found anything."""
ALREADY_GONE = "already gone, an earlier attempt deleted it"
"""Its beginning if an earlier attempt of the run had deleted something."""
NO_BASE = "no base matched"
"""The beginning of a run's summary if none of a pull request's earlier bases matched, either."""
FIRST_RUNS = 5
"""Runs of an automation after which a warning says that none of them found anything."""
MAX_DESCRIPTION = 140
"""Characters that GitHub accepts in a status description; it answers a longer one with 422."""
IN_TURN = ("now", "beside")
"""The values of `RunState.alone` for the only run whose turn it is."""
_ELLIPSIS = "…"
_JOINER = "\u200d"
"""Joins emoji into one. Python does not count it as printable."""


class RunState(NamedTuple):
    """The state of a run: these columns of the ledger, in this order. Times are seconds since the epoch."""

    state: str = "queued"
    turn: str = "own"
    """`own`; or `expired`, `cancelled`: it runs out of turn, without its key, only to end."""
    crashes: int = 0
    """Times that its process ended while it ran, since it last recorded something."""
    cancel: str | None = None
    """Who asked to cancel it; None again once the run has received that."""
    verdict: str | None = None
    summary: str | None = None
    started_at: float | None = None
    wake: float | None = None
    """When a waiting run continues."""
    finished_at: float | None = None
    suspected: int = 0
    """Times that it was under way when the process ended, outside other runs' turns, since its last progress. Each one after
    the first doubles its next turn alone."""
    alone: str | None = None
    """Its turn alone: `due`, then `now`, or `beside` if others were under way when it began. None for a run that is no suspect,
    or has had its turn."""
    deaths: int = 0
    """Times that the process ended while it ran alone, since its last progress."""


class Taken(NamedTuple):
    """An engine starts to work on the run; with `alone` the run's turn alone begins.

    `beside`: runs whose own turn was up are still under way, so a death in this turn proves nothing.
    """

    turn: str
    at: float
    alone: bool = False
    beside: bool = False


class Joined(NamedTuple):
    """Its turn alone is over, and it continues along with the others."""


class Parked(NamedTuple):
    """It waits, and holds no thread."""

    wake: float


class Recorded(NamedTuple):
    """An operation was recorded. `progressed`: the run made progress, so it did not end the process."""

    progressed: bool = True


class Crashed(NamedTuple):
    """The process ended while the run was under way.

    `alone`: it has a process of its own, like each invocation on AWS, and needs no turn. `by_another`: it was another run's
    turn, and that run is tried first from then on; this run's own turn gets no longer.
    """

    alone: bool = False
    by_another: bool = False


class CancelAsked(NamedTuple):
    """Somebody asks to cancel it."""

    by: str


class CancelDelivered(NamedTuple):
    """The run function has received the cancel: from here on it only ends the run."""


class Ended(NamedTuple):
    """It has a verdict."""

    verdict: str
    summary: str
    at: float


Outcome = Taken | Joined | Parked | Recorded | Crashed | CancelAsked | CancelDelivered | Ended


def advance(run: RunState, outcome: Outcome) -> RunState:
    """Return the run after an outcome. Nothing changes a finished run."""
    if run.state == "finished":
        return run
    match outcome:
        case Taken(turn, at, alone, beside):
            begun = at if run.started_at is None else run.started_at
            now = IN_TURN[beside] if alone else run.alone and "due"
            return run._replace(state="running", turn=turn, started_at=begun, wake=None, alone=now)
        case Joined():
            return run._replace(alone=None) if run.alone in IN_TURN else run
        case Parked(wake):
            return run._replace(state="waiting", wake=wake, alone=run.alone and "due")
        case Recorded(progressed):
            run = run._replace(crashes=0)
            return run._replace(suspected=0, alone=None, deaths=0) if progressed else run
        case Crashed(alone, by_another):
            return _crashed(run, alone, by_another) if run.state == "running" else run
        case CancelAsked(by):
            return run._replace(cancel=by)
        case CancelDelivered():
            return run._replace(cancel=None)
        case Ended(verdict, summary, at):
            known = verdict if verdict in VERDICTS else "failure"
            return run._replace(
                state="finished", verdict=known, summary=summary, finished_at=at, wake=None, alone=None
            )


def _crashed(run: RunState, alone: bool, by_another: bool) -> RunState:
    """Return a run that was under way when the process ended: a suspect, unless it has a process of its own.

    It then waits, so that it is not under way if the process ends again before its turn.
    """
    crashes, deaths = run.crashes + 1, run.deaths + (alone or run.alone == "now")
    if alone:
        return run._replace(crashes=crashes, deaths=deaths)
    suspected = max(run.suspected, 1) if by_another else run.suspected + 1
    return run._replace(
        state="waiting", wake=0.0, crashes=crashes, suspected=suspected, alone="due", deaths=deaths
    )


def verdict_of(states: Sequence[str]) -> Verdict:
    """Return a run's verdict for the states of its steps: the worst counts.

    failure, then cancelled, then success. All skipped (or none at all) is a success with nothing to do: `skipped` is
    the verdict of a run whose own `if` was false. A step that never ended counts as failed, and so does an unknown state.
    """
    if "failure" in states or not ENDED.issuperset(states):
        return "failure"
    return "cancelled" if "cancelled" in states else "success"


def status_of(verdict: str, *, reopened: bool = False, deleted: bool = False) -> StatusState | None:
    """Return the commit status of a finished run, or None for a run that its `if` skipped.

    A run that somebody cancelled is `error`. If its pull request was reopened, the run is `success` if nothing had been
    deleted, else `failure`.
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


def found_nothing(summary: str) -> bool:
    """Return whether the summary says that a successful run, or a dry run, found nothing to delete."""
    return summary.removeprefix("dry run: ").startswith(NOTHING_THERE)


def clip(text: str, limit: int = MAX_DESCRIPTION) -> str:
    """Return `text` as one line of at most `limit` characters, cut with `…` and never inside a character.

    White space becomes single spaces, and control characters are removed. The cut is before a word if one begins nearby.
    """
    line = " ".join("".join(char if char.isprintable() or char == _JOINER else " " for char in text).split())
    if len(line) <= limit:
        return line
    end = limit - 1
    while end > 0 and _joined(line, end):
        end -= 1
    space = line.rfind(" ", max(end - limit // 5, 1), end + 1)
    return line[: space if space > 0 else end].rstrip() + _ELLIPSIS


def _joined(line: str, index: int) -> bool:
    """Whether a cut here would split what is shown as one character: accents, joined emoji, their colours."""
    after, before = line[index], line[index - 1]
    return (
        unicodedata.combining(after) != 0
        or unicodedata.category(after) in ("Mn", "Me", "Mc")
        or after in (_JOINER, "\ufe0e", "\ufe0f")
        or before == _JOINER
        or "\U0001f3fb" <= after <= "\U0001f3ff"
    )
