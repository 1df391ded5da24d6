"""aws/codebuild-start-build over answers that a test sets: a build that is gone, or that cannot be stopped."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from closeout.actions.aws import codebuild_start_build as action
from closeout.core.errors import ServiceError, StepFailed
from tests.work import ImmediateWork


class Says:
    """A CodeBuild with one build."""

    def __init__(self, build: dict[str, Any] | None = None, stop: ServiceError | None = None) -> None:
        self._build = build
        self._stop = stop

    def batch_get_builds(self, ids: list[str]) -> Any:
        """Return the build, or that there is none."""
        del ids
        return {"builds": [] if self._build is None else [self._build]}

    def stop_build(self, id: str) -> None:  # noqa: A002 - boto3's word
        """Raise, or not."""
        del id
        if self._stop is not None:
            raise self._stop


def work() -> ImmediateWork:
    """Return a work without clients."""
    return ImmediateWork(None)  # type: ignore[arg-type]


def polled(build: dict[str, Any] | None, doing: ImmediateWork | None = None, name: str = "poll") -> Any:
    """Poll the build once."""
    doing = doing or work()
    return doing.record(name, lambda: action._look(Says(build), "b:1", doing))


def stopped(stop: ServiceError | None, doing: ImmediateWork, name: str = "stop") -> Any:
    """Stop the build."""
    return doing.record(name, lambda: action._stop(Says(stop=stop), "b:1", doing))


def error(*, transient: bool) -> ServiceError:
    """Return an error of CodeBuild."""
    return ServiceError("no", service="codebuild", operation="StopBuild", reason="x", transient=transient)


@pytest.mark.parametrize(
    ("given", "project", "reason"),
    [
        ({"source-version": "pr/17"}, {"sourceVersion": "main"}, "at pr/17"),
        ({"source-version": None}, {"sourceVersion": "main"}, "at main"),
        ({}, {}, "at its default source"),
        ({"wait": False}, {}, "at its default source, without waiting for its end"),
    ],
)
def test_a_plan_says_whose_code_will_run(given: dict[str, Any], project: dict[str, str], reason: str) -> None:
    """The step's own version, else the project's."""
    known = {"name": "teardown", "arn": "arn:aws:codebuild:::project/teardown", **project}
    client = SimpleNamespace(batch_get_projects=lambda names: {"projects": [known] if names else []})
    clients: Any = SimpleNamespace(aws=lambda _service: client)
    (change,) = action.plan({"project": "teardown", "wait": True, **given}, clients)
    assert change.reason == reason


def test_a_build_that_codebuild_no_longer_knows_has_failed() -> None:
    """It is neither awaited nor taken for a success."""
    with pytest.raises(StepFailed, match="build b:1 is gone"):
        polled(None)


@pytest.mark.parametrize(
    ("phases", "phase", "reason"),
    [
        ([], "", ""),
        ([{"phaseType": "BUILD", "phaseStatus": "SUCCEEDED"}, {"phaseType": "COMPLETED"}], "", ""),
        ([{"phaseType": "QUEUED", "phaseStatus": "QUEUED"}], "", ""),
        (
            [{"phaseType": "BUILD", "phaseStatus": "FAILED"}, {"phaseType": "P", "phaseStatus": "FAULT"}],
            "BUILD",
            "",
        ),
        (
            [
                {
                    "phaseType": "B",
                    "phaseStatus": "FAILED",
                    "contexts": [{"message": "m"}, {"statusCode": "S"}, {}],
                }
            ],
            "B",
            "m; S",
        ),
    ],
)
def test_a_failure_names_the_first_phase_that_failed(phases: list[Any], phase: str, reason: str) -> None:
    """And its message."""
    build = {
        "buildStatus": "FAILED",
        "currentPhase": "COMPLETED",
        "phases": phases,
        "logs": {"deepLink": "l"},
    }
    assert polled(build) == {"status": "FAILED", "link": "l", "phase": phase, "reason": reason}


def test_a_running_build_is_awaited() -> None:
    """Its phase is logged once."""
    doing = work()
    build = {"buildStatus": "IN_PROGRESS", "currentPhase": "BUILD"}
    assert (polled(build, doing, "one"), polled(build, doing, "two")) == (None, None)
    assert doing.lines == ["build b:1: BUILD"]


def test_a_build_that_cannot_be_stopped_is_logged() -> None:
    """The run is cancelled all the same; an outage is waited out."""
    doing = work()
    assert stopped(error(transient=False), doing) == {"stopped": False}
    assert doing.lines == ["build b:1 could not be stopped: no"]
    assert stopped(None, doing, "again") == {"stopped": True}
    assert doing.lines[1:] == ["stopped build b:1, since the run was cancelled"]
    with pytest.raises(ServiceError):
        action._stop(Says(stop=error(transient=True)), "b:1", doing)
