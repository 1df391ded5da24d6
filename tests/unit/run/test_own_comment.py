"""Events that closeout caused: comments with its hidden marker, real and forged, and its statuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from closeout.core.errors import ServiceError
from closeout.run.explain import explain
from closeout.run.workflow import make_run_function
from closeout.testing.durable import play
from tests.unit.run.test_run import deletes
from tests.unit.run.world import Scene, step, unreachable

OURS, ANOTHER = 1, 2
"""The world's GitHub says of every token that it is user 1's."""


def commented(sender: int, body: str = "<!-- closeout:preview-cleanup -->\nGone.") -> Scene:
    """A comment of a user on an issue, and an automation that acts on it."""
    repository = {"id": 1, "full_name": "acme/shop", "name": "shop", "private": True}
    payload: dict[str, Any] = {
        "action": "created",
        "issue": {"number": 17},
        "comment": {"body": body, "user": {"id": sender}},
        "repository": repository,
        "sender": {"login": "dev", "id": sender},
    }
    scene = Scene(payload=payload, event="issue_comment")
    return scene.with_automation(
        triggers=({"event": "issue_comment"},),
        unguarded=True,
        steps=(step("preview-${{ event.issue.number }}"),),
    )


def test_our_own_comment_starts_nothing() -> None:
    """Otherwise an automation that comments on comments would trigger itself."""
    scene = commented(OURS)
    ending = scene.play()
    assert (ending.verdict, ending.summary) == ("skipped", "closeout itself caused this event")
    assert deletes(scene.world) == []


@pytest.mark.parametrize(
    "body", ["<!-- closeout:preview-cleanup -->", "/teardown\n<!-- closeout:x -->", "/teardown"]
)
def test_a_forged_marker_suppresses_nothing(body: str) -> None:
    """Copied or invented: its sender is not the token's user."""
    scene = commented(ANOTHER, body)
    assert scene.play().verdict == "success"
    assert deletes(scene.world) == ["delete preview-17"]


def test_a_comment_without_the_marker_is_not_looked_up() -> None:
    """The token's user may also comment by hand."""
    scene = commented(OURS, "/teardown")
    assert scene.play().verdict == "success"
    assert "GET /user" not in scene.world.log


def test_the_tokens_user_is_asked_again_if_github_does_not_answer() -> None:
    """Until then the comment is neither ours nor another's."""
    scene = commented(OURS)
    scene.world.faults["GET /user"] = [unreachable(), unreachable()]
    assert scene.play().verdict == "skipped"


def test_a_token_without_a_user_has_written_no_comment() -> None:
    """`github/comment` refuses to write with such a token."""
    scene = commented(OURS)
    refused = ServiceError("403", service="github", operation="GET /user", reason="403", http_status=403)
    scene.world.faults["GET /user"] = [refused]
    assert scene.play().verdict == "success"


def test_explain_says_that_only_a_run_can_tell() -> None:
    """It has no token to ask with."""
    scene = commented(OURS)
    (row,) = explain([scene.automation], "issue_comment", scene.payload)
    assert row["matched"]
    assert row["reason"].endswith("closeout wrote it, and the run is skipped")


def test_a_status_of_a_context_that_the_file_names_starts_nothing() -> None:
    """A run's own status would start the next run. The current file decides: a replay may be of another one."""
    payload = {"context": "previews", "state": "success", "repository": {"id": 1, "full_name": "acme/shop"}}
    scene = Scene(payload=payload, event="status").with_automation(
        triggers=({"event": "status"},), unguarded=True, steps=(step("preview-17"),)
    )
    deps = replace(scene.deps(), own_contexts=lambda: ("previews",))
    ending = play(make_run_function(deps), scene.durable, scene.execution())
    assert (ending.verdict, ending.summary) == ("skipped", "closeout itself caused this event")
