"""aws/codebuild-start-build over HTTP against the emulator."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.actions.aws.codebuild_start_build import ACTION, TRACE
from closeout.core.errors import ActionFailed, RunCancelled
from closeout.testing.aws import FakeAws
from tests.work import Crashed, ImmediateWork

INPUTS: dict[str, Any] = {
    "project": "preview-teardown",
    "environment": {"PULL_REQUEST": "17"},
    "source-version": None,
    "wait": True,
}


@pytest.fixture
def codebuild(clients: Any) -> Any:
    """A project."""
    client = clients.aws("codebuild")
    client.create_project(
        name="preview-teardown",
        source={"type": "S3", "location": "bucket/path"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole="arn:aws:iam::123456789012:role/service-role/build",
    )
    return client


def run(clients: Any, inputs: dict[str, Any] = INPUTS, **work: Any) -> tuple[ImmediateWork, Any]:
    """Plan and apply."""
    (change,) = ACTION.plan(inputs, clients)
    done = ImmediateWork(clients, **work)
    return done, ACTION.apply(change, inputs, done)


def builds(codebuild: Any) -> list[Any]:
    """All builds of the project."""
    ids = codebuild.list_builds_for_project(projectName="preview-teardown")["ids"]
    return list(codebuild.batch_get_builds(ids=ids)["builds"]) if ids else []


def test_waits_for_success(clients: Any, codebuild: Any) -> None:
    """One build with the step's variables and the trace; its link is in the log; awaited."""
    work, answer = run(clients)
    (build,) = builds(codebuild)
    assert answer["summary"] == f"build {build['id']} succeeded"
    assert any("https://console.aws.amazon.com" in line for line in work.lines)
    assert f" of project {INPUTS['project']}: https://" in work.lines[0]
    variables = {item["name"]: item["value"] for item in build["environment"]["environmentVariables"]}
    assert variables == {"PULL_REQUEST": "17", TRACE: f"{work.execution}/teardown"}


def test_failure_names_the_phase(clients: Any, codebuild: Any, aws: FakeAws) -> None:
    """A build that fails fails the step with its phase, its reason and the link."""
    message = "Error while executing command: ./teardown.sh. Reason: exit status 3"
    aws.build_outcome("preview-teardown", status="FAILED", phase="BUILD", message=message, seconds=0.05)
    with pytest.raises(
        ActionFailed, match=r"ended as FAILED in phase BUILD: .*exit status 3 \(log: https"
    ) as failed:
        run(clients)
    assert str(failed.value.public).endswith("ended as FAILED in phase BUILD"), (
        "commands are not for everybody"
    )


def test_without_waiting(clients: Any, codebuild: Any, aws: FakeAws) -> None:
    """With `wait: false` the step ends when the build has started."""
    aws.build_outcome("preview-teardown", seconds=60)
    work, answer = run(clients, {**INPUTS, "wait": False})
    assert answer["summary"].startswith("started build preview-teardown:")
    assert list(work.operations) == ["start"]


def test_started_once_over_a_crash(clients: Any, codebuild: Any, aws: FakeAws) -> None:
    """A start whose answer was lost is found by its trace, and not repeated."""
    aws.build_outcome("preview-teardown", seconds=0.05)
    (change,) = ACTION.plan(INPUTS, clients)
    with pytest.raises(Crashed):
        ACTION.apply(change, INPUTS, ImmediateWork(clients, crash=lambda name: name == "start"))
    aws.fault(operation="StartBuild", code="AccessDenied", message="a second build was asked for")
    ACTION.apply(change, INPUTS, ImmediateWork(clients))
    assert len(builds(codebuild)) == 1


def test_another_attempt_is_another_build(clients: Any, codebuild: Any) -> None:
    """A rerun starts a build of its own."""
    run(clients)
    run(clients, execution="a" * 26 + "-2")
    assert len(builds(codebuild)) == 2


def test_cancelling_stops_it(clients: Any, codebuild: Any, aws: FakeAws) -> None:
    """A run that is cancelled while it waits stops its build, and stays cancelled on replay."""
    aws.build_outcome("preview-teardown", seconds=60)
    operations: dict[str, Any] = {"finish": {"error": "cancelled", "message": "cancelled by ann"}}
    with pytest.raises(RunCancelled):
        run(clients, operations=operations)
    assert [build["buildStatus"] for build in builds(codebuild)] == ["STOPPED"]
    assert operations["stop"] == {"value": {"stopped": True}}


def test_time_is_up(clients: Any, codebuild: Any, aws: FakeAws) -> None:
    """A build that exceeds the step's time is a failure that names it and says that it is still running."""
    aws.build_outcome("preview-teardown", seconds=60)
    with pytest.raises(ActionFailed, match="had not ended when the time was up, and continues"):
        run(clients, polls=3)


def test_throttled(clients: Any, codebuild: Any, aws: FakeAws) -> None:
    """Throttling is waited out at every call."""
    for operation in ("ListBuildsForProject", "StartBuild", "BatchGetBuilds"):
        aws.fault(operation=operation, code="ThrottlingException", times=2)
    run(clients)
    assert len(builds(codebuild)) == 1


def test_project_that_is_not_there(clients: Any) -> None:
    """A missing project fails the plan: nothing would have been cleaned up."""
    with pytest.raises(ActionFailed, match="no project preview-teardown"):
        ACTION.plan(INPUTS, clients)


def test_permissions() -> None:
    """IAM is narrowed to the project."""
    (needed,) = ACTION.permissions({"project": "teardown-${{ event.number }}"})
    assert needed.resources == ("arn:aws:codebuild:*:*:project/teardown-*",)
