"""What every store must do with problems, over the small bench of `ledger_suite`.

A subclass has a fixture `bench`.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

import pytest

from closeout.core.automation import steps_digest
from closeout.core.problems import Notification, Problem
from closeout.core.records import NewDelivery
from closeout.ports import Ending, ProblemStore
from tests.contract.ledger_suite import LedgerBench, new_delivery, new_run, operation, run_id

FIRST = "501001/1700017/2026-03-14T09:26:53Z"
LATER = "501001/1700017/2026-03-15T09:26:53Z"
OTHER = "501001/1700018/2026-03-14T09:26:53Z"
DEFINITION = json.dumps(
    {
        "steps": [
            {"id": "stack", "name": "", "uses": "aws/cloudformation-delete-stack"},
            {"id": "own", "uses": "shell"},
        ]
    }
)
LEFT = {"resource": "stack preview-17", "reason": "DELETE_FAILED"}


class ProblemBench(LedgerBench, Protocol):
    """A store, with its problems."""

    problems: ProblemStore


class ProblemSuite:
    """The contract of `ports.ProblemStore`, and of what a run's end means."""

    def test_a_failed_run_opens_a_problem(self, bench: ProblemBench) -> None:
        """It says what is left and why, for which pull request, and which part of it may be public."""
        _fail(bench, "r")
        (problem,) = bench.problems.problems()
        assert problem == Problem(
            automation="teardown",
            key=FIRST,
            kind="failure",
            text="stack: an output is still imported by arn:aws:x:eu-west-1:123456789012:stack",
            public="stack: an output is still imported",
            since=problem.since,
            code="action-failed",
            step="stack",
            left=("stack preview-17", "secret thing"),
            public_left=("stack preview-17",),
            repository="acme/shop",
            number=17,
            login="ada",
            private=False,
            execution=f"{run_id('r')}-1",
            basis=steps_digest(DEFINITION),
        )
        assert bench.clock.now() - 60 < problem.since <= bench.clock.now()

    def test_a_private_repositorys_problem_is_private(self, bench: ProblemBench) -> None:
        """A payload that does not say so counts as public."""
        _fail(bench, "r", private=True)
        (problem,) = bench.problems.problems()
        assert problem.private
        assert problem.says.endswith("123456789012:stack")

    def test_a_run_of_another_event_has_a_problem_of_its_own(self, bench: ProblemBench) -> None:
        """It has no closing, so the run's id is its key; without a pull request the problem says less."""
        _accept(bench, "r", closing=None, body={})
        bench.finish(f"{run_id('r')}-1", Ending("failure", "lost"))
        (problem,) = bench.problems.problems()
        assert (problem.key, problem.about, problem.login) == (run_id("r"), "", None)
        assert problem.public == "failed; see the run's log"

    def test_a_further_failed_attempt_keeps_the_problems_beginning(self, bench: ProblemBench) -> None:
        """It is the same problem, with the last attempt's error."""
        _fail(bench, "r")
        (first,) = bench.problems.problems()
        bench.clock.advance(60)
        _again(bench, "r")
        bench.finish(f"{run_id('r')}-2", Ending("failure", "another reason"))
        (second,) = bench.problems.problems()
        assert (second.since, second.text, second.execution) == (
            first.since,
            "another reason",
            f"{run_id('r')}-2",
        )

    def test_a_successful_attempt_closes_the_problem(self, bench: ProblemBench) -> None:
        """A closed problem is listed only while a target still has it as open."""
        _fail(bench, "r")
        bench.problems.record_notifications([Notification("env:A", "teardown", FIRST, 5.0, recovered=False)])
        _again(bench, "r")
        bench.finish(f"{run_id('r')}-2", Ending("success", "deleted stack preview-17"))
        (problem,) = bench.problems.problems()
        assert (problem.closed_at is not None, problem.closed_by) == (True, f"{run_id('r')}-2")
        assert bench.problems.notifications() == [
            Notification("env:A", "teardown", FIRST, 5.0, recovered=False)
        ]
        bench.problems.record_notifications([Notification("env:A", "teardown", FIRST, 6.0, recovered=True)])
        assert list(bench.problems.problems()) == []
        assert list(bench.problems.notifications()) == []

    @pytest.mark.parametrize("attempt", [1, 2])
    def test_an_attempt_that_learned_its_closing_closes_what_failed_before(
        self, bench: ProblemBench, attempt: int
    ) -> None:
        """The first one failed before GitHub said when the pull request was closed, or while that was learned.

        No other run would ever close that problem.
        """
        _fail(bench, "r", closing=None)
        _fail(bench, "s", closing=None)
        if attempt == 2:
            _again(bench, "r")
        assert bench.attempts.claim_closing(FIRST, run_id("c"), run_id("r")) == run_id("r")
        if attempt == 1:
            _again(bench, "r")
        bench.finish(f"{run_id('r')}-2", Ending("success", "deleted stack preview-17"))
        assert [one.key for one in bench.problems.problems()] == [run_id("s")]

    def test_runs_that_neither_open_nor_close_a_problem(self, bench: ProblemBench) -> None:
        """A cancelled one, a skipped one, a rehearsal; one of another automation, pull request or earlier closing."""
        _fail(bench, "r", closing=LATER)
        for attempt, ending in enumerate((Ending("cancelled", "by ada"), Ending("skipped", "`if`")), start=2):
            _again(bench, "r")
            bench.finish(f"{run_id('r')}-{attempt}", ending)
        _again(bench, "r")
        rehearsed = operation("stack/plan", 1, {"dry_run": True, "changes": []})
        bench.save(f"{run_id('r')}-4", rehearsed)
        bench.finish(f"{run_id('r')}-4", Ending("success", "dry run"))
        for name, closing, automation in (
            ("s", LATER, "other"),
            ("t", OTHER, "teardown"),
            ("u", FIRST, "teardown"),
        ):
            _accept(bench, name, closing=closing, automation=automation)
            bench.finish(f"{run_id(name)}-1", Ending("success", "done"))
        (problem,) = bench.problems.problems()
        assert problem.closed_at is None

    def test_a_later_closing_of_the_pull_request_closes_the_earlier_problem(
        self, bench: ProblemBench
    ) -> None:
        """Both delete the same names."""
        _fail(bench, "r")
        _accept(bench, "s", closing=LATER)
        bench.finish(f"{run_id('s')}-1", Ending("success", "done"))
        assert list(bench.problems.problems()) == []

    def test_a_run_that_found_its_pull_request_open_closes_the_problem(self, bench: ProblemBench) -> None:
        """An open pull request leaves nothing behind."""
        _fail(bench, "r")
        _again(bench, "r")
        reopened = json.dumps({"kind": "reopened", "message": "it is open again"})
        bench.save(
            f"{run_id('r')}-2",
            operation("stack/delete", 1, kind="wait", state="error")._replace(result=reopened),
        )
        bench.finish(f"{run_id('r')}-2", Ending("cancelled", "the pull request is open again"))
        assert list(bench.problems.problems()) == []

    def test_a_closed_problem_can_open_again(self, bench: ProblemBench) -> None:
        """Patrol and the checks of closeout itself open and close problems of their own."""
        stale = Problem("", "patrol", "stale", "patrol has not ended for 45 min", "", since=100.0)
        bench.problems.open_problem(stale)
        bench.problems.open_problem(stale._replace(since=200.0, text="for 50 min"))
        assert list(bench.problems.problems()) == [stale._replace(text="for 50 min")]
        assert bench.problems.close_problems("", "patrol", "patrol", 300.0, "patrol") == 1
        assert bench.problems.close_problems("", "patrol", "patrol", 400.0, "patrol") == 0
        assert list(bench.problems.problems()) == []
        bench.problems.open_problem(stale._replace(since=500.0))
        assert list(bench.problems.problems()) == [stale._replace(since=500.0)]

    def test_reopening_closes_the_problems_of_all_automations(self, bench: ProblemBench) -> None:
        """A reopened pull request closes the problems of its earlier closings."""
        for automation in ("a", "b"):
            for key in (FIRST, LATER, OTHER):
                bench.problems.open_problem(Problem(automation, key, "failure", "x", "x", since=1.0))
        between = "501001/1700017/2026-03-14T12:00:00Z"
        assert bench.problems.close_problems(None, "501001/1700017/", between, 2.0, "reopened") == 2
        open_ones = {(one.automation, one.key) for one in bench.problems.problems()}
        assert open_ones == {(automation, key) for automation in "ab" for key in (LATER, OTHER)}

    def test_what_was_reported_of_an_open_problem_is_kept(self, bench: ProblemBench) -> None:
        """By target; a problem that returns after its recovery was reported counts as reported."""
        notifications = [
            Notification("env:A", "a", FIRST, 5.0, recovered=True),
            Notification("env:B", "a", FIRST, 7.0, recovered=False),
        ]
        bench.problems.record_notifications(notifications)
        assert list(bench.problems.notifications()) == []
        bench.problems.open_problem(Problem("a", FIRST, "failure", "x", "x", since=1.0))
        assert sorted(bench.problems.notifications()) == notifications


class ServerProblemSuite(ProblemSuite):
    """What a server's store does in addition: it learns that a pull request was reopened."""

    def test_a_reopened_pull_request_closes_its_problems(self, bench: ProblemBench) -> None:
        """Of every automation, with or without a run; a late delivery closes no problem of a later closing."""
        _fail(bench, "r")
        _fail(bench, "s", closing=LATER)
        _fail(bench, "t", closing=OTHER)
        between = "2026-03-14T12:00:00Z"
        for guid, at in (("g0", "2026-03-13T00:00:00Z"), ("g1", between), ("g1", between)):
            bench.accept(_reopened(bench, guid, at), [new_run(guid)])
        assert {one.key for one in bench.problems.problems()} == {LATER, OTHER}
        bench.accept(_reopened(bench, "g2", "2026-03-16T00:00:00Z"), [])
        assert [one.key for one in bench.problems.problems()] == [OTHER]

    def test_other_deliveries_of_a_pull_request_close_nothing(self, bench: ProblemBench) -> None:
        """Nor does one that lacks a field which identifies the closing."""
        _fail(bench, "r")
        late = "2026-03-16T00:00:00Z"
        bench.accept(_reopened(bench, "g1", late)._replace(action="synchronize"), [])
        bench.accept(_reopened(bench, "g2", late)._replace(event="issues"), [])
        bench.accept(_reopened(bench, "g3", late)._replace(body=b'{"repository": {"id": 501001}}'), [])
        bench.accept(_reopened(bench, "g4", late)._replace(body=b"{"), [])
        assert [one.key for one in bench.problems.problems()] == [FIRST]


def _reopened(bench: LedgerBench, guid: str, at: str) -> NewDelivery:
    pull_request = {"id": 1700017, "number": 17, "updated_at": at}
    body = json.dumps({"repository": {"id": 501001}, "pull_request": pull_request}).encode()
    return new_delivery(bench, guid, body=body)._replace(action="reopened")


def _accept(
    bench: LedgerBench,
    name: str,
    *,
    closing: str | None = FIRST,
    private: bool | None = None,
    body: dict[str, Any] | None = None,
    automation: str = "teardown",
) -> None:
    payload = body if body is not None else _payload(private)
    delivery = new_delivery(bench, f"guid-{name}", body=json.dumps(payload).encode())
    run = new_run(name, definition=DEFINITION)._replace(automation=automation)
    bench.accept(delivery._replace(closing=closing), [run])
    bench.clock.advance(1)


def _payload(private: bool | None) -> dict[str, Any]:
    repository: dict[str, Any] = {"id": 501001, "full_name": "acme/shop"}
    if private is not None:
        repository["private"] = private
    return {"repository": repository, "pull_request": {"number": 17, "user": {"login": "ada"}}}


def _fail(bench: LedgerBench, name: str, **options: Any) -> None:
    """Fail a run at its first step, with a resource and a script's output left."""
    _accept(bench, name, **options)
    execution = f"{run_id(name)}-1"
    error = json.dumps({"kind": "action-failed", "message": "an output is still imported"})
    secret = {"resource": "secret thing", "reason": "x"}
    recorded = (
        operation("stack/delete", 1, kind="wait", state="error")._replace(result=error),
        operation("stack/end", 2, {"state": "failure", "summary": "failed", "left": [LEFT]}),
        operation("own/end", 3, {"state": "success", "summary": "done", "left": [secret]}),
        operation("final", 4, {"sent": True, "public": "stack: an output is still imported"}),
    )
    for one in recorded:
        bench.save(execution, one)
    bench.finish(
        execution,
        Ending("failure", "stack: an output is still imported by arn:aws:x:eu-west-1:123456789012:stack"),
    )


def _again(bench: LedgerBench, name: str) -> None:
    bench.attempts.new_attempt(run_id(name), DEFINITION, "ada", key=None, queue_timeout=3600.0)
