"""What the worker does after a run's end: it counts empty ones, and starts the rechecks of a teardown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from closeout.core.runs import FIRST_RUNS
from closeout.lambdas.lazy_clients import lazy_clients
from closeout.testing.durable import FakeClock
from closeout.wiring.stack_runtime import open_stack_runtime
from tests.unit.wiring.stack_world import REGION, StackWorld
from tests.unit.wiring.test_stack_rechecker import PATROL, Lambda, failed
from tests.unit.wiring.test_stack_runtime import TOKEN, aws, clock, emulator, github

__all__ = ["aws", "clock", "emulator", "github"]


class World(StackWorld):
    """A stack whose patrol's function is a fake."""

    functions: Lambda

    def with_patrol(self, **more: str) -> None:
        """Begin a new environment of the worker, which knows where rechecks are made."""
        self.functions = Lambda()
        clients = lazy_clients(REGION)

        def client(service: str) -> Any:
            return self.functions if service == "lambda" else clients(service)

        self.runtime = open_stack_runtime({**self.variables(), **more}, client=client, clock=self.clock)


@pytest.fixture
def world(aws: Any, github: Any, tmp_path: Path, clock: FakeClock) -> World:
    """The stack, with patrol's function."""
    made = World(aws, github, tmp_path, token=TOKEN, clock=clock)
    made.with_patrol(CLOSEOUT_RECHECKS=PATROL)
    return made


def test_a_teardown_is_rechecked_and_an_empty_run_counted(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the execution's name; from the fifth in a row, the log says that the names may be wrong."""
    for number in range(17, 17 + FIRST_RUNS):
        execution, _ = world.closes(number)
        assert "has found nothing" not in capsys.readouterr().out
        assert world.drive(execution).verdict == "success"
    assert world.runtime.ledger.empty_runs.counts() == {"preview-cleanup": FIRST_RUNS}
    assert f"has found nothing to delete in any of its {FIRST_RUNS} runs" in capsys.readouterr().out
    asked = [event["recheck"]["run_id"] for event in world.functions.events if "recheck" in event]
    assert len(asked) == FIRST_RUNS
    assert execution.startswith(asked[-1])


def test_a_stack_without_patrols_function_tears_down_all_the_same(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """An upgrade makes the function after the worker; a stack of an earlier release does not name it."""
    world.functions.faults = [failed("ResourceNotFoundException")]
    assert world.drive(world.closes(17)[0]).verdict == "success"
    assert "patrol's function does not exist" in capsys.readouterr().out
    world.with_patrol()
    assert world.drive(world.closes(18)[0]).verdict == "success"
    assert world.functions.events == []
