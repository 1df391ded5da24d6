"""Answer a deploy that asks whether it may begin: the pull request must be open, with no teardown of it on its way.

A deploy that ends after the teardown leaves a preview behind. Only a certain "open" is a yes. Whenever GitHub or the ledger
gives no certain answer, the answer is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from closeout.core.errors import CloseoutError, MethodNotAllowed, TokenRefused, UsageError
from closeout.ports import GitHub

NUMBER = "pull-request"
"""The parameter of the query."""
STATUSES = {"open": 200, "closed": 409, "unknown": 503}
"""Over HTTP only 200 is a yes. A server and the function on AWS read and answer questions in the same way."""

Verdict: TypeAlias = Literal["open", "closed", "unknown"]
"""`closed`: the pull request is closed, or a teardown of it is on its way."""

Teardowns: TypeAlias = Callable[[str, int], Sequence[str]]
"""Returns the unfinished executions that a closing of this pull request started. Raises `CloseoutError`."""


class Answer(NamedTuple):
    """The guard's answer, and the reason in one sentence."""

    verdict: Verdict
    sentence: str


def ask(
    github: GitHub, teardowns: Teardowns, repository: str, number: int, repository_id: int | None = None
) -> Answer:
    """Return the answer about a pull request; no error is ever read as "open". With `repository_id` GitHub must confirm it.

    GitHub is asked before the ledger: a closing between the two has then started its teardown.
    """
    name = f"{repository}#{number}"
    try:
        pull = github.pull_request(repository, number)
        if repository_id not in (None, pull.base_repository_id):
            return Answer("unknown", f"{repository} is another repository now; do not deploy")
        if pull.state == "closed":
            return Answer("closed", f"{name} is closed; do not deploy")
        if pull.state != "open":
            return Answer("unknown", f"GitHub gave the state {pull.state!r} for {name}; do not deploy")
        # Deliveries before and after a rename name the repository differently.
        names = {known.lower(): known for known in (repository, pull.base_repository)}
        running = [execution for known in names.values() for execution in teardowns(known, number)]
    except CloseoutError as error:
        return Answer("unknown", f"cannot tell whether {name} is open; do not deploy: {error.message}")
    if running:
        more = f" and {len(running) - 1} more" if len(running) > 1 else ""
        return Answer(
            "closed", f"{name} is open, but a teardown is on its way: {running[0]}{more}; do not deploy"
        )
    return Answer("open", f"{name} is open, and no teardown of it is on its way")


# --- as HTTP ------------------------------------------------------------------------------------------------


class GuardRequest(NamedTuple):
    """A workflow's token, which says which repository it asks about, and the pull request's number."""

    token: str
    number: int

    def __repr__(self) -> str:
        return f"GuardRequest(number={self.number})"


def read_question(method: str, authorization: Sequence[str], numbers: Sequence[str]) -> GuardRequest:
    """Return the question. `authorization` are the values of the header, `numbers` those of the parameter.

    Raises `MethodNotAllowed`, `TokenRefused`, `UsageError`.
    """
    if method != "GET":
        raise MethodNotAllowed("only GET is allowed on this path")
    if len(authorization) != 1 or not (
        found := re.fullmatch(r"[Bb]earer ([A-Za-z0-9_.=-]+)", authorization[0])
    ):
        raise TokenRefused("send a workflow's OIDC token as `Authorization: Bearer …`")
    if len(numbers) != 1 or not re.fullmatch(r"[1-9][0-9]{0,9}", numbers[0]):
        raise UsageError(f"name the pull request by its number: ?{NUMBER}=17")
    return GuardRequest(found[1], int(numbers[0]))


def answered(answer: Answer) -> tuple[int, dict[str, str]]:
    """Return the status and the body of an answer."""
    return STATUSES[answer.verdict], {"verdict": answer.verdict, "reason": answer.sentence}


def refused(error: CloseoutError) -> tuple[int, dict[str, str]]:
    """Return the status and the body for a question that gets no answer."""
    return error.status, {"error": error.code, "message": error.message}
