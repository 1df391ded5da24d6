"""Build the `closed` event of a pull request from GitHub's API, for a plan without a delivery.

GitHub's payload contains the same objects as its API: the pull request of `GET /repos/…/pulls/N` and its base repository.
So conditions and names see what they would see in the delivery, except who closed it: for a pull request that was not
merged, this part of the API does not say, and the event has no `sender`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from closeout.core import payload as rule
from closeout.core.closed_payload import closed_payload
from closeout.core.errors import NotFound, ServiceError, github_error
from closeout.ports import GitHub, Json


class ClosedEvent(NamedTuple):
    """A pull request's `closed` event. `state` is its state on GitHub now; each of `notes` states one assumption."""

    payload: Mapping[str, Any]
    name: str
    """`owner/name#number`, as GitHub writes it today."""
    state: str
    notes: tuple[str, ...]


def read_closed_event(github: GitHub, repository: str, number: int, now: float) -> ClosedEvent:
    """Read a pull request and return its `closed` event; an open one is treated as closed now, without a merge.

    Raises `NotFound` if GitHub shows the token no such pull request, `ServiceError` for any other answer than a
    complete pull request, `PayloadRefused` for one that no delivery could contain.
    """
    try:
        pull = read_pull_request(github, repository, number)
    except ServiceError as error:
        if error.http_status != 404:
            raise
        raise NotFound(
            f"GitHub shows this token no pull request {repository}#{number}: is the name right, and may the token read "
            f"it? ({error.message})"
        ) from None
    base = pull["base"]["repo"]
    name, state = f"{base['full_name']}#{number}", pull["state"]
    notes = [f"{name} as GitHub shows it now; the event was made from that."]
    if state == "open":
        at = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        pull |= {"state": "closed", "closed_at": at}
        notes.append("It is still open: this is the plan as if it were closed now, without a merge.")
    merged_by = pull.get("merged_by")
    sender = merged_by if pull["merged"] and isinstance(merged_by, dict) else None
    if sender is None:
        notes.append(
            "The event has no `sender`: GitHub does not say here who closed it. So `senders`, and an `if` that reads"
            " `event.sender`, are unknown."
        )
    return ClosedEvent(closed_payload(pull, sender), name, state, tuple(notes))


def read_pull_request(github: GitHub, repository: str, number: int) -> dict[str, Any]:
    """Return a complete pull request as GitHub's API shows it. Raises `ServiceError` or `PayloadRefused`."""
    path = f"/repos/{repository}/pulls/{number}"
    answer = github.request("GET", path)
    _check_whole(path, answer, number)
    return rule.decode(json.dumps(answer).encode())


def _check_whole(path: str, answer: Json, number: int) -> None:
    """Raise `ServiceError` unless the answer is this pull request with everything that guards and names need."""
    try:
        base = answer["base"]["repo"]
        whole = (
            type(answer["id"]) is int
            and answer["number"] == number
            and answer["state"] in ("open", "closed")
            and isinstance(answer["closed_at"], str) is (answer["state"] == "closed")
            and type(answer["merged"]) is bool
            and type(base["id"]) is int
            and isinstance(base["full_name"], str)
            and isinstance(answer["base"]["ref"], str)
            and isinstance(answer["head"]["ref"], str)
        )
    except (KeyError, TypeError, IndexError):
        whole = False
    if not whole:
        raise github_error(f"GET {path}", "the answer is not the pull request that was asked for", "unusable")
