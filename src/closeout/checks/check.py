"""A check and its result, as values.

A check declares what it checks, what breaks if that is wrong and how to fix it, so that the commands, the metrics and the
reference page say the same. Its result has one of four states, because "could not be asked" is neither fine nor wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from closeout.core.errors import CloseoutError
from closeout.core.redact import Redactor

if TYPE_CHECKING:
    from closeout.checks.world import World

State: TypeAlias = Literal["fine", "wrong", "unknown", "skipped"]

NAMED = 3
"""Findings of one check that are listed; a file may name a hundred repositories."""


class Result(NamedTuple):
    """The result of one check. `unknown`: it could not be asked. `skipped`: it does not apply, or GitHub or AWS never says."""

    state: State
    what: str
    """A sentence without a full stop: what is fine, what is wrong, or why that is unknown."""
    fix: str | None = None
    """The fix, if it is more precise than the check's own `fix`."""


fine = partial(Result, "fine")
wrong = partial(Result, "wrong")
unknown = partial(Result, "unknown")
skipped = partial(Result, "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row of the registry."""

    id: str
    """Stable: scripts, metrics and alarms name it."""
    group: str
    looks: str
    """What it checks, for the reference page and while it asks."""
    breaks: str
    """What fails while it is wrong."""
    fix: str
    """The command or click that fixes it."""
    ask: Callable[[World], Result]
    after: tuple[str, ...] = ()
    """Checks that come first: this one can be asked only if all of them are fine."""
    at_start: bool = False
    """Whether `serve` asks it at its start: it costs nothing and finds what the start itself would not."""


class Outcome(NamedTuple):
    """A check with its result."""

    check: Check
    result: Result
    cause: str | None = None
    """The check that must be fixed before this one can be asked."""

    @property
    def ok(self) -> bool | None:
        """Return True for fine, False for wrong, None for the rest."""
        return {"fine": True, "wrong": False}.get(self.result.state)

    @property
    def fix(self) -> str | None:
        """Return the fix; None if there is nothing to fix."""
        return self.result.fix or (self.check.fix if self.result.state == "wrong" else None)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return {
            "id": self.check.id,
            "group": self.check.group,
            "ok": self.ok,
            "state": self.result.state,
            "what": self.result.what,
            "breaks": self.check.breaks if self.ok is False else None,
            "fix": self.fix,
            "cause": self.cause,
        }


def failed(error: CloseoutError, fix: str | None = None) -> Result:
    """Return the result of an error: a finding if it lasts until somebody fixes it, else unknown."""
    return unknown(error.message, fix) if error.transient else wrong(error.message, fix)


def worst(results: Sequence[Result], what: str) -> Result:
    """Return one result for several: what is wrong, else unknown, else skipped, else `what` as fine."""
    states: tuple[State, ...] = ("wrong", "unknown", "skipped")
    for state in states:
        found = [result for result in results if result.state == state]
        if found:
            fix = next((result.fix for result in found if result.fix), None)
            return Result(state, listed(result.what for result in found), fix)
    return fine(what)


def listed(texts: Iterable[str]) -> str:
    """Return a few texts in one line, and how many more there are."""
    known = list(dict.fromkeys(texts))
    more = [f"and {len(known) - NAMED} more"] if len(known) > NAMED else []
    return "; ".join([*known[:NAMED], *more])


def redacted(outcomes: Iterable[Outcome], redactor: Redactor) -> Iterator[Outcome]:
    """Yield outcomes without secrets that the redactor knows."""
    for outcome in outcomes:
        yield outcome._replace(result=outcome.result._replace(what=redactor.text(outcome.result.what)))


def news(outcomes: Iterable[Outcome], before: Mapping[str, str]) -> list[str]:
    """Return a line for each finding that the previous drill did not have, and for each that is gone."""
    lines = []
    for one in outcomes:
        check, result, _ = one
        if result.state == "wrong" and before.get(check.id) != "wrong":
            lines.append(f"drill: {check.id}: {result.what}. Breaks: {check.breaks}. Fix: {one.fix}")
        elif result.state == "fine" and before.get(check.id) == "wrong":
            lines.append(f"drill: {check.id} is fine again")
    return lines
