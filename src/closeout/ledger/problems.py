"""Derive from a run's end which problem it opens or closes: in every store alike, in the transaction of the ending.

All data comes from what the run recorded, which contains no secrets. It never raises because of that data: a run
must be able to end with any payload and any operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from closeout.actions.registry import builtin
from closeout.core import problems
from closeout.core.automation import steps_digest
from closeout.core.closing import EVENT
from closeout.core.commit import certainly_private
from closeout.core.errors import CloseoutError
from closeout.core.ids import split_execution
from closeout.core.payload import at, decode, from_form
from closeout.core.problems import Problem
from closeout.core.records import NewDelivery
from closeout.core.runs import clip
from closeout.ledger.steps import public, rehearsed, reopened, step_views
from closeout.ports import Ending, Execution, Operation, ProblemStore
from closeout.run import visibility

LONGEST = 400
"""Characters of a reason."""
MOST_LEFT = 10
"""Names of leftovers that are kept."""


class ProblemClosure(NamedTuple):
    """A run's end closes the problems of its automation with these keys."""

    first: str
    last: str
    by: str
    also: str = ""
    """The run's own key, under which an attempt that failed before it learned its closing opened a problem."""


def of_run(
    execution: Execution, operations: Sequence[Operation], ending: Ending, closing: str | None, at: float
) -> Problem | ProblemClosure | None:
    """Return the problem that a failed run opens, or what a run closes that succeeded or found its pull request open.

    A dry run repairs nothing; a cancelled or skipped run says nothing about what exists.
    """
    key = closing or execution.run_id
    if ending.verdict == "failure":
        return _opened(execution, operations, ending, key, at)
    repaired = ending.verdict == "success" and not rehearsed(operations)
    if repaired or (ending.verdict == "cancelled" and reopened(operations)):
        by = execution.id if repaired else "reopened"
        return ProblemClosure(*problems.closes(key), by, execution.run_id)
    return None


def dismissable(problem: Problem) -> str | None:
    """Return the target for a request to dismiss a problem: its run's id, or its identity; None for one of closeout itself."""
    if problem.execution:
        return split_execution(problem.execution)[0]
    return f"{problem.automation} {problem.key}" if problem.automation else None


def dismiss(store: ProblemStore, target: str, by: str, at: float) -> str:
    """Close a problem of a run, or one that patrol found, at a person's request; return the outcome."""
    found = [one for one in store.problems() if one.closed_at is None and dismissable(one) == target]
    for one in found:
        store.close_problems(one.automation, one.key, one.key, at, f"{problems.DISMISSED} by {by}")
    if found:
        return "done"
    return "there is no such open problem" if " " in target else "the run has no open problem"


def of_reopened(delivery: NewDelivery) -> ProblemClosure | None:
    """Return what a delivery about a reopened pull request closes: the problems of its closings until then.

    A late delivery closes no problem of a later closing, because its payload has the time of the change.
    """
    if (delivery.event, delivery.action) != (EVENT, "reopened"):
        return None
    payload = _payload(from_form(delivery.body) if delivery.form else delivery.body)
    ids = (at(payload, "repository", "id"), at(payload, "pull_request", "id"))
    changed = at(payload, "pull_request", "updated_at")
    if not all(type(one) is int for one in ids) or not isinstance(changed, str):
        return None
    pull = "/".join(map(str, ids))
    return ProblemClosure(f"{pull}/", f"{pull}/{changed}", "reopened")


def _opened(
    execution: Execution, operations: Sequence[Operation], ending: Ending, key: str, since: float
) -> Problem:
    payload = _payload(execution.body)
    steps = step_views(execution.definition, operations, verdict=ending.verdict, full=False)
    failed = next((step for step in steps if step.state == "failure"), None)
    left = [row for step in steps for row in step.left]
    shown = [row for step in steps if _shows_plan(step.uses) for row in step.left]
    return Problem(
        automation=execution.automation,
        key=key,
        kind="failure",
        text=clip(ending.summary, LONGEST),
        public=clip(public(operations) or visibility.WITHHELD, LONGEST),
        since=since,
        code=(failed.code if failed else None) or "",
        step=failed.id if failed else "",
        left=tuple(str(row.get("resource", "")) for row in left)[:MOST_LEFT],
        public_left=tuple(visibility.named(str(row.get("resource", ""))) for row in shown)[:MOST_LEFT],
        repository=_text(at(payload, "repository", "full_name")),
        number=_number(at(payload, "pull_request", "number")),
        login=_text(at(payload, "pull_request", "user", "login")),
        private=certainly_private(payload),
        execution=execution.id,
        basis=steps_digest(execution.definition),
    )


def _shows_plan(uses: str) -> bool:
    """Return whether the leftovers of an action's plan are public; those of the user's own code are not."""
    actions = builtin()
    return uses in actions and not actions[uses].own_code


def _payload(body: bytes) -> Mapping[str, Any]:
    try:
        return decode(body) if body else {}
    except CloseoutError:
        return {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None
