"""A run's state in the ledger: changed only by the rules of `core.runs`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from closeout.core import runs
from closeout.ledger.sqlite import Ledger, Views
from closeout.ledger.sqlite.sql import named
from closeout.ports import Ending, Operation
from tests.unit.ledger.sqlite.conftest import HandClock, delivery, new_run

OPERATION = Operation("stack/plan", 1, "record", "ok", "{}", 1, None, 1_000.0, 1_001.0)
SAVED: dict[str, runs.Outcome] = {
    "save-parked": runs.Parked(1_060.0),
    "save-told": runs.CancelDelivered(),
    "save-survived": runs.Recorded(),
    "save-cut-off": runs.Recorded(progressed=False),
}
EVENTS = (*SAVED, "begin", "begin-alone", "join", "save", "park", "cancel", "finish", "recover")


def _do(ledger: Ledger, event: str) -> tuple[runs.Outcome, ...]:
    """Do one thing to run 1 as the engine would; return what happened in the terms of the core."""
    match event:
        case "begin":
            ledger.begin(1, "own", 1_005.0, wait=True)
            return (runs.Taken("own", 1_005.0),)
        case "begin-alone":
            ledger.begin(1, "own", 1_006.0, wait=True, alone=True)
            return (runs.Taken("own", 1_006.0, alone=True),)
        case "join":
            ledger.join(1)
            return (runs.Joined(),)
        case "save":
            ledger.save(1, OPERATION)
            return ()
        case "park":
            ledger.park(1, 1_070.0)
            return (runs.Parked(1_070.0),)
        case "cancel":
            ledger.ask_cancel("r1-1", "ops")
            return (runs.CancelAsked("ops"),)
        case "finish":
            ledger.finish(1, Ending("success", "done"), 1_080.0)
            return (runs.Ended("success", "done", 1_080.0),)
    if event in SAVED:
        ledger.save(1, OPERATION, SAVED[event])
        return (SAVED[event],)
    ledger.recover()
    return (runs.Crashed(),)


def _row(path: Path) -> runs.RunState:
    with sqlite3.connect(path) as connection:
        return runs.RunState(*connection.execute(named("queries.sql")["run_state"], (1,)).fetchone())


@settings(max_examples=40)
@given(st.lists(st.sampled_from(EVENTS), max_size=8))
def test_the_ledger_has_the_state_that_the_core_computes(tmp_path_factory: object, events: list[str]) -> None:
    """Whatever the engine does, in whatever order, the row equals the result of `advance`."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.db"  # type: ignore[attr-defined]
    expected = runs.RunState()
    with Ledger(path, clock=HandClock()) as ledger:
        ledger.accept_wait(delivery(), [new_run("r1")])
        for event in events:
            for outcome in _do(ledger, event):
                expected = runs.advance(expected, outcome)
        ledger.probe()  # what was not waited for is written before this is
        assert _row(path) == expected


def test_a_finished_run_is_not_resumed_and_counts_once(ledger: Ledger, views: Views) -> None:
    """A late write of an engine changes neither the verdict nor the figures."""
    ledger.accept_wait(delivery(), [new_run("r1")])
    ledger.begin(1, "own", 1_001.0, wait=True)
    ledger.finish(1, Ending("failure", "left: a bucket"), 1_002.0)
    ledger.begin(1, "own", 1_003.0, wait=True)
    ledger.finish(1, Ending("success", "done"), 1_004.0)
    assert ledger.ask_cancel("r1-1", "ops") is False
    run = views.run("r1")
    assert run is not None
    assert (run.state, run.verdict, run.summary) == ("finished", "failure", "left: a bucket")
    assert views.stats()["runs_by_verdict"] == {"failure": 1}
