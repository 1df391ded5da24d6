"""Build the payload of a pull request's `closed` webhook from GitHub's REST API.

The API's pull requests are the webhook's objects, but only the repository's issue events say who closed one. If that is
not known, the payload has no `sender`, and conditions that read it are unknown (`core.errors.SenderUnknown`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from closeout.core.closing import ACTION

UNLISTED = frozenset(
    (
        *("additions", "changed_files", "comments", "commits", "deletions", "review_comments"),
        *("maintainer_can_modify", "mergeable", "mergeable_state", "rebaseable"),
    )
)
"""Fields that a webhook has and GitHub's list of pull requests does not. A condition that reads one fails."""
SLACK = 10.0
"""Seconds between a pull request's `closed_at` and the moment of its event, at most."""

Closers: TypeAlias = Mapping[int, list[tuple[str, Mapping[str, Any]]]]
"""By pull request number: when it was closed, and by whom."""


def closed_payload(pull: Mapping[str, Any], sender: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the payload for a closed pull request from `GET …/pulls` or `GET …/pulls/N`.

    `sender` is who closed it, or None if unknown. Raises `KeyError` or `TypeError` for an incomplete pull request.
    """
    repository = pull["base"]["repo"]
    merged = pull.get("merged", pull["merged_at"] is not None)
    shown = {**pull, "merged": merged, "merged_by": pull.get("merged_by") or (sender if merged else None)}
    event = {"action": ACTION, "number": pull["number"], "pull_request": shown, "repository": repository}
    owner = repository.get("owner")
    if isinstance(owner, dict) and owner.get("type") == "Organization":
        event["organization"] = {key: owner[key] for key in ("login", "id", "node_id") if key in owner}
    return {**event, "sender": sender} if sender is not None else event


def closers(events: Iterable[Any]) -> Closers:
    """Read who closed what from entries of `GET …/issues/events`, in any order. Other entries are ignored."""
    found: dict[int, list[tuple[str, Mapping[str, Any]]]] = {}
    for event in events:
        try:
            number, at, actor = event["issue"]["number"], event["created_at"], event["actor"]
            is_closed = event["event"] == ACTION and isinstance(actor["login"], str)
        except (KeyError, TypeError):
            continue
        if is_closed:
            found.setdefault(number, []).append((at, actor))
    return found


def closed_by(known: Closers, number: int, closed_at: str) -> Mapping[str, Any] | None:
    """Return who closed a pull request at that moment; None if that is unknown or ambiguous."""
    near = [actor for at, actor in known.get(number, ()) if _seconds_between(at, closed_at) <= SLACK]
    logins = {actor["login"] for actor in near}
    return near[0] if len(logins) == 1 else None


def _seconds_between(one: str, other: str) -> float:
    try:
        return abs((datetime.fromisoformat(one) - datetime.fromisoformat(other)).total_seconds())
    except (ValueError, TypeError):
        return float("inf")
