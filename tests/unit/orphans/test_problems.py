"""What an audit reports as problems: which orphans become one, and which problems it may close."""

from __future__ import annotations

from dataclasses import replace

import pytest

from closeout.actions.registry import builtin
from closeout.config.inverses import StepInventory, inventories
from closeout.core.automation import Automation, steps_digest
from closeout.core.problems import Problem
from closeout.orphans.audit import Report, Row
from closeout.orphans.problems import WHY, Closed, closed, covered, opened
from tests.unit.orphans.test_audit import FakeClients, audit, named
from tests.unit.orphans.test_verdict import STEP

NAME = "p-${{ event.pull_request.number }}"
AUTOMATION = named(NAME, repositories=("acme/shop",))
CLOSING = "9/117/2026-03-14T09:26:53Z"
BASIS = steps_digest(AUTOMATION.canonical())
SEES = covered(inventories([AUTOMATION], builtin()), inventories([AUTOMATION], builtin()))
FAILED = Problem(
    "a", CLOSING, "failure", "x", "x", 1.0, step=STEP.id, repository="Acme/Shop", number=17, basis=BASIS
)


def row(state: str = "orphan", number: int = 17, **fields: object) -> Row:
    """Return a find of the automation."""
    made = Row(None, f"p-{number}", state, "", "acme/shop", number, "a", 1.0, False)  # type: ignore[arg-type]
    return made._replace(closing=CLOSING, **fields)  # type: ignore[arg-type]


def seen(*states: str, errors: tuple[str, ...] = ()) -> Report:
    """Return an audit that found things of pull request 17 in these states."""
    found = {("acme/shop", 17): frozenset(states)} if states else {}
    return Report((), errors, states=found)  # type: ignore[arg-type]


def test_what_a_pull_request_left_is_one_problem_under_its_closing() -> None:
    """With GitHub's id, so that a run of that closing ends it; and with whose it is."""
    report = audit([AUTOMATION], FakeClients({"eu-central-1": ["p-17"]}))
    (first,) = opened(report, [], {"a": BASIS}, 5.0)
    assert first.number == 17
    assert first.key.split("/")[0] == str(len("shop"))
    assert first.key.count("/") == 2
    assert (first.kind, first.left, first.says, first.since) == ("orphans", ("p-17",), WHY, 5.0)
    assert first.login
    assert first.basis == BASIS
    assert report.states == {("acme/shop", 17): {"orphan"}}


def test_an_orphan_of_a_failed_run_belongs_to_that_runs_problem() -> None:
    """That has the step, the error and the page. Once it is closed, the orphan is a problem of its own."""
    report = Report((row(), row(resource="p-17-more", state="unknown")), ())
    assert opened(report, [FAILED], {}, 5.0) == []
    (problem,) = opened(report, [FAILED._replace(closed_at=2.0)], {}, 5.0)
    assert problem.left == ("p-17",)


def test_a_public_repositorys_problem_hides_account_numbers() -> None:
    """As on the pages."""
    arn = "arn:aws:sns:eu-central-1:123456789012:p-17"
    (problem,) = opened(Report((row(resource=arn),), ()), [], {}, 5.0)
    assert (problem.left, problem.public_left, problem.names) == ((arn,), ("p-17",), ("p-17",))


def test_an_audit_that_finds_nothing_left_closes_a_problem() -> None:
    """So does one that finds its pull request open."""
    orphans = FAILED._replace(kind="orphans", step="")
    assert closed(seen(), [FAILED, orphans], SEES) == [Closed(FAILED, "patrol"), Closed(orphans, "patrol")]
    assert closed(seen("open"), [FAILED], SEES) == [Closed(FAILED, "reopened")]


@pytest.mark.parametrize(
    ("problem", "report"),
    [
        (FAILED, seen("orphan")),
        (FAILED, seen("unknown")),
        (FAILED, seen("open", "unknown")),
        (FAILED, seen(errors=("GitHub: 502",))),
        (FAILED._replace(basis="another"), seen()),
        (FAILED._replace(basis=""), seen()),
        (FAILED._replace(repository="acme/site"), seen()),
        (FAILED._replace(repository=None), seen()),
        (FAILED._replace(number=None), seen()),
        (FAILED._replace(step="notify-1"), seen()),
        (FAILED._replace(automation="b"), seen()),
        (FAILED._replace(key="a-run"), seen()),
        (FAILED._replace(kind="stale"), seen()),
        (FAILED._replace(closed_at=1.0), seen()),
    ],
)
def test_findings_that_close_no_problem(problem: Problem, report: Report) -> None:
    """Something left or unknown, an error, and whatever the audit would not have seen."""
    assert closed(report, [problem], SEES) == []


def test_an_automation_is_covered_entirely_or_not_at_all() -> None:
    """With one step without an inventory, its leftovers are unknown."""
    other = replace(STEP, id="other", uses="shell")
    both: Automation = replace(AUTOMATION, name="both", steps=(*AUTOMATION.steps, other))
    every = inventories([AUTOMATION, both], builtin())
    listed: list[StepInventory] = [one for one in every if one.reason is None]
    assert set(covered(every, listed)) == {"a"}
