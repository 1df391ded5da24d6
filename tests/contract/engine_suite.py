"""What every engine does with queues and cancels: the local one with its threads, Lambda's with its invocations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from closeout.core.errors import RunCancelled
from closeout.ports import Durable, Ending, Execution, Operation, RunFunction

HELD = ("running", "waiting")
"""States of a run at the gate: it polls."""


class EngineBench(Protocol):
    """One engine on a ledger of its own."""

    functions: dict[str, RunFunction]
    tick: float
    """Seconds between polls."""
    soon: float
    """Seconds in a queue after which a run soon gives up."""

    def accept(self, name: str, *, key: str | None = None, queue_timeout: float = 3600.0) -> None:
        """Accept a run named like its automation."""

    def idle(self) -> None:
        """Let the engine look at every run again."""

    def until(self, holds: Callable[[], Any]) -> None:
        """Let it work until something holds."""

    def cancel(self, name: str, who: str) -> bool:
        """Ask for a cancel."""

    def state(self, name: str) -> str:
        """Return a run's state in the ledger."""

    def ending(self, name: str) -> Ending:
        """Let it work until a run has ended; return how."""

    def operations(self, name: str) -> dict[str, Operation]:
        """Return what a run has recorded, by name."""

    def queued(self, key: str) -> list[Any]:
        """Return what is kept for a key."""


class Gate:
    """A run function that waits durably until it is let through."""

    def __init__(self, tick: float) -> None:
        self.begun: list[str] = []
        self.expired: list[str] = []
        self.open: set[str] = set()
        self._tick = tick

    def __call__(self, durable: Durable, execution: Execution) -> Ending:
        name = execution.automation
        if execution.queue_expired:
            self.expired.append(name)
            return Ending("failure", "it never had its turn")
        try:
            durable.record("begin", lambda: self.begun.append(name))
            durable.wait_until("gate", lambda: True if name in self.open else None, self._tick, 86_400.0)
        except RunCancelled as error:
            durable.record("final", lambda: "posted")
            return Ending("cancelled", error.message)
        return Ending("success", "done")


class EngineSuite:
    """A subclass has a fixture `engine` with the bench."""

    def gate(self, engine: EngineBench, *names: str) -> Gate:
        """Make these runs wait at one gate."""
        gate = Gate(engine.tick)
        engine.functions.update(dict.fromkeys(names, gate))
        return gate

    def test_runs_of_one_key_go_one_at_a_time_in_order_of_acceptance(self, engine: EngineBench) -> None:
        """The second begins when the first has ended, even if the first waits: a teardown is not overtaken."""
        gate = self.gate(engine, "a", "b", "c")
        for name in ("a", "b", "c"):
            engine.accept(name, key="k")
        engine.until(lambda: engine.state("a") == "waiting")
        gate.open |= {"b", "c"}
        engine.idle()
        assert (gate.begun, engine.state("b"), engine.state("c")) == (["a"], "queued", "queued")
        gate.open.add("a")
        for name in ("a", "b", "c"):
            assert engine.ending(name) == Ending("success", "done")
        assert gate.begun == ["a", "b", "c"]
        assert engine.queued("k") == []

    def test_other_keys_and_no_key_are_not_held_up(self, engine: EngineBench) -> None:
        """Only the same key excludes."""
        gate = self.gate(engine, "a", "b", "c")
        engine.accept("a", key="k")
        engine.accept("b", key="l")
        engine.accept("c")
        engine.until(lambda: sorted(gate.begun) == ["a", "b", "c"])

    def test_a_run_that_waited_too_long_for_its_key_ends_out_of_turn(self, engine: EngineBench) -> None:
        """It is executed with `queue_expired`, while the holder runs; the run queued after it keeps its place."""
        gate = self.gate(engine, "a", "b", "c")
        engine.accept("a", key="k")
        engine.until(lambda: engine.state("a") == "waiting")
        engine.accept("b", key="k", queue_timeout=engine.soon)
        engine.accept("c", key="k")
        assert engine.ending("b") == Ending("failure", "it never had its turn")
        assert engine.state("a") in HELD
        assert engine.state("c") == "queued"
        gate.open |= {"a", "c"}
        engine.ending("c")
        assert (gate.begun, gate.expired) == (["a", "c"], ["b"])

    def test_a_waiting_run_learns_of_a_cancel(self, engine: EngineBench) -> None:
        """Before its wait is over. Operations after it work, and finished ones are not cancelled."""
        self.gate(engine, "a")
        engine.accept("a")
        engine.until(lambda: engine.state("a") == "waiting")
        assert engine.cancel("a", "ada: wrong stack")
        assert engine.ending("a") == Ending("cancelled", "cancelled by ada: wrong stack")
        assert engine.operations("a")["final"].state == "ok"
        assert not engine.cancel("a", "too late")

    def test_a_queued_run_is_cancelled_out_of_its_turn(self, engine: EngineBench) -> None:
        """It learns of it at its first operation and ends; the holder and the runs queued after it are not touched."""
        gate = self.gate(engine, "a", "b", "c")
        for name in ("a", "b", "c"):
            engine.accept(name, key="k")
        engine.until(lambda: engine.state("a") == "waiting")
        assert engine.cancel("b", "ada")
        assert engine.ending("b").verdict == "cancelled"
        assert engine.state("a") in HELD
        assert engine.state("c") == "queued"
        gate.open |= {"a", "c"}
        engine.ending("c")
        assert gate.begun == ["a", "c"]
        assert engine.queued("k") == []

    def test_a_cancel_during_an_operation_takes_effect_at_the_next_one(self, engine: EngineBench) -> None:
        """The current operation is finished and recorded first."""

        def run(durable: Durable, execution: Execution) -> Ending:
            durable.record("delete", lambda: engine.cancel("a", "ada") and "deleted")
            try:
                durable.record("next", lambda: 1)
            except RunCancelled:
                return Ending("cancelled", "told")
            return Ending("success", "not told")

        engine.functions["a"] = run
        engine.accept("a")
        assert engine.ending("a") == Ending("cancelled", "told")
        done = engine.operations("a")
        assert (done["delete"].state, done["delete"].result) == ("ok", '"deleted"')
        assert done["next"].state == "cancelled"

    def test_an_error_of_the_run_function_ends_the_run(self, engine: EngineBench) -> None:
        """As a failure with its reason; its key is free for the next."""
        gate = self.gate(engine, "b")
        gate.open.add("b")

        def broken(durable: Durable, execution: Execution) -> Ending:
            raise LookupError("a defect")

        engine.functions["a"] = broken
        engine.accept("a", key="k")
        engine.accept("b", key="k")
        assert engine.ending("a") == Ending("failure", "internal error: LookupError: a defect")
        assert engine.ending("b").verdict == "success"
        assert engine.queued("k") == []
