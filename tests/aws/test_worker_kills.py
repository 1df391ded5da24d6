"""The worker killed at any moment, on the official local runner with a process for each invocation: nothing is lost.

An operation whose outcome was stored is never done again; one that was cut off is, and the run ends all the same.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from closeout.core.runs import MAX_DEATHS
from closeout.ports import Ending
from tests.aws.lambda_host import LambdaHost
from tests.contract.remote_harness import RemoteBench
from tests.emulator.meter import Meter
from tests.stack_aws import StackAws

OPERATIONS = ("delete", "gone", "final")
ONCE = Counter({"delete": 1, "gone": 3, "final": 1})


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner signs its invocations with whatever this process has."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


class Stage:
    """One accepted run and what its processes did."""

    def __init__(self, aws: StackAws, folder: Path, kill_at: str = "", times: int = 1) -> None:
        self.bench = RemoteBench(aws)
        self.journal = folder / "journal"
        self.execution = self.bench.accept("killed", key="k")
        self.host = LambdaHost(
            {
                **aws.environment(),
                "TABLE": self.bench.name,
                "JOURNAL": str(self.journal),
                "KILL_AT": kill_at,
                "KILL_TIMES": str(times),
            }
        )

    def play(self) -> Ending:
        """Run it to its end; return the ledger's word. Lambda's must be that it succeeded."""
        with self.host:
            assert self.host.run(self.execution) == "SUCCEEDED"
        return self.bench.ending(self.execution)

    def effects(self) -> Counter[str]:
        """How often each operation's effect happened."""
        return Counter(line for line in self.journal.read_text("utf-8").splitlines() if line != "killed")


def test_a_worker_killed_before_it_wakes_the_next_run_wakes_it_in_its_next_process(
    aws: StackAws, tmp_path: Path
) -> None:
    """Its run has ended and given its key back; the callback of the next one is completed all the same."""
    stage = Stage(aws, tmp_path, kill_at="run:finished")
    behind = stage.bench.accept("behind", key="k")
    with stage.host, ThreadPoolExecutor(2) as pool:
        assert list(pool.map(stage.host.run, (stage.execution, behind))) == ["SUCCEEDED"] * 2
    assert [stage.bench.ending(run).verdict for run in (stage.execution, behind)] == ["success"] * 2
    assert stage.journal.read_text("utf-8").splitlines().count("killed") == 1
    order = [line for line in stage.journal.read_text("utf-8").splitlines() if line in ("delete", "final")]
    assert order == ["delete", "final"] * 2


def test_a_worker_that_nobody_kills(aws: StackAws, tmp_path: Path, meters: dict[str, Meter]) -> None:
    """Each wait ends its invocation: three processes, or more since time is skipped; each effect once.

    Each invocation is a poll, which is an operation for AWS, beside the two of the execution and of the condition.
    """
    stage = Stage(aws, tmp_path)
    assert stage.play() == Ending("success", "deleted")
    assert stage.effects() == ONCE
    assert len(stage.host.exits) >= 3
    assert set(stage.host.exits) == {0}
    assert meters[stage.execution].operations == 2 + len(stage.host.exits)


@pytest.mark.parametrize("moment", ["before", "after", "stored"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_worker_killed_in_an_operation(aws: StackAws, tmp_path: Path, operation: str, moment: str) -> None:
    """The next invocation goes on there: what was stored is not repeated, what was cut off is."""
    stage = Stage(aws, tmp_path, f"{operation}:{moment}")
    assert stage.play() == Ending("success", "deleted")
    # A poll that was cut off counts as one of the three after which it is gone.
    again = 1 if moment == "after" and operation != "gone" else 0
    assert stage.effects() == ONCE + Counter({operation: again})
    assert -9 in stage.host.exits


@pytest.mark.parametrize("moment", ["taken", "finished"])
def test_a_worker_killed_around_the_run(
    aws: StackAws, tmp_path: Path, meters: dict[str, Meter], moment: str
) -> None:
    """Right after it took the run, and between the ledger's end of the run and Lambda's. The retry is an operation."""
    stage = Stage(aws, tmp_path, f"run:{moment}")
    assert stage.play() == Ending("success", "deleted")
    assert stage.effects() == ONCE
    assert -9 in stage.host.exits
    assert meters[stage.execution].operations == 2 + len(stage.host.exits)


def test_an_operation_that_always_kills_its_worker_fails_and_the_run_reports_it(
    aws: StackAws, tmp_path: Path
) -> None:
    """After five deaths it is not tried again; the status is posted and the execution in Lambda succeeds."""
    stage = Stage(aws, tmp_path, "delete:before", times=100)
    assert stage.play() == Ending("failure", "crashed")
    assert stage.effects() == Counter({"final": 1})
    assert stage.host.exits.count(-9) == MAX_DEATHS
