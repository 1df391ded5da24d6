"""What tests of the AWS side share: one emulated account with one deployed stack for all that need it.

They need Python 3.13 and the environments that `make setup-aws` makes. Those that deploy run when `make test-aws` asks.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.conftest import aws

if TYPE_CHECKING:
    from tests.aws.world import World
    from tests.emulator.meter import Meter

__all__ = ["aws"]

DEPLOYED = [
    "test_deliveries.py",
    "test_emulator.py",
    "test_guard.py",
    "test_notify.py",
    "test_parity.py",
    "test_patrol.py",
    "test_receiver_runtime.py",
    "test_rechecks.py",
    "test_redeployment.py",
    "test_rights.py",
    "test_runs.py",
    "test_several_stacks.py",
    "test_stack_commands.py",
]
"""Tests of the deployed stack."""

collect_ignore_glob: list[str] = []
if find_spec("aws_durable_execution_sdk_python") is None:
    collect_ignore_glob = ["test_*.py"]
elif not os.environ.get("CLOSEOUT_TEST_AWS"):
    collect_ignore_glob = [*DEPLOYED, "test_recording.py"]

HERE = Path(__file__).parent
ACCOUNT = "account"
INSIDE = "127.0.0.1/32"
"""The only address that the API's resource policy lets in."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Allow the first test time for the deployment."""
    for item in items:
        if item.path.parent == HERE and item.path.name in DEPLOYED:
            item.add_marker(pytest.mark.timeout(400))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return the scheduler for several workers: all tests of the deployed stack go to one, so that it is deployed once."""
    from xdist.scheduler import LoadFileScheduling

    def group(nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return ACCOUNT if path.rpartition("/")[2] in DEPLOYED else path

    scheduling = LoadFileScheduling(config, log)
    scheduling._split_scope = group
    return scheduling


@pytest.fixture(autouse=True)
def meters(monkeypatch: pytest.MonkeyPatch) -> dict[str, Meter]:
    """Meter every execution on the local runner as AWS does; return the meters by the executions' names."""
    from tests.aws.metering import meter_runners

    return meter_runners(monkeypatch)


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Yield the account, with the stack deployed and a hook in every repository."""
    from tests.aws.world import World

    with tempfile.TemporaryDirectory(prefix="closeout-test-aws-") as name:
        folder = Path(name)
        addresses = folder / "github-addresses.json"
        addresses.write_text(json.dumps({"hooks": [INSIDE]}), "utf-8")
        context = {"githubAddresses": str(addresses), "guard": INSIDE}
        config = (HERE / "closeout.yaml").read_text("utf-8")
        variables = {"NOTES": str(folder / "notes")}
        with World(folder, config, code=HERE / "code", context=context, variables=variables) as ready:
            for repository in ("notes", "ordered", "killed", "patient", "redeployed", "overreach", "seize"):
                ready.add_repository(f"acme/{repository}")
            yield ready
