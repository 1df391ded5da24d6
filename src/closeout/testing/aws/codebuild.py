"""CodeBuild builds that take time and may fail, over moto's projects.

moto finishes a build the first time it is looked at, keeps no environment, and knows no idempotency token.
Pages, under https://docs.aws.amazon.com/codebuild/latest/: APIReference/API_StartBuild.html (the token counts
for five minutes), APIReference/API_Build.html and API_BuildPhase.html (states and phases),
APIReference/API_StopBuild.html.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from moto.codebuild.exceptions import InvalidInputException
from moto.codebuild.responses import CodeBuildResponse
from moto.core.responses import ActionResult

TOKEN_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How builds of a project end: after `seconds`, with `status`, in `phase`, with `message`."""

    seconds: float = 0.3
    status: str = "SUCCEEDED"
    phase: str = "BUILD"
    message: str = ""


class BuildRules:
    """Outcomes by project, and when each build ends."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Forget everything; every build succeeds after a moment again."""
        self.outcomes: dict[str, Outcome] = {}
        self.due: dict[str, tuple[float, Outcome]] = {}
        self.tokens: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}

    def started(self, build: dict[str, Any], environment: list[dict[str, str]], token: str | None) -> None:
        """Note a new build: it is in progress from now on."""
        outcome = self.outcomes.get(build["projectName"], Outcome())
        build["environment"] = {**build["environment"], "environmentVariables": environment}
        self.due[build["id"]] = (self.clock() + outcome.seconds, outcome)
        if token:
            self.tokens[build["projectName"], token] = (self.clock(), build)

    def earlier(self, project: str, token: str | None) -> dict[str, Any] | None:
        """Return the build that this token started within five minutes."""
        started, build = self.tokens.get((project, token or ""), (0.0, None))
        return build if build is not None and self.clock() - started < TOKEN_SECONDS else None

    def settle(self, build: dict[str, Any]) -> None:
        """Bring one build up to date."""
        due, outcome = self.due.get(build["id"], (0.0, Outcome()))
        if build["buildComplete"] or self.clock() < due:
            return
        self.finish(build, outcome.status, outcome.phase, outcome.message)

    @staticmethod
    def finish(build: dict[str, Any], status: str, phase: str, message: str) -> None:
        """Write a build's end and the phase that decided it."""
        ended = {"phaseType": phase, "phaseStatus": status, "startTime": build["startTime"]}
        if message:
            ended["contexts"] = [{"statusCode": "COMMAND_EXECUTION_ERROR", "message": message}]
        build["phases"] = [
            *build["phases"],
            ended,
            {"phaseType": "COMPLETED", "startTime": build["startTime"]},
        ]
        build.update(
            buildStatus=status, buildComplete=True, currentPhase="COMPLETED", endTime=build["startTime"]
        )


class RuledCodeBuild(CodeBuildResponse):
    """moto's responses with our rules first."""

    rules: ClassVar[BuildRules]

    def start_build(self) -> Any:
        """StartBuild: the same token again returns the same build."""
        project, token = self._get_param("projectName"), self._get_param("idempotencyToken")
        with self.rules.lock:
            earlier = self.rules.earlier(project, token)
            if earlier is not None:
                return ActionResult({"build": earlier})
            answer = super().start_build()
            build = self.codebuild_backend.build_metadata[project].build_metadata
            self.rules.started(build, self._get_param("environmentVariablesOverride") or [], token)
        return answer

    def batch_get_builds(self) -> Any:
        """BatchGetBuilds: a build takes its time."""
        wanted = self._get_param("ids")
        if any(":" not in build_id for build_id in wanted):
            raise InvalidInputException("Invalid build ID provided")
        with self.rules.lock:
            builds = [build for build in self._builds() if build["id"] in wanted]
            for build in builds:
                self.rules.settle(build)
        return ActionResult({"builds": builds})

    def stop_build(self) -> Any:
        """StopBuild: STOPPED, unless it had ended."""
        with self.rules.lock:
            build = next((build for build in self._builds() if build["id"] == self._get_param("id")), None)
            if build is None:
                raise InvalidInputException("Invalid build ID provided")
            self.rules.settle(build)
            if not build["buildComplete"]:
                self.rules.finish(build, "STOPPED", "BUILD", "stopped")
        return ActionResult({"build": build})

    def list_builds_for_project(self) -> Any:
        """ListBuildsForProject, the newest first as AWS does by default, in one page of 100."""
        ids = list(reversed(self.codebuild_backend.list_builds_for_project(self._get_param("projectName"))))
        return ActionResult({"ids": ids[:100]})

    def _builds(self) -> list[dict[str, Any]]:
        return [
            build for builds in self.codebuild_backend.build_metadata_history.values() for build in builds
        ]
