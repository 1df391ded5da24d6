"""Triggers: a table of events, filters and the message that explains each answer."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.core.facts import facts_of
from closeout.core.triggers import Match, closes_by_base, is_candidate, match, match_paths
from tests.unit.core.events import about, pull_request, push

CLOSED = {"event": "pull_request", "types": ["closed"]}
SEED = {**CLOSED, "branches": ["develop", "release/**"]}
PUSH = {"event": "push"}


def run(trigger: Any, event: str, payload: Any, repositories: Any = (), senders: Any = ()) -> Match:
    """Match one trigger or several."""
    triggers = trigger if isinstance(trigger, list) else [trigger]
    return match(triggers, repositories, senders, facts_of(event, payload))


# trigger, event, payload, whether it matches, a piece of the sentence
TABLE: list[tuple[Any, str, Any, bool, str]] = [
    # events and types
    (SEED, "pull_request", pull_request(), True, "pull_request closed, base branch 'develop', in acme/shop"),
    (SEED, "pull_request", pull_request(base="release/1/2"), True, "release/1/2"),
    (
        SEED,
        "pull_request",
        pull_request(base="main"),
        False,
        "base branch 'main' matches none of develop, release/**",
    ),
    (SEED, "pull_request", pull_request("opened"), False, "type 'opened' is none of closed"),
    (SEED, "push", push(), False, "event 'push' is not among its triggers (pull_request)"),
    ([], "push", push(), False, "not among its triggers (none)"),
    ([PUSH, CLOSED], "pull_request", pull_request(), True, "closed"),
    ([{**CLOSED, "types": ["opened"]}, SEED], "pull_request", pull_request(), True, "develop"),
    (
        [{**CLOSED, "types": ["opened"]}, SEED],
        "pull_request",
        pull_request(base="x"),
        False,
        "opened; base branch 'x'",
    ),
    (
        {"event": "pull_request"},
        "pull_request",
        pull_request(),
        False,
        "opened, synchronize, reopened (the default)",
    ),
    ({"event": "pull_request"}, "pull_request", pull_request("reopened"), True, "reopened"),
    ({"event": "issue_comment"}, "issue_comment", about(action="edited"), True, "issue_comment edited"),
    ({"event": "release", "types": ["published"]}, "release", about(action="created"), False, "'created'"),
    ({"event": "push", "types": ["x"]}, "push", push(), False, "push has no action"),
    ({"event": "invented", "types": ["done"]}, "invented", about(action="done"), True, "invented done"),
    # branches and tags
    (PUSH, "push", push("refs/heads/x"), True, "branch 'x'"),
    (PUSH, "push", push("refs/tags/v1"), True, "tag 'v1'"),
    ({**PUSH, "branches": ["main"]}, "push", push(), True, "branch 'main'"),
    ({**PUSH, "branches": ["main"]}, "push", push("refs/tags/main"), False, "only branches are filtered"),
    (
        {**PUSH, "branches-ignore": ["main"]},
        "push",
        push("refs/tags/v1"),
        False,
        "only branches are filtered",
    ),
    ({**PUSH, "tags": ["v*"]}, "push", push(), False, "only tags are filtered, and 'main' is a branch"),
    ({**PUSH, "tags-ignore": ["v*"]}, "push", push(), False, "only tags are filtered"),
    ({**PUSH, "tags": ["v*"]}, "push", push("refs/tags/v1"), True, "tag 'v1'"),
    ({**PUSH, "tags": ["v*"]}, "push", push("refs/tags/x"), False, "tag 'x' matches none of v*"),
    ({**PUSH, "branches": ["main"], "tags": ["v*"]}, "push", push("refs/tags/v1"), True, "v1"),
    ({**PUSH, "branches": ["main"], "tags": ["v*"]}, "push", push(), True, "main"),
    ({**PUSH, "branches": ["x"], "tags": ["main"]}, "push", push(), False, "branch 'main' matches none of x"),
    (
        {**PUSH, "branches-ignore": ["wip/**"]},
        "push",
        push("refs/heads/wip/a"),
        False,
        "is ignored by wip/**",
    ),
    ({**PUSH, "branches-ignore": ["wip/**"]}, "push", push(), True, "main"),
    (
        {**PUSH, "branches": ["**", "!wip/**"]},
        "push",
        push("refs/heads/wip/a"),
        False,
        "matches none of **, !wip/**",
    ),
    ({**PUSH, "branches": ["main"]}, "push", push("refs/notes/x"), False, "names no branch or tag"),
    (
        {**CLOSED, "branches-ignore": ["develop"]},
        "pull_request",
        pull_request(),
        False,
        "base branch 'develop' is ignored",
    ),
    (
        {"event": "delete", "branches": ["topic/*"]},
        "delete",
        about(ref="topic/x", ref_type="branch"),
        True,
        "topic/x",
    ),
    (
        {"event": "delete", "branches": ["topic/*"]},
        "delete",
        about(ref="topic/x", ref_type="tag"),
        False,
        "is a tag",
    ),
    ({"event": "delete", "tags": ["v*"]}, "delete", about(ref="v1", ref_type="tag"), True, "v1"),
    ({"event": "create", "tags": ["v*"]}, "create", about(ref="v1", ref_type="branch"), False, "is a branch"),
    (
        {"event": "workflow_run", "types": ["completed"], "branches": ["main"]},
        "workflow_run",
        about(action="completed", workflow_run={"head_branch": "dev"}),
        False,
        "branch 'dev' matches none of main",
    ),
    ({"event": "release", "tags": ["v*"]}, "release", about(release={"tag_name": "v1"}), True, "v1"),
    ({"event": "issues", "branches": ["main"]}, "issues", about(), False, "`branches` is given"),
    (
        {"event": "pull_request_review", "branches": ["develop"]},
        "pull_request_review",
        pull_request("submitted"),
        True,
        "base branch",
    ),
    # paths
    ({**PUSH, "paths": ["docs/**"]}, "push", push("refs/heads/main", "docs/a", "b"), True, "2 changed paths"),
    (
        {**PUSH, "paths": ["docs/**"]},
        "push",
        push("refs/heads/main", "src/a"),
        False,
        "none of 1 changed paths",
    ),
    ({**PUSH, "paths": ["**", "!docs/**"]}, "push", push("refs/heads/main", "docs/a"), False, "!docs/**"),
    ({**PUSH, "paths": ["**", "!docs/**"]}, "push", push("refs/heads/main", "docs/a", "b"), True, ""),
    (
        {**PUSH, "paths-ignore": ["docs/**"]},
        "push",
        push("refs/heads/main", "docs/a"),
        False,
        "all 1 changed paths are",
    ),
    ({**PUSH, "paths-ignore": ["docs/**"]}, "push", push("refs/heads/main", "docs/a", "b"), True, ""),
    ({**PUSH, "paths-ignore": ["docs/**"]}, "push", push("refs/heads/main"), True, "0 changed paths"),
    ({**PUSH, "paths": ["docs/**"]}, "push", push("refs/heads/main"), False, "none of 0"),
    ({**PUSH, "paths": ["docs/**"]}, "push", push("refs/tags/v1", "src/a"), True, "do not count for tags"),
    ({**PUSH, "paths": ["docs/**"]}, "push", push(commits=[{}] * 1001), True, "does not say which paths"),
    (
        {**PUSH, "branches": ["x"], "paths": ["a"]},
        "push",
        push("refs/heads/main", "a"),
        False,
        "matches none of x",
    ),
    ({"event": "issues", "paths": ["a"]}, "issues", about(), False, "lists no changed paths"),
]


@pytest.mark.parametrize(("trigger", "event", "payload", "matched", "reason"), TABLE)
def test_triggers_match_as_in_actions(
    trigger: Any, event: str, payload: Any, matched: bool, reason: str
) -> None:
    """Each answer is right, and its message says why."""
    answer = run(trigger, event, payload)
    assert (answer.matched, answer.paths_pending) == (matched, False)
    assert reason in answer.reason


REPOSITORIES = [
    (["acme/shop"], [], True, ""),
    (["ACME/Shop"], [], True, ""),
    (["acme/*"], [], True, ""),
    (["acme/other", "foo/*"], [], False, "repository 'acme/shop' matches none of acme/other, foo/*"),
    (["acme/*", "!acme/shop"], [], False, "acme/shop"),
    ([], ["codertocat"], True, ""),
    ([], ["octocat"], False, "sender 'Codertocat' matches none of octocat"),
    ([], ["**", "!*[bot]"], True, ""),
]


@pytest.mark.parametrize(("repositories", "senders", "matched", "reason"), REPOSITORIES)
def test_repositories_and_senders_filter_events(
    repositories: list[str], senders: list[str], matched: bool, reason: str
) -> None:
    """An organization's hook sends every repository's events; only those listed count."""
    answer = run(SEED, "pull_request", pull_request(), repositories, senders)
    assert answer.matched is matched
    assert reason in answer.reason


def test_an_event_without_repository_or_sender_does_not_pass_a_filter() -> None:
    """A missing value matches no filter."""
    anonymous = {"action": "closed"}
    assert "names no repository" in run(CLOSED, "pull_request", anonymous, ["**"]).reason
    assert "names no sender" in run(CLOSED, "pull_request", anonymous, [], ["**"]).reason


def test_our_own_events_match_nothing() -> None:
    """Not even an automation on every status."""
    answer = run({"event": "status"}, "status", about(context="closeout/x"))
    assert answer == Match(False, "closeout itself caused this event")
    own = facts_of("status", about(context="closeout/x"))
    assert not match_paths([{"event": "status"}], own, []).matched


def test_a_comment_with_our_marker_matches_in_the_receiver() -> None:
    """Anyone can write the marker, and could otherwise silence every automation on comments."""
    assert run(
        {"event": "issue_comment"}, "issue_comment", about(comment={"body": "<!-- closeout:x -->"})
    ).matched


def test_paths_of_a_pull_request_are_pending_until_they_are_known() -> None:
    """The payload has no list of files: it matches so far, and says that paths must be requested."""
    trigger = {**SEED, "paths": ["web/**"]}
    facts = facts_of("pull_request", pull_request())
    assert match([trigger], [], [], facts).paths_pending
    assert match([trigger], [], [], facts).matched
    assert match_paths([trigger], facts, ["web/a.js"]) == Match(
        True, match([SEED], [], [], facts).reason + "; 1 changed paths"
    )
    assert not match_paths([trigger], facts, ["api/a.py"]).matched
    assert not match_paths([trigger], facts, []).matched


def test_paths_are_requested_only_if_they_decide() -> None:
    """Not if the branch does not match, nor if a second trigger matches without them."""
    trigger = {**SEED, "paths": ["web/**"]}
    assert not run(trigger, "pull_request", pull_request(base="main")).paths_pending
    assert run([trigger, CLOSED], "pull_request", pull_request()) == run(
        CLOSED, "pull_request", pull_request()
    )


def test_known_paths_are_compared_with_every_trigger() -> None:
    """One trigger may refuse them and another match."""
    facts = facts_of("pull_request", pull_request())
    triggers = [{**SEED, "paths": ["web/**"]}, {**SEED, "paths-ignore": ["docs/**"]}]
    assert match_paths(triggers, facts, ["api/a.py"]).matched
    assert not match_paths(triggers, facts, ["docs/a.md"]).matched
    assert "push" in match_paths([PUSH], facts, []).reason


@pytest.mark.parametrize(
    ("trigger", "compares"),
    [
        (SEED, True),
        ({"event": "pull_request", "types": ["opened", "closed"], "branches-ignore": ["main"]}, True),
        ({"event": "pull_request", "types": ["closed"]}, False),
        ({"event": "pull_request", "types": ["closed"], "branches": None}, False),
        ({"event": "pull_request", "types": ["opened"], "branches": ["main"]}, False),
        ({"event": "pull_request", "branches": ["main"]}, False),  # `closed` is not one of the default types
        ({"event": "push", "types": ["closed"], "branches": ["main"]}, False),
    ],
)
def test_earlier_bases_matter_only_for_a_closing_filtered_by_branches(
    trigger: dict[str, Any], compares: bool
) -> None:
    """Elsewhere `bases: ever` would call GitHub for nothing."""
    assert closes_by_base([{"event": "push"}, trigger]) is compares


def test_a_closing_whose_branch_does_not_match_is_a_candidate() -> None:
    """An earlier base may match; to ask GitHub, a repository and a number are needed."""
    other = pull_request(base="main")

    def candidate(payload: dict[str, Any], event: str = "pull_request") -> bool:
        return is_candidate([SEED], ["acme/shop"], (), facts_of(event, payload))

    nameless = {**other, "repository": {"id": 1, "full_name": None}}
    numberless = {**other, "number": None, "pull_request": {"base": {"ref": "main"}}}
    assert candidate(other)
    assert not candidate(pull_request()), "it matches already"
    assert not candidate(pull_request("opened", base="main"))
    assert not candidate(other, "pull_request_review")
    assert not is_candidate([SEED], (), (), facts_of("pull_request", nameless))
    assert not candidate(numberless)


def test_only_a_pull_requests_paths_can_be_requested() -> None:
    """An issue has a number too, and a branch may have no pull request."""
    wanted = {"event": "issues", "paths": ["web/**"]}
    found = match([wanted], (), (), facts_of("issues", about(issue={"number": 3})))
    assert found == Match(False, "a issues event lists no changed paths, and `paths` is given")
