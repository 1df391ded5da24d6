"""The suite of engines over both: the local one on SQLite, and Lambda's on DynamoDB."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from closeout.engine.lambda_ import DONE
from closeout.ports import Ending, Operation
from closeout.stack import table as layout
from closeout.testing.durable import FakeClock
from tests.contract.engine_suite import EngineSuite
from tests.contract.local_harness import Bench, eventually
from tests.contract.remote_harness import FOREVER, RemoteBench
from tests.stack_aws import StackAws


class Local:
    """`EngineBench` over a server's engine, whose threads work by themselves."""

    tick, soon = 0.02, 0.1

    def __init__(self, path: Path) -> None:
        self.bench = Bench(path)
        self.functions = self.bench.functions
        self.state, self.operations = self.bench.state, self.bench.operations
        self.cancel = self.bench.engine.request_cancel
        self.bench.engine.start()

    def accept(self, name: str, *, key: str | None = None, queue_timeout: float = 3600.0) -> None:
        """Accept a run and notify the engine."""
        self.bench.accept(name, key=key, queue_timeout=queue_timeout)

    def idle(self) -> None:
        """Let its threads poll a few times."""
        time.sleep(0.1)

    def until(self, holds: Callable[[], Any]) -> None:
        """Wait."""
        eventually(holds)

    def ending(self, name: str) -> Ending:
        """Wait for a run's end."""
        return self.bench.ending(name)

    def queued(self, key: str) -> list[Any]:
        """Return nothing: a queue is made of the runs that have not ended."""
        return []


class Remote:
    """`EngineBench` over Lambda's engine: the newest run is invoked first, and each round takes ten seconds."""

    tick, soon = 10.0, 25.0

    def __init__(self, aws: StackAws) -> None:
        self.clock = FakeClock()
        self.bench = RemoteBench(aws, clock=self.clock)
        self.functions = self.bench.functions
        self._executions: dict[str, str] = {}

    def accept(self, name: str, *, key: str | None = None, queue_timeout: float = 3600.0) -> None:
        """Accept a run, half a second after the one before."""
        self.clock.advance(0.5)
        self._executions[name] = self.bench.accept(name, key=key, queue_timeout=queue_timeout)

    def idle(self) -> None:
        """Invoke every run once."""
        self.clock.advance(10.0)
        for execution in reversed(self._executions.values()):
            assert (
                "wake" in (answer := self.bench.engine.advance(execution, lambda: FOREVER)) or answer == DONE
            )

    def until(self, holds: Callable[[], Any]) -> None:
        """Invoke all until it holds."""
        for _ in range(60):
            if holds():
                return
            self.idle()
        raise AssertionError(f"not within 60 rounds: {self.bench.reports}")

    def cancel(self, name: str, who: str) -> bool:
        """Ask for a cancel, as the command line does."""
        return self.bench.attempts.cancel(self._executions[name], who)

    def state(self, name: str) -> str:
        """Return a run's state in the ledger."""
        return self.bench.state(self._executions[name])

    def ending(self, name: str) -> Ending:
        """Invoke all until a run has ended."""
        self.until(lambda: self.state(name) == "finished")
        return self.bench.ending(self._executions[name])

    def operations(self, name: str) -> dict[str, Operation]:
        """Return what a run has recorded, by name."""
        return self.bench.operations(self._executions[name])

    def queued(self, key: str) -> list[Any]:
        """Return the tickets and the holder of a key."""
        found: list[Any] = self.bench.dynamo.query(
            TableName=self.bench.name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": layout.key_partition(key)}},
        )["Items"]
        return found


class TestLocalEngine(EngineSuite):
    """The server's."""

    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Local]:
        """One that was started on a fresh ledger."""
        local = Local(tmp_path / "ledger.db")
        yield local
        local.bench.close()


class TestLambdaEngine(EngineSuite):
    """The stack's."""

    @pytest.fixture
    def engine(self, aws: StackAws) -> Remote:
        """One on an empty table."""
        return Remote(aws)
