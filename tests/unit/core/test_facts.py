"""Facts: what is read from each event, and what is not trusted."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.core.facts import Facts, facts_of, is_own, marked_sender
from tests.unit.core.events import SHA, about, pull_request, push


def test_a_pull_request_has_its_base() -> None:
    """`branches` filters are compared with the base branch."""
    assert facts_of("pull_request", pull_request()) == Facts(
        event="pull_request",
        action="closed",
        repository="acme/shop",
        repository_id=186853002,
        private=False,
        sender="Codertocat",
        number=17,
        base_ref="develop",
        pull_request_id=279147437,
        branch="develop",
    )


@pytest.mark.parametrize(
    ("payload", "number"),
    [
        ({"number": 1, "pull_request": {"number": 2}}, 1),
        ({"pull_request": {"number": 2}}, 2),
        ({"number": None, "pull_request": {"number": 2}}, 2),
        ({"number": "1", "pull_request": {"number": 2}}, 2),
        ({"number": True}, None),
        ({"issue": {"number": 3}}, 3),
        ({}, None),
    ],
)
def test_the_number_is_read_wherever_senders_put_it(payload: dict[str, Any], number: int | None) -> None:
    """Some senders omit the top-level number."""
    assert facts_of("pull_request", payload).number == number


REFS = [
    ("push", push("refs/heads/release/1"), "release/1", None),
    ("push", push("refs/tags/v1"), None, "v1"),
    ("push", push("refs/notes/x"), None, None),
    ("create", about(ref="topic", ref_type="branch"), "topic", None),
    ("create", about(ref="v1", ref_type="tag"), None, "v1"),
    ("create", about(ref=None, ref_type="repository"), None, None),
    ("delete", about(ref="topic/x", ref_type="branch"), "topic/x", None),
    ("delete", about(ref="v1", ref_type="tag"), None, "v1"),
    ("delete", about(ref="topic"), None, None),
    ("workflow_run", about(workflow_run={"head_branch": "main"}), "main", None),
    ("workflow_job", about(workflow_job={"head_branch": "main"}), "main", None),
    ("check_suite", about(check_suite={"head_branch": "main"}), "main", None),
    ("check_run", about(check_run={"check_suite": {"head_branch": "main"}}), "main", None),
    ("check_run", about(check_run={"check_suite": {"head_branch": None}}), None, None),
    ("release", about(release={"tag_name": "v1", "target_commitish": "main"}), None, "v1"),
    ("deployment", about(deployment={"ref": "main", "sha": SHA}), "main", None),
    ("deployment_status", about(deployment={"ref": "refs/tags/v1", "sha": SHA}), None, "v1"),
    ("deployment", about(deployment={"ref": SHA, "sha": SHA}), None, None),
    (
        "merge_group",
        about(merge_group={"base_ref": "refs/heads/main", "head_ref": "refs/heads/q"}),
        "main",
        None,
    ),
    ("pull_request_review", pull_request("submitted"), "develop", None),
    ("code_scanning_alert", about(ref="refs/heads/main"), "main", None),
    ("issue_comment", about(issue={"number": 1}), None, None),
    ("invented", about(), None, None),
]


@pytest.mark.parametrize(("event", "payload", "branch", "tag"), REFS)
def test_each_event_has_its_branch_or_tag(
    event: str, payload: dict[str, Any], branch: str | None, tag: str | None
) -> None:
    """As short names, and never both."""
    facts = facts_of(event, payload)
    assert (facts.branch, facts.tag) == (branch, tag)


def test_a_push_lists_each_changed_path_once() -> None:
    """Added, changed and removed paths of all its commits count."""
    commits = [
        {"added": ["a"], "modified": ["b"], "removed": []},
        {"added": [], "modified": ["a"], "removed": ["c"]},
    ]
    assert facts_of("push", push(commits=commits)).changed_paths == ("a", "b", "c")


@pytest.mark.parametrize("commits", [None, "x", {}, [{"added": []}] * 1001])
def test_a_push_with_unknown_paths_says_so(commits: Any) -> None:
    """Above 1,000 commits, Actions ignores paths too."""
    assert facts_of("push", push(commits=commits)).changed_paths is None


def test_only_a_push_lists_paths() -> None:
    """A pull request's files must be requested."""
    assert facts_of("pull_request", pull_request(commits=[{"added": ["a"]}])).changed_paths is None


OWN = [
    ("status", {"context": "closeout/preview-cleanup"}, True),
    ("status", {"context": "ci/build"}, False),
    ("status", {"context": "not-closeout/x"}, False),
    ("status", {"context": None}, False),
    ("issue_comment", {"comment": {"body": "<!-- closeout:preview -->\nGone."}}, False),
    ("pull_request", pull_request(), False),
    ("push", {"context": "closeout/x", "comment": {"body": "<!-- closeout:x -->"}}, False),
]


@pytest.mark.parametrize(("event", "payload", "own"), OWN)
def test_events_that_closeout_caused_are_known(event: str, payload: dict[str, Any], own: bool) -> None:
    """Its own statuses start nothing, so that it cannot trigger itself; a comment's marker proves nothing."""
    assert facts_of(event, payload).own is own


@pytest.mark.parametrize(
    ("event", "payload", "sender"),
    [
        ("issue_comment", {"comment": {"body": "<!-- closeout:x -->\nGone."}, "sender": {"id": 5}}, 5),
        ("issue_comment", {"comment": {"body": "<!-- closeout:x -->"}, "sender": {"id": "5"}}, None),
        ("issue_comment", {"comment": {"body": "<!-- closeout:x -->"}}, None),
        ("issue_comment", {"comment": {"body": "look: <!-- closeout:x -->"}, "sender": {"id": 5}}, None),
        ("issue_comment", {"comment": None, "sender": {"id": 5}}, None),
        ("push", {"comment": {"body": "<!-- closeout:x -->"}, "sender": {"id": 5}}, None),
    ],
)
def test_the_sender_of_a_comment_with_the_marker_is_known(
    event: str, payload: dict[str, Any], sender: int | None
) -> None:
    """Only the sender's id can prove that closeout wrote it."""
    assert marked_sender(event, payload) == sender


def test_a_configured_status_context_is_recognized_as_our_own() -> None:
    """`status:` may name a context that does not begin with `closeout/`."""
    assert is_own("status", {"context": "preview"}, ("preview",))
    assert not is_own("status", {"context": "preview"})
    assert facts_of("status", {"context": "preview"}, ("preview",)).own


@pytest.mark.parametrize("odd", [None, 1, "x", [], [1], {}, True, 1.5])
@pytest.mark.parametrize(
    "key", ["action", "number", "pull_request", "repository", "sender", "ref", "commits", "issue", "release"]
)
@pytest.mark.parametrize("event", ["pull_request", "push", "release", "create"])
def test_a_field_of_a_wrong_type_counts_as_absent(event: str, key: str, odd: Any) -> None:
    """GitHub may change payloads: no field's type is relied upon."""
    facts = facts_of(event, {**pull_request(), **push(), key: odd})
    assert isinstance(facts, Facts)
    assert facts.number is None or type(facts.number) is int
