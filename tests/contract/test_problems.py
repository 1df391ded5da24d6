"""One suite over the problems of every ledger, and what only SQLite can show: a crash between an ending and its problem."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closeout.core.problems import Notification, Problem
from closeout.ledger import sqlite
from closeout.ledger.dynamodb.requests import Requests
from closeout.ledger.problems import dismiss
from closeout.ledger.sqlite.sql import SQL
from closeout.ports import Ending
from closeout.testing.durable import FakeClock
from tests.contract.ledger_suite import DAY, ServerBench, accept, run_id
from tests.contract.problem_suite import ProblemSuite, ServerProblemSuite
from tests.contract.test_ledgers import LocalLedger, StackLedger, redact
from tests.memory_ledger import MemoryLedger
from tests.stack_aws import StackAws


class TestMemory(ServerProblemSuite):
    """Every test of the suite, in memory."""

    @pytest.fixture
    def bench(self) -> LocalLedger:
        """An empty ledger."""
        clock = FakeClock()
        ledger = MemoryLedger(clock, redact)
        return LocalLedger(ledger, ledger, ledger, ledger, clock)


class TestDynamodb(ProblemSuite):
    """Every test of the suite, on DynamoDB."""

    @pytest.fixture
    def bench(self, aws: StackAws) -> StackLedger:
        """An empty table."""
        aws.reset()
        return StackLedger(aws)

    def test_an_ending_and_its_problem_are_one_transaction(self, bench: Any) -> None:
        """An invocation that has lost its run opens and closes no problem."""
        accept(bench, "r")
        assert bench.finish_as_another(f"{run_id('r')}-1", Ending("failure", "x")) is False
        assert list(bench.problems.problems()) == []
        bench.problems.open_problem(Problem("auto", run_id("r"), "failure", "x", "x", since=1.0))
        assert bench.finish_as_another(f"{run_id('r')}-1", Ending("success", "x")) is False
        assert len(bench.problems.problems()) == 1

    def test_a_run_that_cannot_be_read_opens_a_problem(self, bench: Any) -> None:
        """It can never run, so a person has to act."""
        accept(bench, "r")
        bench.finish(f"{run_id('r')}-1", Ending("failure", "the run cannot be read"), read=False)
        (problem,) = bench.problems.problems()
        assert (problem.kind, problem.says) == ("failure", "the run cannot be read")
        assert problem.execution == f"{run_id('r')}-1"

    def test_an_operator_can_dismiss_a_problem(self, bench: StackLedger) -> None:
        """A command does it directly, and records who did it and why."""
        accepted: Any = bench
        accept(accepted, "r")
        bench.finish(f"{run_id('r')}-1", Ending("failure", "x"))
        (problem,) = bench.problems.problems()
        bench.problems.record_notifications(
            [Notification("env:A", problem.automation, problem.key, 5.0, recovered=False)]
        )
        store: Any = bench.problems
        requests = Requests(
            bench.attempts, None, bench.switch,  # type: ignore[arg-type]
            dismiss=lambda target, by: dismiss(store, target, by, 9.0),
        )  # fmt: skip
        asked = [requests.add_request("dismiss", run_id(name), "ada", "by hand") for name in ("r", "s")]
        assert [requests.outcome(one) for one in asked] == ["done", "the run has no open problem"]
        (problem,) = bench.problems.problems()
        assert (problem.closed_at, problem.closed_by) == (9.0, "dismissed by ada: by hand")

    def test_a_problem_without_a_run_is_dismissed_by_its_name(self, bench: Any) -> None:
        """Only that one; a finding about closeout itself closes when its cause is gone."""
        for automation, key in (("a", "1/2/x"), ("a", "1/3/x"), ("", "patrol")):
            bench.problems.open_problem(Problem(automation, key, "orphans", "x", "x", since=1.0))
        asked = [dismiss(bench.problems, name, "ada", 9.0) for name in ("a 1/2/x", "a 1/2/y", " patrol")]
        assert asked == ["done", *["there is no such open problem"] * 2]
        assert {one.key for one in bench.problems.problems() if one.closed_at is None} == {"1/3/x", "patrol"}

    def test_unknown_attributes_of_a_problem_are_ignored(self, bench: StackLedger) -> None:
        """A waiting run keeps its version of the worker, which reads what a newer one wrote."""
        bench.problems.open_problem(Problem("a", "k", "failure", "x", "x", since=1.0))
        bench.add_to_problem("a", "k", {"new": [1]})
        assert [one.text for one in bench.problems.problems()] == ["x"]

    def test_a_closed_problem_is_kept_for_thirty_days_at_most(self, bench: StackLedger) -> None:
        """For a target that accepts no message. An open one stays, even if it was closed before."""
        problem, now = Problem("a", "k", "failure", "x", "x", since=1.0), bench.clock.now()
        bench.problems.open_problem(problem)
        expiries = [bench.problem_expires("a", "k")]
        bench.problems.close_problems("a", "k", "k", now, "patrol")
        expiries.append(bench.problem_expires("a", "k"))
        bench.problems.open_problem(problem)
        assert [*expiries, bench.problem_expires("a", "k")] == [None, int(now + 30 * DAY), None]

    def test_a_problem_that_every_target_knows_to_be_closed_is_deleted(self, bench: StackLedger) -> None:
        """Once no message about it can be in flight. If a target still has it as open, it stays."""
        for key in ("told", "untold", "believed", "open"):
            bench.problems.open_problem(Problem("a", key, "failure", "x", "x", since=1.0))
        bench.problems.record_notifications([Notification("env:A", "a", "believed", 1.0, recovered=False)])
        bench.problems.record_notifications([Notification("env:A", "a", "told", 1.0, recovered=True)])
        for key in ("told", "untold", "believed"):
            assert bench.problems.close_problems("a", key, key, bench.clock.now(), "patrol") == 1
        bench.problems.prune()
        assert len(bench.problem_items()) == 4
        bench.clock.advance(700)
        bench.problems.prune()
        assert bench.problem_items() == ["problem#a#believed", "problem#a#open"]


class TestSqlite(ServerProblemSuite):
    """Every test of the suite, on SQLite."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[LocalLedger]:
        """An empty ledger."""
        clock, path = FakeClock(), tmp_path / "ledger.db"
        with sqlite.Ledger(path, clock=clock, redact=redact) as ledger:
            views = sqlite.Views(path, clock=clock)
            yield LocalLedger(ledger, views, views, sqlite.Requests(path, clock=clock), clock)
            views.close()

    def test_an_ending_and_its_problem_are_one_transaction(
        self, bench: ServerBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If the problem cannot be stored, the run is unfinished, and the next start finishes it."""
        accept(bench, "r")
        monkeypatch.setitem(SQL, "open_problem", "INSERT INTO no_such_table VALUES (?)")
        with pytest.raises(Exception, match="nothing was stored"):
            bench.finish(f"{run_id('r')}-1", Ending("failure", "x"))
        assert [one.execution for one in bench.engine.pending(0)] == [f"{run_id('r')}-1"]
        assert [run.verdict for run in bench.reader.runs()] == [None]

    def test_old_closed_problems_are_pruned(self, bench: ServerBench) -> None:
        """With the record of what was reported; an open problem stays however old it is."""
        problems = bench.ledger.problems
        problems.open_problem(Problem("a", "k", "failure", "x", "x", since=1.0))
        problems.open_problem(Problem("a", "o", "failure", "x", "x", since=1.0))
        problems.record_notifications([Notification("env:A", "a", "k", 1.0, recovered=False)])
        problems.close_problems("a", "k", "k", bench.clock.now(), "patrol")
        bench.clock.advance(2 * DAY)
        assert [one.key for one in problems.problems()] == ["k", "o"]
        bench.ledger.prune(DAY)
        assert [one.key for one in problems.problems()] == ["o"]
        assert list(problems.notifications()) == []
        problems.open_problem(Problem("a", "k", "failure", "x", "x", since=3 * DAY))
        assert list(problems.notifications()) == [], (
            "whoever was told of the old one knows nothing of the new one"
        )
