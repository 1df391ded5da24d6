"""The engine in memory that tests of runs use keeps the same contract as the real ones."""

from __future__ import annotations

import time

import pytest

from closeout.ports import Ending, Execution, RunFunction
from closeout.testing.durable import FakeClock, MemoryDurable, play
from tests.contract.durable_suite import DurableSuite


class PassingClock(FakeClock):
    """The real time: an advance sleeps, so that what the suite measures is true."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def advance(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds + 0.001)


class MemoryHarness:
    """One fresh engine for each run."""

    tick = 0.01

    def run(self, function: RunFunction, body: bytes = b"{}") -> Ending:
        """Run a function from acceptance to its end."""
        execution = Execution(
            "a" * 26 + "-1", "a" * 26, 1, "a", "{}", "pull_request", 1, "g", "1", body, 0.0, False
        )
        return play(function, MemoryDurable(PassingClock()), execution)


class TestMemoryDurable(DurableSuite):
    """Every test of the suite."""

    @pytest.fixture
    def harness(self) -> MemoryHarness:
        """An engine in memory."""
        return MemoryHarness()
