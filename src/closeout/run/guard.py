"""Answer a deploy that asks whether it may begin: the pull request must be open, and no teardown of it on its way.

A deploy that ends after the teardown leaves a preview that nobody deletes. Only a certain "open" is a yes: everything that
GitHub or the ledger does not say for certain is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from closeout.core.errors import CloseoutError
from closeout.ports import GitHub

Verdict: TypeAlias = Literal["open", "closed", "unknown"]
"""`closed`: the pull request is closed, or a teardown of it is on its way."""

Teardowns: TypeAlias = Callable[[str, int], Sequence[str]]
"""Returns the executions that have not finished and that a closing of this pull request started. Raises `CloseoutError`."""


class Answer(NamedTuple):
    """What the guard says, and why in one sentence."""

    verdict: Verdict
    sentence: str


def ask(
    github: GitHub, teardowns: Teardowns, repository: str, number: int, repository_id: int | None = None
) -> Answer:
    """Return the answer about a pull request; no error is ever read as "open". With `repository_id` GitHub must confirm it.

    GitHub is asked before the ledger: a closing that comes between the two has started its teardown by then.
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
        # Deliveries before and after a rename have two names for one repository.
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
