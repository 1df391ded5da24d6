"""The commit that a run's status belongs to, for each event; or the reason that there is none.

One table serves the run, `explain` and the documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from closeout.core.payload import at

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_REPOSITORY = re.compile(r"(?!\.{1,2}/)[A-Za-z0-9._-]{1,100}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}", re.ASCII)

PATHS: Mapping[str, tuple[str, ...]] = {
    "push": ("after",),
    "deployment": ("deployment", "sha"),
    "deployment_status": ("deployment", "sha"),
    "check_run": ("check_run", "head_sha"),
    "check_suite": ("check_suite", "head_sha"),
    "workflow_run": ("workflow_run", "head_sha"),
    "workflow_job": ("workflow_job", "head_sha"),
    "status": ("sha",),
    "commit_comment": ("comment", "commit_id"),
    "merge_group": ("merge_group", "head_sha"),
}
"""For each event, the path of its commit in the payload. Every event with a `pull_request` has it at `head.sha`."""


class StatusTarget(NamedTuple):
    """Where a status is posted: `owner/name` (of a pull request the base, even for a fork) and the commit."""

    repository: str
    sha: str


def status_target(event: str, payload: Mapping[str, Any]) -> StatusTarget | None:
    """Return the commit that a status of this event's run is posted on, or None."""
    sha = at(payload, *_path(event, payload))
    repository = at(payload, "repository", "full_name")
    if not isinstance(repository, str) or _REPOSITORY.fullmatch(repository) is None:
        return None
    if not isinstance(sha, str) or _SHA.fullmatch(sha) is None or not sha.strip("0"):
        return None
    return StatusTarget(repository, sha)


def certainly_private(payload: Mapping[str, Any]) -> bool:
    """Whether only the repository's members can read a status and its link. If unknown, it counts as public."""
    return at(payload, "repository", "private") is True


def why_no_target(event: str, payload: Mapping[str, Any]) -> str:
    """Return why `status_target` returned None."""
    path = _path(event, payload)
    if not path:
        return f"a {event} event belongs to no commit, so there is no status"
    if event == "push" and (payload.get("deleted") is True or at(payload, "after") in ("0" * 40, "0" * 64)):
        return "the push deleted its ref, so there is no commit for a status"
    if not isinstance(at(payload, "repository", "full_name"), str):
        return f"this {event} event names no repository, so there is no status"
    return f"this {event} event has no commit at {'.'.join(path)}, so there is no status"


def _path(event: str, payload: Mapping[str, Any]) -> tuple[str, ...]:
    if event.startswith("pull_request") or (event not in PATHS and "pull_request" in payload):
        return ("pull_request", "head", "sha")
    return PATHS.get(event, ())
