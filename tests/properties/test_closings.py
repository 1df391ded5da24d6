"""One closing starts each automation once, whichever source tells of it first, and in whatever order."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from closeout.core.automation import Automation
from closeout.core.closing import Closing
from closeout.intake import Decision, Receiver
from closeout.intake.recovered import recovered
from closeout.ledger import sqlite
from closeout.ports import Ending
from closeout.testing import deliveries
from closeout.testing.durable import FakeClock
from tests.memory_ledger import MemoryLedger

CLOSING = Closing(501_001, 1_700_017, "2026-03-14T09:26:53Z")
NAMES = ("cleanup", "told")
CLOSED = {"event": "pull_request", "types": ["closed"]}
RECEIVER = Receiver.of([Automation(name=name, triggers=(CLOSED,)) for name in NAMES], lambda: (b"secret",))
WHOLE = deliveries.pull_request(closed_at=CLOSING.closed_at)
ENDING = Ending("success", "done")
LATE = {**WHOLE, "pull_request": {**WHOLE["pull_request"], "closed_at": None}}

told = st.tuples(
    st.sampled_from(("webhook", "late webhook", "delivery-log", "closed-list", "recheck")),
    st.sampled_from(("g-1", "g-2")),
    st.sampled_from((1, 2)),
)
moves = st.lists(st.one_of(told, st.just("claim"), st.just("prune")), min_size=1, max_size=10)


def decided(source: str, guid: str, hook: int) -> Decision:
    """What a source brings."""
    if source in ("closed-list", "recheck"):
        return recovered(RECEIVER, WHOLE, heard=source, at=1.0)
    if source == "delivery-log":
        return recovered(RECEIVER, WHOLE, heard=source, at=1.0, hook=str(hook), guid=guid)
    body = deliveries.encode(WHOLE if source == "webhook" else LATE)
    headers = deliveries.signed_headers("pull_request", body, "secret", guid, hook)
    return RECEIVER.decide(
        {name.lower().encode(): value.encode() for name, value in headers.items()}, body, 1.0
    )


def acted(ledger: Any, clock: FakeClock, history: list[Any]) -> list[str]:
    """Play a history; return the automations of the runs that act upon the closing."""
    found: list[str] = []
    waiting: list[tuple[str, str]] = []

    def claim() -> None:
        """Let the runs that were named after a GUID ask whose the closing is."""
        while waiting:
            automation, run = waiting.pop()
            if ledger.attempts.claim_closing(str(CLOSING), CLOSING.run_id(automation), run) == run:
                found.append(automation)

    for move in history:
        if move == "claim":
            claim()
        elif move == "prune":
            for pending in ledger.pending(0):
                if pending.execution.partition("-")[0] not in {run for _, run in waiting}:
                    ledger.finish(pending.number, ENDING, clock.now())
            clock.advance(10 * 86_400)
            ledger.prune(86_400.0)
        else:
            decision = decided(*move)
            assert decision.delivery is not None
            accepted = ledger.accept_wait(decision.delivery._replace(received_at=clock.now()), decision.runs)
            names = {run.run_id: run.automation for run in decision.runs}
            for execution in accepted.started:
                run = execution.partition("-")[0]
                if run == CLOSING.run_id(names[run]):
                    found.append(names[run])
                else:
                    waiting.append((names[run], run))
    claim()
    return found


@settings(max_examples=150)
@given(moves)
def test_each_automation_runs_once_in_memory(history: list[Any]) -> None:
    """Whatever comes first, late, twice, or after its deliveries were pruned."""
    clock = FakeClock()
    found = acted(MemoryLedger(clock), clock, history)
    assert sorted(found) == (list(NAMES) if any(isinstance(move, tuple) for move in history) else [])


@settings(max_examples=15)
@example([("late webhook", "g-1", 1), ("late webhook", "g-2", 2), "claim"])
@example([("late webhook", "g-1", 1), "claim", ("late webhook", "g-2", 2), ("closed-list", "g-1", 1)])
@given(moves)
def test_each_automation_runs_once_on_sqlite(history: list[Any]) -> None:
    """The same histories."""
    clock = FakeClock()
    with (
        TemporaryDirectory() as folder,
        sqlite.Ledger(Path(folder) / "ledger.db", clock=clock, redact=str) as ledger,
    ):
        found = acted(ledger, clock, history)
    assert sorted(found) == (list(NAMES) if any(isinstance(move, tuple) for move in history) else [])
