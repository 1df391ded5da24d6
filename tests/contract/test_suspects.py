"""After a crash, the runs that were in progress run alone, one after the other: what begins, what counts as a death."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from closeout.core.errors import RunCancelled, StepFailed, StoreUnavailable
from closeout.core.runs import IN_TURN, MAX_DEATHS
from closeout.ledger.sqlite import Requests
from closeout.ports import Durable, Ending, Execution
from tests.contract.local_harness import Bench, eventually

LONG = 3_600.0
"""Seconds of a turn that no test waits for."""


class Script:
    """A run function of one operation that lasts until released. `begun` are the runs that are in it now, in order."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._going = threading.Event()
        self._alone: set[str] = set()
        self._changed = threading.Condition()

    def let(self, *names: str) -> None:
        """Let these runs through."""
        with self._changed:
            self._alone |= set(names)
            self._changed.notify_all()

    def __call__(self, durable: Durable, execution: Execution) -> Ending:
        name = execution.automation

        def hold() -> None:
            with self._changed:
                self.begun.append(name)
                self._changed.wait_for(lambda: name in self._alone, 20)

        try:
            durable.record("script", hold)
        except RunCancelled as error:
            durable.record("final", lambda: "posted")
            return Ending("cancelled", error.message)
        except StepFailed as error:
            durable.record("final", lambda: "posted")
            return Ending("failure", error.message)
        durable.record("final", lambda: "posted")
        return Ending("success", "done")


class Machine:
    """One ledger and its current server; `crash` ends that and starts the next."""

    def __init__(self, path: Path, turn: float = LONG) -> None:
        self.path = path
        self.turn = turn
        self.script = Script()
        self.benches: list[tuple[Bench, Script]] = []
        self.bench = self.start()

    def start(self) -> Bench:
        """Start a server with a script of its own, so that leftovers of the dead one stay out of sight."""
        self.script = Script()
        self.bench = Bench(self.path, self.script, turn=self.turn)
        self.bench.engine.start()
        self.benches.append((self.bench, self.script))
        return self.bench

    def crash(self) -> None:
        """Kill the server, and start the next."""
        self.bench.crash()
        self.start()

    def under_way(self, *names: str) -> None:
        """Accept runs in this order, and wait until the process is in all of them."""
        for name in names:
            self.bench.accept(name)
        self.begun(*names)

    def begun(self, *names: str) -> None:
        """Wait until exactly these runs are or have been in their script."""
        eventually(lambda: sorted(self.script.begun) == sorted(names))

    def reached(self, *names: str) -> None:
        """Wait until at least these runs have begun, in this order."""
        eventually(lambda: self.script.begun[: len(names)] == list(names))

    def row(self, name: str) -> Any:
        """Return how a run stands: suspected, alone, deaths."""
        query = "SELECT suspected, alone, deaths FROM run WHERE run_id = ?"
        return self.bench.ledger._connection()[0].execute(query, (name,)).fetchone()

    def close(self) -> None:
        """End all of them."""
        for bench, script in self.benches:
            script.let("a", "b", "c", "d", "e")
            bench.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Machines that are ended afterwards."""
    made: list[Machine] = []

    def one(turn: float = LONG) -> Machine:
        made.append(Machine(tmp_path / "ledger.db", turn))
        return made[-1]

    yield one
    for machine in made:
        machine.close()


def test_suspects_run_one_by_one_and_the_others_after_them(
    make: Callable[..., Machine],
) -> None:
    """In order of acceptance; each turn ends with the current operation, and deliveries are accepted meanwhile."""
    machine = make()
    machine.under_way("a", "b", "c")
    machine.bench.accept("d", tell=False)
    machine.crash()
    machine.begun("a")
    machine.bench.accept("e")
    for number, name in enumerate(("a", "b", "c")):
        machine.begun(*("a", "b", "c")[: number + 1])
        assert machine.row(name)[1] in IN_TURN, "on disk before it begins, or its death would not be its own"
        machine.script.let(name)
        machine.bench.ending(name)
        assert machine.row(name) == (0, None, 0)
    machine.begun("a", "b", "c", "d", "e")
    machine.script.let("d", "e")
    assert machine.bench.ending("e").verdict == machine.bench.ending("d").verdict == "success"
    assert machine.bench.reports[0].startswith("after a crash: 3 runs take turns alone")


def test_progress_ends_a_turn(make: Callable[..., Machine]) -> None:
    """A result stored after a crash shows that the run did not cause it: the others need not wait for its end."""
    machine = make()
    machine.under_way("a", "b")
    machine.bench.crash()
    other, go_on = threading.Event(), threading.Event()

    def run(durable: Durable, execution: Execution) -> Ending:
        durable.record("script", other.set if execution.automation == "b" else lambda: None)
        if execution.automation == "a":
            durable.record("long", lambda: go_on.wait(20))
        return Ending("success", "done")

    bench = Bench(machine.path, run, turn=LONG)
    machine.benches.append((bench, machine.script))
    bench.engine.start()
    assert other.wait(20)
    go_on.set()
    bench.ending("a")
    assert bench.operations("a")["long"].tries == 1, "a crash counts once"


def test_an_expired_turn_lets_the_others_begin(make: Callable[..., Machine]) -> None:
    """An innocent script of an hour does not hold up the server; a later death is not counted against it."""
    machine = make(turn=0.3)
    machine.under_way("a", "b")
    machine.bench.accept("c", tell=False)
    machine.crash()
    machine.reached("a", "b", "c")
    assert machine.row("a") == (1, None, 0)
    assert "a turn alone is over: a-1 continues along with the others" in machine.bench.reports
    machine.turn = LONG
    machine.crash()
    machine.begun("a")
    assert machine.row("a") == (2, "now", 0)
    machine.crash()
    machine.begun("a")
    assert machine.row("a") == (3, "now", 1), "that one was in its own turn"


def test_a_run_that_died_in_its_turn_goes_first_and_alone(make: Callable[..., Machine]) -> None:
    """Otherwise it would wait in each life for every long script that was accepted before it."""
    machine = make()
    machine.under_way("a", "b")
    machine.crash()
    machine.begun("a")
    machine.bench.engine._turns.set_end(1, 0.0)
    machine.bench.engine._nudged.set()
    machine.reached("a", "b")
    assert machine.row("b") == (1, "beside", 0), "what is over is only the turn of the first"
    machine.crash()
    machine.begun("b")
    assert machine.row("b") == (2, "now", 0), (
        "it goes first, but what died in its turn may have been the other"
    )
    assert machine.row("a") == (1, "due", 0), (
        "that death was not in its turn, and its turn is no longer for it"
    )
    machine.bench.accept("c")
    machine.crash()
    machine.begun("b")
    assert machine.row("b") == (3, "now", 1), "it was alone"


def test_five_deaths_in_its_own_turns_end_an_operation(make: Callable[..., Machine]) -> None:
    """None of them counts against the run that was in progress at the first crash and had no turn since."""
    machine = make()
    machine.under_way("a", "b")
    for deaths in range(MAX_DEATHS):
        machine.crash()
        machine.begun("a")
        assert machine.row("a") == (deaths + 1, "now", deaths)
        assert machine.row("b") == (1, "due", 0)
    machine.crash()
    ending = machine.bench.ending("a")
    assert ending.verdict == "failure"
    assert (
        f"operation script ended closeout's process {MAX_DEATHS} times while it ran alone" in ending.summary
    )
    assert "closeout runs rerun" in ending.summary
    assert machine.bench.operations("a")["final"].state == "ok"
    machine.begun("b")
    machine.script.let("b")
    assert machine.bench.ending("b").verdict == "success"
    assert machine.bench.operations("b")["script"].tries == 2


def test_a_waiting_run_is_no_suspect(make: Callable[..., Machine]) -> None:
    """None of its operations was in progress, whatever it waits for."""
    machine = make()
    machine.bench.functions["b"] = waits
    machine.bench.accept("b")
    eventually(lambda: machine.bench.state("b") == "waiting")
    machine.under_way("a")
    machine.crash()
    assert machine.row("b") == (0, None, 0)


def waits(durable: Durable, execution: Execution) -> Ending:
    """Wait for something that never happens."""
    durable.wait_until("gone", lambda: None, LONG, 2 * LONG)
    return Ending("success", "gone")


def test_a_cancel_does_not_wait_for_turns(make: Callable[..., Machine]) -> None:
    """Neither of a suspect nor of a queued run: it begins only to end."""
    machine = make()
    machine.under_way("a", "b")
    machine.bench.accept("c", tell=False)
    machine.crash()
    machine.begun("a")
    Requests(machine.path).add_request("cancel", "b", "ada", None)
    assert machine.bench.ending("b").summary == "cancelled by ada"
    eventually(lambda: machine.bench.engine.request_cancel("c", "ada"))
    assert machine.bench.ending("c").summary == "cancelled by ada"
    assert machine.script.begun == ["a"]


def test_a_suspect_keeps_its_key(make: Callable[..., Machine]) -> None:
    """Even while it waits for its turn."""
    machine = make()
    machine.under_way("a")
    machine.bench.accept("b", key="pr-17")
    machine.bench.accept("c", key="pr-17")
    machine.begun("a", "b")
    machine.crash()
    machine.begun("a")
    machine.script.let("a", "c")
    machine.begun("a", "b")
    machine.script.let("b")
    machine.bench.ending("c")
    assert machine.script.begun == ["a", "b", "c"]


def test_a_stop_during_a_turn_is_not_a_death(make: Callable[..., Machine]) -> None:
    """A hanging operation is abandoned; the run stays a suspect, with a turn of the same length."""
    machine = make()
    machine.under_way("a", "b")
    machine.crash()
    machine.begun("a")
    assert not machine.bench.engine.stop(0.1)
    machine.bench.close(0.1)
    machine.start()
    machine.begun("a")
    assert (machine.row("a"), machine.row("b")) == ((1, "now", 0), (1, "due", 0))


def test_a_turn_ends_only_when_its_end_is_stored(make: Callable[..., Machine]) -> None:
    """If the ledger refuses writes, the others begin later."""
    machine = make(turn=0.2)
    machine.under_way("a", "b")
    machine.crash()
    join, refused = machine.bench.ledger.join, threading.Event()

    def refusing(number: int) -> None:
        refused.set()
        raise StoreUnavailable("the disk is full")

    machine.bench.ledger.join = refusing  # type: ignore[method-assign]
    assert refused.wait(5)
    assert machine.script.begun == ["a"]
    machine.bench.ledger.join = join  # type: ignore[method-assign]
    machine.begun("a", "b")


def test_a_recovered_run_begins_only_after_its_start_is_stored(make: Callable[..., Machine]) -> None:
    """Otherwise it could kill the process before anything was written, and do so forever."""
    machine = make()
    machine.bench.accept("a", tell=False)
    machine.bench.crash()
    machine.script = Script()
    machine.bench = Bench(machine.path, machine.script, turn=LONG)
    machine.benches.append((machine.bench, machine.script))
    begin, waits = machine.bench.ledger.begin, []

    def watched(*args: Any, wait: bool, **named: Any) -> None:
        waits.append(wait)
        begin(*args, wait=wait, **named)

    machine.bench.ledger.begin = watched  # type: ignore[method-assign]
    machine.bench.engine.start()
    machine.begun("a")
    assert waits == [True]


def test_a_suspect_that_cannot_be_read_shares_no_turn_with_the_next(
    make: Callable[..., Machine],
) -> None:
    """Otherwise the next one's death would count against it, though it did not run."""
    machine = make()
    machine.under_way("a", "b")
    machine.bench.crash()
    machine.script = Script()
    machine.bench = Bench(machine.path, machine.script, turn=LONG)
    machine.benches.append((machine.bench, machine.script))
    load = machine.bench.ledger.load

    def unreadable(number: int) -> Any:
        if number == 1:
            raise StoreUnavailable("the disk does not answer")
        return load(number)

    machine.bench.ledger.load = unreadable  # type: ignore[method-assign]
    machine.bench.engine.start()
    machine.begun("b")
    assert (machine.row("a"), machine.row("b")) == ((1, "due", 0), (1, "now", 0))
    machine.bench.ledger.load = load  # type: ignore[method-assign]
