"""Update problems after an audit: open one for each pull request that left something, and close those that are over.

An audit that could not ask for everything closes nothing. Nor does it close a problem that it could not have seen: of an
action without an inventory, a pattern of repositories, a step that has changed since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from closeout.config.inverses import StepInventory
from closeout.core.automation import steps_digest
from closeout.core.problems import DISMISSED, Problem
from closeout.orphans.audit import Report, Row
from closeout.run.visibility import masked, named

MOST_LEFT = 10
"""The most names of leftovers that are stored."""
GONE = f"{DISMISSED} by patrol, because its automation is no longer in the configuration"
WHY = "its pull request is closed, and nothing has deleted it"


class AuditedScope(NamedTuple):
    """The part of an automation that an audit sees."""

    steps: frozenset[str]
    repositories: frozenset[str]
    """In lower case."""
    basis: str
    """See `core.problems.Problem.basis`."""


class Closed(NamedTuple):
    """A problem that is over, and the reason."""

    problem: Problem
    by: str


def covered(inventories: Iterable[StepInventory], listed: Sequence[StepInventory]) -> dict[str, AuditedScope]:
    """Return, by automation, what an audit of `listed` sees; without automations of which it sees only some destructive steps."""
    of: dict[str, list[StepInventory]] = {}
    for one in inventories:
        of.setdefault(one.automation.name, []).append(one)
    seen = {(one.automation.name, one.step.id) for one in listed}
    return {
        name: AuditedScope(
            frozenset(one.step.id for one in steps),
            frozenset(repository.lower() for repository in steps[0].automation.repositories),
            steps_digest(steps[0].automation.canonical()),
        )
        for name, steps in of.items()
        if all((name, one.step.id) in seen for one in steps)
    }


def opened(report: Report, known: Iterable[Problem], basis: Mapping[str, str], now: float) -> list[Problem]:
    """Return the problems for the orphans in a report. One that a failed run opened is not changed."""
    failed = {(one.automation, one.key) for one in known if one.closed_at is None and one.kind == "failure"}
    of: dict[tuple[str, str], list[Row]] = {}
    for row in report.of("orphan"):
        if row.closing is not None and (row.automation, row.closing) not in failed:
            of.setdefault((row.automation, row.closing), []).append(row)
    return [
        Problem(
            automation=automation,
            key=closing,
            kind="orphans",
            text=WHY,
            public=WHY,
            since=now,
            left=tuple(row.resource for row in rows)[:MOST_LEFT],
            public_left=tuple(masked(named(row.resource)) for row in rows)[:MOST_LEFT],
            repository=rows[0].repository,
            number=rows[0].pull_request,
            login=rows[0].login,
            private=rows[0].private,
            basis=basis.get(automation, ""),
        )
        for (automation, closing), rows in of.items()
    ]


def closed(report: Report, known: Iterable[Problem], sees: Mapping[str, AuditedScope]) -> list[Closed]:
    """Return the problems that were open before an audit and that it found to be over."""
    if report.errors:
        return []
    over = []
    for problem in known:
        if problem.closed_at is not None or problem.repository is None or problem.number is None:
            continue
        pull_request = problem.repository.lower(), problem.number
        if _is_seen(problem, pull_request[0], sees.get(problem.automation)):
            states = report.states.get(pull_request, frozenset())
            if states <= {"open"}:
                over.append(Closed(problem, "reopened" if states else "patrol"))
    return over


def abandoned(known: Iterable[Problem], automations: Iterable[str]) -> list[Closed]:
    """Return the problems of orphans that no audit covers any more: without their automation nothing could close them."""
    names = frozenset(automations)
    return [
        Closed(one, GONE)
        for one in known
        if one.closed_at is None and one.kind == "orphans" and one.automation not in names
    ]


def _is_seen(problem: Problem, repository: str, automation: AuditedScope | None) -> bool:
    """Whether an audit would have found the problem's resources. `repository` is its name in lower case."""
    return (
        automation is not None
        and problem.kind in ("failure", "orphans")
        and "/" in problem.key  # it is about a closing
        and repository in automation.repositories
        and problem.step in ("", *automation.steps)
        and problem.basis == automation.basis != ""
    )
