"""The entry of runs on AWS: the first invocation does as much as it can before the durable SDK is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from closeout.lambdas import run
from closeout.stack.table import worker_event
from closeout.testing.github import FakeGitHub
from tests.stack_aws import StackAws
from tests.unit.wiring.stack_world import REGION, StackWorld

ROOT = Path(__file__).parents[3]
LATE = (
    "urllib3",
    "aws_durable_execution_sdk_python",
    "boto3",
    "botocore",
    "s3transfer",
    "dateutil",
    "ruamel",
    "asyncio",
    "concurrent",
    "closeout.actions.registry",
    "closeout.config.document",
    "closeout.config.load",
    "closeout.engine.local",
    "closeout.ledger.dynamodb.views",
)
"""What a run needs only after `pending`; earlier releases imported all of it before."""
PACKAGES = {"closeout"}
"""All imports of the start besides the standard library."""
AT_PENDING = """
import sys
from closeout.adapters.github import GitHubClient
from closeout.lambdas import run

post = GitHubClient.create_status

def noted(self, *args, **more):
    print(more["state"], *sys.modules)
    return post(self, *args, **more)

GitHubClient.create_status = noted
run.runtime().engine.advance(sys.argv[1], lambda: 890.0)
"""


def loaded(code: str, *arguments: str, **environment: str) -> list[list[str]]:
    """Run a program in a fresh interpreter; return the words of each line that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines() if not line.startswith("{")]


def late(modules: list[str]) -> list[str]:
    """Return those of the modules that are to be imported late."""
    return [name for name in modules if any(name == one or name.startswith(f"{one}.") for one in LATE)]


def test_the_start_imports_no_sdk_and_little_else() -> None:
    """Each import delays `pending` for everyone after a quiet hour."""
    ((*modules,),) = loaded("import sys\nimport closeout.lambdas.run\nprint(*sys.modules)")
    assert late(modules) == []
    roots = {name.partition(".")[0] for name in modules}
    known = {*sys.stdlib_module_names, "__main__", "sitecustomize", "coverage", "$coverage"}
    assert {name for name in roots - known if not name.startswith("_")} == PACKAGES


def test_pending_is_posted_before_anything_else_is_imported(aws: StackAws, tmp_path: Path) -> None:
    """Over real connections, in a new environment, as soon as the ledger has accepted the run."""
    with FakeGitHub(token="token") as github:
        world = StackWorld(aws, github, tmp_path, token="token")
        execution, sha = world.closes()
        lines = loaded(AT_PENDING, execution, **{**world.variables(), "AWS_REGION": REGION})
        states = [state for state, *_ in lines]
        assert (states[0], late(lines[0])) == ("pending", [])
        assert "boto3" in lines[-1]
        assert [state for state, _ in world.statuses(sha)] == states


class Engine:
    """An engine that records its calls."""

    def __init__(self, said: list[str]) -> None:
        self.said = said

    def advance(self, execution: str, remaining: Any) -> dict[str, Any]:
        """Note it, with the seconds that are left."""
        self.said.append(f"advance {execution} {remaining():g}")
        return {"wake": float(len(self.said))}


def invoke(event: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Invoke the entry over an SDK that records its calls; return what happened in order."""
    said: list[str] = []
    sdk = types.ModuleType("closeout.lambdas.worker")

    def carry_out(_engine: Any, *, first: dict[str, Any] | None) -> Any:
        return lambda _event, _context: said.append(f"sdk {first}")

    sdk.carry_out = carry_out  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "closeout.lambdas.worker", sdk)
    monkeypatch.setattr("closeout.lambdas.worker", sdk, raising=False)
    monkeypatch.setattr(run, "runtime", lambda: types.SimpleNamespace(engine=Engine(said)))
    run.handler(event, types.SimpleNamespace(get_remaining_time_in_millis=lambda: 890_000))
    return said


def operation(kind: str, **more: Any) -> dict[str, Any]:
    """Return an operation as an invocation's event has it."""
    return {"Id": "1", "Type": kind, "Status": "STARTED", **more}


EXECUTION = operation("EXECUTION", ExecutionDetails={"InputPayload": worker_event("run-1").decode()})


def state(*operations: dict[str, Any], marker: str = "") -> dict[str, Any]:
    """Return the event of an invocation."""
    return {"InitialExecutionState": {"Operations": list(operations), "NextMarker": marker}}


def test_a_first_invocation_advances_before_the_sdk_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's first check then has the outcome, and nothing runs a second time for it."""
    said = invoke(state(EXECUTION), monkeypatch)
    assert said == ["advance run-1 890", "sdk {'wake': 1.0}"]


@pytest.mark.parametrize(
    "event",
    [
        state(EXECUTION, operation("STEP")),
        state(EXECUTION, marker="more"),
        state(operation("STEP")),
        state(operation("EXECUTION", ExecutionDetails={"InputPayload": "no JSON"})),
        state(operation("EXECUTION", ExecutionDetails={"InputPayload": json.dumps(["run-1"])})),
        state(),
        {},
        [],
        None,
    ],
)
def test_every_other_event_goes_to_the_sdk(event: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later invocation, and an event that is no execution's: the SDK reports what is wrong with it."""
    assert invoke(event, monkeypatch) == ["sdk None"]


@pytest.mark.parametrize("running", [True, False])
def test_an_environment_with_a_call_still_running_is_abandoned(
    running: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a failure, before anything of the invocation is done: Lambda invokes again in a new one."""

    def leave(status: int) -> None:
        raise SystemExit(status)

    calls = types.SimpleNamespace(anything_running=lambda: running)
    monkeypatch.setitem(sys.modules, "closeout.actions.general.python", calls)
    monkeypatch.setattr(os, "_exit", leave)
    if running:
        with pytest.raises(SystemExit) as left:
            invoke(state(EXECUTION), monkeypatch)
        assert left.value.code == 1
    else:
        assert len(invoke(state(EXECUTION), monkeypatch)) == 2
