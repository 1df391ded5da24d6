"""The clock is set back by an hour, and forward again: the real engine over a real ledger, with a clock to turn.

In process, because the product's clock takes the system's from an argument and needs no hook to be told another one.
Runs that sleep, that poll and that wait for their key end about when they would have.

Red when sabotaged: let the product's clock follow the system's back (`adapters/clock.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from closeout.adapters.clock import SystemClock
from closeout.core.records import NewDelivery, NewRun
from closeout.engine.local import Engine
from closeout.ledger.sqlite import Ledger, Views
from closeout.ports import Clock, Durable, Ending, Execution
from tests.hostile.report import Report
from tests.hostile.stage import Stage

SLEEPS = 1.5
"""Seconds that each run waits by its own will."""
LATEST = 12.0
"""Seconds within which all must have ended: a busy machine's time, and nothing like an hour."""
HOUR = 3600.0
RUNS = 12
TURNS = {
    "set back by an hour": (-HOUR,),
    "set back by a year": (-8760 * HOUR,),
    "set forward by a second and back by an hour": (1.0, -HOUR),
}


class Wall:
    """The system's time, and what somebody made of it."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        """Seconds since the epoch, wrong by `offset`."""
        return time.time() + self.offset

    def turn(self, *seconds: float) -> None:
        """Set it forward or back, once for each."""
        for step in seconds:
            self.offset += step
            time.sleep(0.1)


def run(stage: Stage, report: Report) -> None:
    """Turn the clock in several ways, each with runs of its own."""
    for name, turns in TURNS.items():
        _scene(stage.room(name.replace(" ", "-")), report, name, turns)
    report.events.append(f"{len(TURNS)} turns of the clock, {RUNS} runs at each")


def _scene(folder: Path, report: Report, name: str, turns: tuple[float, ...]) -> None:
    wall = Wall()
    make: Any = SystemClock
    clock: Clock = make(wall)
    path = folder / "closeout.db"
    with Ledger(path, clock=clock) as ledger:
        engine = Engine(ledger, _function, clock=clock, jitter=lambda: 0.0)
        engine.start()
        try:
            for number in range(RUNS):
                _accept(ledger, engine, number, clock)
            _until(path, lambda states: states.count("waiting") >= RUNS // 2)
            wall.turn(*turns)
            states = _until(path, lambda states: states.count("success") == RUNS)
        finally:
            engine.stop(5.0)
    left = RUNS - states.count("success")
    report.check(
        not left, f"{name}: {left} of {RUNS} runs have not ended after {LATEST:g} s ({sorted(set(states))})"
    )


def _function(durable: Durable, execution: Execution) -> Ending:
    """Sleep, then poll for something that comes with the machine's own time."""
    durable.record("begin", lambda: None)
    durable.sleep("sleep", SLEEPS)
    durable.wait_until("poll", lambda: True if time.monotonic() % 1.0 > 0.7 else None, 0.1, 600.0)
    return Ending("success", execution.automation)


def _accept(ledger: Ledger, engine: Engine, number: int, clock: Clock) -> None:
    """Accept a run; every sixth has one key, so that the next of them waits for its turn."""
    name, key = f"run{number}", "one" if number % 6 == 0 else None
    delivery = NewDelivery("1", f"guid-{name}", "push", None, None, b"{}", False, clock.now(), "github")
    ledger.accept_wait(delivery, [NewRun(name, name, key, "{}", 7200.0)])
    engine.wake()


def _until(path: Path, holds: Callable[[list[str]], bool]) -> list[str]:
    """Look at the states of all runs until this holds, or for as long as a scene may take; return the last."""
    end = time.monotonic() + LATEST
    while True:
        views = Views(path)
        states = [run.verdict or run.state for run in views.runs()]
        views.close()
        if holds(states) or time.monotonic() > end:
            return states
        time.sleep(0.1)
