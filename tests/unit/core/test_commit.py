"""The commit that a status belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.core.commit import StatusTarget, status_target, why_no_target
from tests.unit.core.events import SHA, about, pull_request, push

FORK = pull_request()
FORK["pull_request"]["head"]["repo"] = {"id": 1, "full_name": "mallory/shop"}

FOUND: list[tuple[str, dict[str, Any]]] = [
    ("pull_request", pull_request()),
    ("pull_request", FORK),
    ("pull_request_review", pull_request("submitted")),
    ("pull_request_review_comment", pull_request("created")),
    ("push", push()),
    ("push", push("refs/tags/v1")),
    ("deployment", about(deployment={"sha": SHA})),
    ("deployment_status", about(deployment={"sha": SHA}, deployment_status={})),
    ("check_run", about(check_run={"head_sha": SHA})),
    ("check_suite", about(check_suite={"head_sha": SHA})),
    ("workflow_run", about(workflow_run={"head_sha": SHA})),
    ("workflow_job", about(workflow_job={"head_sha": SHA})),
    ("status", about(sha=SHA)),
    ("merge_group", about(merge_group={"head_sha": SHA})),
    ("commit_comment", about(comment={"commit_id": SHA})),
]


@pytest.mark.parametrize(("event", "payload"), FOUND)
def test_the_commit_of_each_event(event: str, payload: dict[str, Any]) -> None:
    """The status goes to the event's repository: for a fork's pull request, the base."""
    assert status_target(event, payload) == StatusTarget("acme/shop", SHA)


def test_a_sha_256_repository_has_longer_shas() -> None:
    """64 digits are a commit too."""
    assert status_target("push", push(after="a" * 64)) == StatusTarget("acme/shop", "a" * 64)


DELETED = push(after="0" * 40, deleted=True, head_commit=None)
NONE: list[tuple[str, dict[str, Any], str]] = [
    ("push", DELETED, "deleted its ref"),
    ("push", push(after="0" * 40), "deleted its ref"),
    ("push", push(after="0" * 64), "deleted its ref"),
    ("push", push(after=None, deleted=True), "deleted its ref"),
    ("push", push(after=None), "no commit at after"),
    ("create", about(ref="x", ref_type="branch"), "belongs to no commit"),
    ("delete", about(ref="x", ref_type="branch"), "belongs to no commit"),
    ("issue_comment", about(), "belongs to no commit"),
    ("release", about(), "belongs to no commit"),
    ("invented", about(), "belongs to no commit"),
    ("push", {"after": SHA}, "names no repository"),
    ("pull_request", about(), "no commit at pull_request.head.sha"),
    ("deployment", about(deployment=None), "no commit at deployment.sha"),
]


@pytest.mark.parametrize(("event", "payload", "reason"), NONE)
def test_without_a_commit_there_is_a_reason(event: str, payload: dict[str, Any], reason: str) -> None:
    """No status is posted, and the run says why."""
    assert status_target(event, payload) is None
    assert reason in why_no_target(event, payload)


@pytest.mark.parametrize(
    ("repository", "sha"),
    [
        ("acme/shop/../..", SHA),
        ("acme/shop?x=", SHA),
        ("shop", SHA),
        ("../shop", SHA),
        ("acme/..", SHA),
        ("./shop", SHA),
        ("acme/shop", "HEAD"),
        ("acme/shop", SHA + "/../x"),
        ("acme/shop", SHA.upper()),
        ("acme/shop", 5),
        (None, SHA),
    ],
)
def test_an_invalid_name_or_sha_is_no_target(repository: Any, sha: Any) -> None:
    """Both become part of a URL, so they must have GitHub's form."""
    payload = {"after": sha, "repository": {"full_name": repository}}
    assert status_target("push", payload) is None
    assert why_no_target("push", payload)


def test_a_push_has_its_own_commit_and_other_events_their_pull_requests() -> None:
    """An event with a known commit is never looked up through a pull request that it also names."""
    pull = {"head": {"sha": "b" * 40}}
    payload = {"after": "a" * 40, "pull_request": pull, "repository": {"full_name": "acme/shop"}}
    assert "commit at after" in why_no_target("push", {**payload, "after": None})
    assert "commit at pull_request.head.sha" in why_no_target(
        "some_new_event", {**payload, "pull_request": {}}
    )
    assert "belongs to no commit" in why_no_target("some_new_event", {"repository": payload["repository"]})
