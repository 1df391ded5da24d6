"""One suite over the problems of every ledger, and what only SQLite can show: a crash between an ending and its problem."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.core.problems import Problem, Told
from closeout.ledger import sqlite
from closeout.ledger.sqlite.sql import SQL
from closeout.ports import Ending
from closeout.testing.durable import FakeClock
from tests.contract.ledger_suite import DAY, ServerBench, accept, run_id
from tests.contract.problem_suite import ServerProblemSuite
from tests.contract.test_ledgers import LocalLedger, redact
from tests.memory_ledger import MemoryLedger


class TestMemory(ServerProblemSuite):
    """Every test of the suite, in memory."""

    @pytest.fixture
    def bench(self) -> LocalLedger:
        """An empty ledger."""
        clock = FakeClock()
        ledger = MemoryLedger(clock, redact)
        return LocalLedger(ledger, ledger, ledger, ledger, clock)


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
        """If the problem cannot be stored, the run has not ended, and the next start ends it again."""
        accept(bench, "r")
        monkeypatch.setitem(SQL, "open_problem", "INSERT INTO no_such_table VALUES (?)")
        with pytest.raises(Exception, match="nothing was stored"):
            bench.finish(f"{run_id('r')}-1", Ending("failure", "x"))
        assert [one.execution for one in bench.engine.pending(0)] == [f"{run_id('r')}-1"]
        assert [run.verdict for run in bench.reader.runs()] == [None]

    def test_old_repairs_are_pruned(self, bench: ServerBench) -> None:
        """With what was told of them; an open problem stays however old it is."""
        problems = bench.ledger.problems
        problems.open_problem(Problem("a", "k", "failure", "x", "x", since=1.0))
        problems.open_problem(Problem("a", "o", "failure", "x", "x", since=1.0))
        problems.mark_told([Told("env:A", "a", "k", 1.0, recovered=False)])
        problems.close_problems("a", "k", "k", bench.clock.now(), "patrol")
        bench.clock.advance(2 * DAY)
        assert [one.key for one in problems.problems()] == ["k", "o"]
        bench.ledger.prune(DAY)
        assert [one.key for one in problems.problems()] == ["o"]
        assert list(problems.told()) == []
