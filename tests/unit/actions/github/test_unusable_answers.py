"""Malformed answers of GitHub: they cause no second comment, and no workflow run is trusted because of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from closeout.actions.github import comment
from closeout.actions.github.dispatch_workflow import Dispatch
from closeout.core.errors import ActionFailed, CloseoutError, ServiceError, StepFailed
from tests.unit.actions.github.conftest import GitHubOnly
from tests.work import ImmediateWork

Answer = Callable[[str, str], Any]
EVENT = {"number": 17, "repository": {"full_name": "acme/shop"}}
DISPATCH = {
    "repository": "acme/infra",
    "workflow": "x.yml",
    "ref": "main",
    "inputs": {"a": "b"},
    "wait": True,
}


class Says:
    """A GitHub that answers what a test sets."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[str] = []

    def request(self, method: str, path: str, **_: Any) -> Any:
        """Return the answer, or raise it."""
        self.asked.append(f"{method} {path}")
        answer = self._answer(method, path)
        if isinstance(answer, Exception):
            raise answer
        return answer


def write(answer: Answer) -> Any:
    """Write a comment."""
    clients = GitHubOnly(Says(answer))  # type: ignore[arg-type]
    (change,) = comment.ACTION.plan({"body": "x"}, clients)
    return comment.ACTION.apply(
        change, {"body": "x"}, ImmediateWork(clients, event=EVENT, pause=lambda _: None)
    )


def dispatch(answer: Answer, **inputs: Any) -> Any:
    """Dispatch a workflow and wait for its run."""
    clients = GitHubOnly(Says(answer))  # type: ignore[arg-type]
    action = Dispatch()
    (change,) = action.plan(DISPATCH | inputs, clients)
    return action.apply(
        change,
        DISPATCH | inputs,
        ImmediateWork(clients, event=EVENT, pause=lambda _: None),
    )


def commented(user: Any = None, comments: Any = None, written: Any = None) -> Answer:
    """Return answers for a comment; what is not given is right."""

    def answer(method: str, path: str) -> Any:
        if path == "/user":
            return {"id": 5} if user is None else user
        if method == "GET":
            return [] if comments is None else comments
        return {"id": 1, "html_url": "u"} if written is None else written

    return answer


def cause(call: Callable[[], object]) -> CloseoutError:
    """Return the error that ends a call."""
    with pytest.raises(CloseoutError) as caught:
        call()
    return caught.value


def test_correct_answers_write_the_comment() -> None:
    """The other tests change one of these answers."""
    assert "u" in write(commented())["summary"]


@pytest.mark.parametrize(
    "answer",
    [
        commented(user=[]),
        commented(user={"id": "5"}),
        commented(comments={}),
        commented(written=[]),
        commented(written={"id": "1"}),
    ],
)
def test_a_comment_is_not_written_on_a_guess(answer: Answer) -> None:
    """Our user, the existing comments and the written one: each answer must be well formed."""
    error = cause(lambda: write(answer))
    assert "the answer is not what was asked for" in error.message


def test_a_token_without_a_user_is_reported_and_an_outage_waited_for() -> None:
    """An App's token cannot identify its own comment; a timeout says nothing about the token."""
    forbidden = ServiceError("403", service="github", operation="x", reason="forbidden", transient=False)
    assert "does not say whose token this is" in cause(lambda: write(commented(user=forbidden))).message
    outage = ServiceError("no answer", service="github", operation="x", reason="x", transient=True)
    with pytest.raises(CloseoutError, match="no answer"):
        comment.own_id(Says(commented(user=outage)))  # type: ignore[arg-type]


def test_the_search_in_an_endless_discussion_is_given_up() -> None:
    """Rather than writing a second comment."""
    error = cause(lambda: write(commented(comments=[{"user": {"id": 6}, "body": "x"}] * 100)))
    assert "comments; closeout does not search further for its own" in error.message


def dispatched(run: Any) -> Answer:
    """Return answers for a dispatch whose run reads as `run`."""
    return lambda method, path: {"workflow_run_id": 7, "html_url": "u"} if method == "POST" else run


def test_a_run_that_has_ended_well_is_success() -> None:
    """With its link."""
    result = dispatch(dispatched({"id": 7, "status": "completed", "conclusion": "success"}))
    assert (result["run"], result["conclusion"]) == (7, "success")


@pytest.mark.parametrize("run", [[], {}, {"id": 8, "status": "completed", "conclusion": "success"}])
def test_the_end_of_another_run_is_ignored(run: Any) -> None:
    """The answer must be about this run."""
    error = cause(lambda: dispatch(dispatched(run)))
    assert isinstance(error, StepFailed | ServiceError)
    assert "get a workflow run: the answer is not what was asked for" in error.message


@pytest.mark.parametrize("runs", [[], {}, {"workflow_runs": {}}])
def test_a_malformed_list_of_runs_does_not_mean_that_no_run_exists(runs: Any) -> None:
    """A second dispatch would start the workflow twice."""
    github = Says(lambda _method, _path: runs)
    clients = GitHubOnly(github)  # type: ignore[arg-type]
    inputs = DISPATCH | {"trace-input": "t"}
    (change,) = Dispatch().plan(inputs, clients)
    intent = {"intent": {"value": {"at": 1_700_000_000.0, "token": "closeout-x"}}}
    work = ImmediateWork(clients, event=EVENT, operations=intent, pause=lambda _: None, polls=2)
    error = cause(lambda: Dispatch().apply(change, inputs, work))
    assert "list workflow runs: the answer is not what was asked for" in error.message
    assert github.asked == ["GET /repos/acme/infra/actions/workflows/x.yml/runs"] * 2


def test_more_inputs_than_github_accepts_are_refused_before_the_call() -> None:
    """The trace counts too."""
    inputs = {f"i{number}": "x" for number in range(25)}
    github = Says(dispatched({}))
    clients = GitHubOnly(github)  # type: ignore[arg-type]
    action = Dispatch()
    given = DISPATCH | {"inputs": inputs, "trace-input": "t"}
    (change,) = action.plan(given, clients)
    with pytest.raises((ActionFailed, StepFailed), match="26 inputs, but GitHub accepts at most 25"):
        action.apply(change, given, ImmediateWork(clients, event=EVENT, pause=lambda _: None))
    assert not [asked for asked in github.asked if asked.startswith("POST")]
