"""`github/comment`: one comment, ours, updated in place."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.actions.github.comment import ACTION, LIMIT, marker
from closeout.core.errors import InputError, StepFailed
from closeout.testing.github import FakeGitHub
from tests.unit.actions.github.conftest import GitHubOnly
from tests.work import Crashed, ImmediateWork

EVENT = {"number": 17, "pull_request": {"number": 17}, "repository": {"full_name": "acme/shop"}}


def write(clients: GitHubOnly, body: str = "Gone.", event: Any = EVENT, **options: Any) -> Any:
    """Plan and apply; return the result."""
    inputs = {"body": body} | options.pop("inputs", {})
    (change,) = ACTION.plan(inputs, clients)
    return ACTION.apply(change, inputs, ImmediateWork(clients, event=event, **options))


def bodies(github: FakeGitHub, number: int = 17) -> list[str]:
    """Return the texts of a pull request's comments."""
    return [comment["body"] for comment in github.world.repository("acme/shop").comments.get(number, [])]


MARK = marker("preview-cleanup")


def test_the_first_time_a_comment_is_written(github: FakeGitHub, clients: GitHubOnly) -> None:
    """It begins with the hidden marker, and the result links to it."""
    result = write(clients)
    assert bodies(github) == [f"{MARK}\nGone."]
    assert result["url"] in result["summary"]


def test_the_next_time_the_same_comment_is_updated(github: FakeGitHub, clients: GitHubOnly) -> None:
    """However often, and after hundreds of other comments."""
    write(clients, "one")
    for i in range(150):
        github.world.add_comment(github.world.repository("acme/shop"), 17, f"+{i}", {"login": "x", "id": 5})
    write(clients, "two", execution="b" * 26 + "-1")
    write(clients, "three", execution="c" * 26 + "-1")
    assert [body for body in bodies(github) if MARK in body] == [f"{MARK}\nthree"]


def test_our_comment_is_found_on_a_later_page(github: FakeGitHub, clients: GitHubOnly) -> None:
    """A long discussion has more than one page of comments."""
    for i in range(230):
        github.world.add_comment(github.world.repository("acme/shop"), 17, f"+{i}", {"login": "x", "id": 5})
    write(clients, "one")
    github.clear_requests()
    write(clients, "two", execution="b" * 26 + "-1")
    assert [body for body in bodies(github) if MARK in body] == [f"{MARK}\ntwo"]
    lists = [entry["query"] for entry in github.requests() if entry["path"].endswith("/17/comments")]
    assert [query["page"] for query in lists] == ["1", "2", "3"]


@pytest.mark.parametrize("before", [4_999, 5_000])
def test_at_most_five_thousand_comments_are_searched(
    github: FakeGitHub, clients: GitHubOnly, before: int
) -> None:
    """Giving up silently would write a second comment."""
    shop = github.world.repository("acme/shop")
    write(clients, "old")
    ours = shop.comments[17].pop()
    for i in range(before):
        github.world.add_comment(shop, 17, f"+{i}", {"login": "x", "id": 5})
    shop.comments[17].append(ours)
    if before < 5_000:
        write(clients, "new")
        assert bodies(github)[-1] == f"{MARK}\nnew"
    else:
        with pytest.raises(StepFailed, match="over 5,000 comments"):
            write(clients, "new")


def test_the_same_text_again_changes_nothing(github: FakeGitHub, clients: GitHubOnly) -> None:
    """No "edited" mark without a reason."""
    write(clients)
    github.clear_requests()
    write(clients, execution="b" * 26 + "-1")
    assert {entry["method"] for entry in github.requests()} == {"GET"}


def test_the_log_says_what_happened_to_the_comment(github: FakeGitHub, clients: GitHubOnly) -> None:
    """With its link for the reader."""
    lines: list[str] = []
    for attempt, body in enumerate(("one", "one", "two"), start=1):
        work = ImmediateWork(clients, event=EVENT, execution=f"{'a' * 26}-{attempt}")
        (change,) = ACTION.plan({"body": body}, clients)
        url = ACTION.apply(change, {"body": body}, work)["url"]
        lines += [line.removesuffix(url) for line in work.lines]
    assert lines == ["wrote the comment: ", "the comment says this already: ", "updated the comment: "]


def test_a_planted_marker_is_left_alone(github: FakeGitHub, clients: GitHubOnly) -> None:
    """Anyone can write the marker; only the comment of the token's own user counts."""
    shop = github.world.repository("acme/shop")
    github.world.add_comment(shop, 17, f"{MARK}\nplanted", {"login": "closeout-bot", "id": 666})
    write(clients)
    assert bodies(github) == [f"{MARK}\nplanted", f"{MARK}\nGone."]


def test_a_quote_of_our_own_is_not_our_comment(github: FakeGitHub, clients: GitHubOnly) -> None:
    """The marker counts at the beginning only: our user may quote it elsewhere."""
    own = github.world.tokens[github.token]["user"]
    github.world.add_comment(github.world.repository("acme/shop"), 17, f"> {MARK}\nlook", own)
    write(clients)
    assert bodies(github) == [f"> {MARK}\nlook", f"{MARK}\nGone."]


def test_each_automation_has_its_own_comment(github: FakeGitHub, clients: GitHubOnly) -> None:
    """`preview` and `preview-cleanup` do not overwrite each other."""
    write(clients, "a", automation="preview")
    write(clients, "b", automation="preview-cleanup")
    assert bodies(github) == ["<!-- closeout:preview -->\na", "<!-- closeout:preview-cleanup -->\nb"]


def test_a_crash_after_writing_does_not_write_twice(github: FakeGitHub, clients: GitHubOnly) -> None:
    """A repetition finds the comment itself."""
    with pytest.raises(Crashed):
        write(clients, crash=lambda name: name == "comment")
    write(clients)
    assert bodies(github) == [f"{MARK}\nGone."]


def test_a_lost_answer_does_not_write_twice(github: FakeGitHub, clients: GitHubOnly) -> None:
    """GitHub had written the comment before the connection broke."""
    github.faults.add("drop", method="POST", path=r".*/comments", after=True)
    write(clients)
    assert bodies(github) == [f"{MARK}\nGone."]


def test_nothing_is_written_if_the_tokens_user_is_unknown(github: FakeGitHub, clients: GitHubOnly) -> None:
    """An App's token has no user: no comment is better than overwriting another's."""
    github.world.tokens[github.token]["user"] = None
    with pytest.raises(StepFailed, match="whose token"):
        write(clients)
    assert bodies(github) == []


def test_a_github_that_is_down_is_waited_for(github: FakeGitHub, clients: GitHubOnly) -> None:
    """For every call: the user, the list, the comment."""
    for path in ("/user", r".*/comments", r".*/comments"):
        github.faults.add("status", status=502, path=path)
    github.faults.add("rate-limit", method="POST", headers={"retry-after": "0"})
    write(clients)
    assert len(bodies(github)) == 1


def test_the_repository_and_number_can_be_set(github: FakeGitHub, clients: GitHubOnly) -> None:
    """Others than the event's; a template yields the number as text."""
    github.world.open_pull("acme/shop", number=18)
    write(clients, event={}, inputs={"repository": "acme/shop", "number": "18"})
    assert len(bodies(github, 18)) == 1


@pytest.mark.parametrize(
    "event", [{}, {"repository": {"full_name": "acme/shop"}}, {"number": 17}, {"number": "x"}]
)
def test_an_event_without_a_pull_request_is_refused(clients: GitHubOnly, event: Any) -> None:
    """A push belongs to no pull request."""
    with pytest.raises(InputError, match="set `repository` and `number`"):
        write(clients, event=event)


def test_an_issue_comment_event_uses_its_issue(github: FakeGitHub, clients: GitHubOnly) -> None:
    """`issue_comment` has no number of its own."""
    write(clients, event={"issue": {"number": 17}, "repository": {"full_name": "acme/shop"}})
    assert len(bodies(github)) == 1


def test_a_text_that_is_too_long_is_cut_and_says_so(github: FakeGitHub, clients: GitHubOnly) -> None:
    """GitHub accepts 65,536 characters."""
    write(clients, "x" * 70_000)
    assert len(bodies(github)[0]) == LIMIT
    assert bodies(github)[0].endswith("(cut: GitHub takes no more)")


def test_the_plan_says_where(clients: GitHubOnly) -> None:
    """One change, and nothing that verify must look for afterwards."""
    (change,) = ACTION.plan({"body": "x"}, clients)
    assert (change.verb, change.resource) == ("comment", "this pull request")
    (change,) = ACTION.plan({"body": "x", "repository": "acme/shop", "number": 3}, clients)
    assert change.resource == "acme/shop#3"
    assert ACTION.verify((change,), clients) == ()
    assert ACTION.permissions({})[0].system == "github"
    asked = [ACTION.permissions(inputs)[0].resources for inputs in ({}, {"repository": "acme/shop"})]
    assert asked == [("*",), ("acme/shop",)]


@pytest.mark.parametrize("number", [1, "1"])
def test_the_first_pull_request_of_a_repository_gets_its_comment(
    github: FakeGitHub, clients: GitHubOnly, number: Any
) -> None:
    """Its number is 1, and 0 does not exist."""
    github.world.open_pull("acme/shop", number=1)
    write(clients, event={"number": number, "repository": {"full_name": "acme/shop"}})
    assert bodies(github, 1) == [f"{MARK}\nGone."]
    with pytest.raises(InputError, match="not about a pull request"):
        write(clients, event={"number": 0, "repository": {"full_name": "acme/shop"}})
