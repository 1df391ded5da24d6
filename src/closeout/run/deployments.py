"""Ask GitHub whether an environment has an active deployment: what somebody deployed and nobody took down.

Read for an automation with `environment` whose run deleted nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from closeout.core.errors import PayloadRefused, ServiceError, github_error
from closeout.ports import GitHub, Json

PAGE = 100
MOST = 300
"""Deployments of one environment that are looked at; with more the answer is unknown."""


def repository(payload: Mapping[str, Any]) -> str:
    """Return the full name of the event's repository. Raises `PayloadRefused`."""
    about = payload.get("repository")
    name = about.get("full_name") if isinstance(about, dict) else None
    if not isinstance(name, str):
        raise PayloadRefused("the payload lacks the repository, so its deployments are unknown")
    return name


def is_active(github: GitHub, repository: str, environment: str) -> bool:
    """Return whether the latest status of one of the environment's deployments is `success`, GitHub's "Active".

    One that is queued or under way has not deployed yet, and one that failed or is inactive has nothing to delete.
    Raises `ServiceError`; an answer that cannot be read is never "no".
    https://docs.github.com/en/rest/deployments/deployments#list-deployments
    """
    path = f"/repos/{repository}/deployments"
    for page in range(1, MOST // PAGE + 1):
        query = {"environment": environment, "per_page": str(PAGE), "page": str(page)}
        listed = _objects(path, github.request("GET", path, query=query))
        for deployment in listed:
            if deployment.get("environment") != environment or type(deployment.get("id")) is not int:
                raise _unusable(path, "the answer is not the list that was asked for")
            if _latest(github, f"{path}/{deployment['id']}/statuses") == "success":
                return True
        if len(listed) < PAGE:
            return False
    raise _unusable(path, f"the environment {environment} has {MOST} deployments or more")


def _latest(github: GitHub, path: str) -> str | None:
    """Return the state of the newest status, which GitHub lists first; None without one."""
    statuses = _objects(path, github.request("GET", path, query={"per_page": "1"}))
    if not statuses:
        return None
    state = statuses[0].get("state")
    if not isinstance(state, str):
        raise _unusable(path, "the answer is not a list of statuses")
    return state


def _objects(path: str, answer: Json) -> list[dict[str, Any]]:
    if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
        raise _unusable(path, "the answer is not a list")
    return answer


def _unusable(path: str, text: str) -> ServiceError:
    return github_error(f"GET {path}", text, "unusable-answer")
