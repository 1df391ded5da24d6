"""Whether a deploy may begin: only a certain "open" permits it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from closeout.core.errors import CloseoutError, LedgerError, Unavailable
from closeout.ports import PullRequest
from closeout.run import guard
from tests.unit.run.world import World, WorldGitHub, unreachable


def asked(
    state: str = "open", running: Sequence[str] = (), error: CloseoutError | None = None
) -> guard.Answer:
    """The answer about acme/shop#17, which GitHub says is in this state."""
    world = World(pull=PullRequest(1700, 17, state, 1, "acme/renamed"))

    def teardowns(repository: str, number: int) -> Sequence[str]:
        world.log.append(f"teardowns of {repository}#{number}")
        if error is not None:
            raise error
        return running if repository == "acme/renamed" else ()

    answer = guard.ask(WorldGitHub(world), teardowns, "acme/shop", 17)
    if state == "open":
        assert (
            world.log[0] == "read pull request"
        )  # a closing after this one has its run by the time of the next
    return answer


def test_an_open_pull_request_without_a_teardown_may_be_deployed() -> None:
    """The only answer that permits it."""
    assert asked() == ("open", "acme/shop#17 is open, and no teardown of it is on its way")


def test_a_closed_pull_request_may_not_be_deployed() -> None:
    """Whatever the ledger has."""
    assert asked("closed", error=LedgerError("damaged")) == (
        "closed",
        "acme/shop#17 is closed; do not deploy",
    )


def test_a_teardown_in_progress_forbids_the_deploy_under_either_name() -> None:
    """Reopened while its teardown runs, in a repository that was renamed since."""
    answer = asked(running=("a-1", "b-1"))
    assert answer.verdict == "closed"
    assert (
        answer.sentence == "acme/shop#17 is open, but a teardown is on its way: a-1 and 1 more; do not deploy"
    )
    alone = asked(running=("a-1",)).sentence
    assert alone == "acme/shop#17 is open, but a teardown is on its way: a-1; do not deploy"


@pytest.mark.parametrize("error", [LedgerError("damaged"), Unavailable("there is no ledger")])
def test_a_ledger_that_cannot_be_read_is_unknown(error: CloseoutError) -> None:
    """A teardown may be in progress."""
    answer = asked(error=error)
    assert answer.verdict == "unknown"
    assert answer.sentence == f"cannot tell whether acme/shop#17 is open; do not deploy: {error.message}"


def test_an_uncertain_answer_of_github_is_unknown() -> None:
    """No answer, or a state that closeout does not know."""
    world = World()
    world.faults["read pull request"] = [unreachable()]
    assert guard.ask(WorldGitHub(world), lambda *_: (), "acme/shop", 17).verdict == "unknown"
    assert asked("merged").verdict == "unknown"


def test_another_repository_of_the_same_name_is_unknown() -> None:
    """The name was given up and reused: its pull request #17 is another one."""
    world = World()
    answers = [
        guard.ask(WorldGitHub(world), lambda *_: (), "acme/shop", 17, number) for number in (1, 2, None)
    ]
    assert [answer.verdict for answer in answers] == ["closed", "unknown", "closed"]


def test_a_workflows_token_is_in_no_log() -> None:
    """A logged request shows only the number."""
    question = guard.read_question("GET", ["Bearer a.workflows.token"], ["17"])
    assert question == ("a.workflows.token", 17)
    assert repr(question) == "GuardRequest(number=17)"
