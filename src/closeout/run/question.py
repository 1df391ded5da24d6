"""The question of a workflow that deploys, as HTTP: only status 200 is a yes.

Here, because a server and the function on AWS must read it alike and answer alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from closeout.core.errors import CloseoutError, MethodNotAllowed, TokenRefused, UsageError
from closeout.run.guard import Answer

NUMBER = "pull-request"
"""The parameter of the query."""
STATUSES = {"open": 200, "closed": 409, "unknown": 503}


class Question(NamedTuple):
    """A workflow's token, which says which repository it asks about, and the pull request's number."""

    token: str
    number: int

    def __repr__(self) -> str:
        """Return a text without the token."""
        return f"Question(number={self.number})"


def read(method: str, authorization: Sequence[str], numbers: Sequence[str]) -> Question:
    """Return what is asked. `authorization` are the values of the header, `numbers` those of the parameter.

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
    return Question(found[1], int(numbers[0]))


def answered(answer: Answer) -> tuple[int, dict[str, str]]:
    """Return the status and the body of an answer."""
    return STATUSES[answer.verdict], {"verdict": answer.verdict, "reason": answer.sentence}


def refused(error: CloseoutError) -> tuple[int, dict[str, str]]:
    """Return the status and the body for a question that gets no answer."""
    return error.status, {"error": error.code, "message": error.message}
