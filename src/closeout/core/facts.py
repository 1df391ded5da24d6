"""What the receiver needs to know about an event: a flat value, taken from the payload.

Matching, concurrency keys and `explain` work on these facts alone, so that a fast decoder may read a few fields
instead of the whole payload. A field of an unexpected type counts as absent: payloads are GitHub's to change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

OWN_CONTEXT = "closeout/"
"""The prefix of closeout's default status contexts."""
COMMENT_MARKER = "<!-- closeout:"
"""The invisible beginning of each of closeout's comments. Anybody who may comment can write it, too."""
MAX_COMMITS = 1000
"""GitHub Actions ignores path filters for a push with more commits: its workflow always runs."""

MAX_MOMENT = 40
"""Characters of a time in a payload, such as `2026-11-28T09:26:53Z`."""

_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_WITH_HEAD_BRANCH = ("workflow_run", "workflow_job", "check_suite")


class Facts(NamedTuple):
    """An event, flat. Everything but `event` may be None: not every event has it."""

    event: str
    action: str | None = None
    repository: str | None = None
    """`owner/name` of the repository that the event is about: for a pull request, the base."""
    repository_id: int | None = None
    private: bool | None = None
    sender: str | None = None
    number: int | None = None
    """Number of the pull request or issue."""
    base_ref: str | None = None
    """Short name of the base branch of a pull request or merge group."""
    pull_request_id: int | None = None
    """GitHub's id of the pull request, which is unique even when its repository is renamed."""
    closed_at: str | None = None
    """When the pull request was closed, as GitHub writes it."""
    branch: str | None = None
    """What `branches` filters are compared with."""
    tag: str | None = None
    """What `tags` filters are compared with."""
    changed_paths: tuple[str, ...] | None = None
    """For a push, each path that its commits added, changed or removed. None: not known from the payload."""
    own: bool = False
    """Whether closeout itself caused the event, which then starts nothing."""


def facts_of(event: str, payload: Mapping[str, Any], own_contexts: tuple[str, ...] = ()) -> Facts:
    """Return the facts of a decoded payload. No content makes it raise.

    `own_contexts` are the status contexts that the configuration sets (see `is_own`).
    """
    repository = _object(payload, "repository")
    pull = _object(payload, "pull_request")
    group = _object(payload, "merge_group")
    base_ref = _text(_object(pull, "base"), "ref") or _short(_text(group, "base_ref"))
    branch, tag = _reference(event, payload, base_ref)
    return Facts(
        event=event,
        action=_text(payload, "action"),
        repository=_text(repository, "full_name"),
        repository_id=_integer(repository, "id"),
        private=_flag(repository, "private"),
        sender=_text(_object(payload, "sender"), "login"),
        number=_number(payload, pull),
        base_ref=base_ref,
        pull_request_id=_integer(pull, "id"),
        closed_at=_moment(pull, "closed_at"),
        branch=branch,
        tag=tag,
        changed_paths=_changed_paths(payload) if event == "push" else None,
        own=is_own(event, payload, own_contexts),
    )


def is_own(event: str, payload: Mapping[str, Any], contexts: tuple[str, ...] = ()) -> bool:
    """Whether closeout itself caused the event: it is about a status context of its own.

    `contexts` are those that the configuration sets, besides those that begin with `closeout/`. The payload alone does not
    say whether a comment is closeout's: see `marked_sender`.
    """
    context = _text(payload, "context") if event == "status" else None
    return context is not None and (context.startswith(OWN_CONTEXT) or context in contexts)


def marked_sender(event: str, payload: Mapping[str, Any]) -> int | None:
    """Return the id of the user who sent a comment that begins with closeout's marker; None for any other event.

    closeout caused it only if that user owns the token with which closeout comments.
    """
    body = _text(_object(payload, "comment"), "body") if event == "issue_comment" else None
    if body is None or not body.startswith(COMMENT_MARKER):
        return None
    return _integer(_object(payload, "sender"), "id")


def _reference(event: str, payload: Mapping[str, Any], base_ref: str | None) -> tuple[str | None, str | None]:
    """Return the branch or the tag that filters are compared with."""
    if base_ref is not None:
        return base_ref, None
    ref = _text(payload, "ref")
    if event in ("create", "delete"):
        kind, short = _text(payload, "ref_type"), _short(ref)
        return short if kind == "branch" else None, short if kind == "tag" else None
    if event in _WITH_HEAD_BRANCH:
        return _text(_object(payload, event), "head_branch"), None
    if event == "check_run":
        suite = _object(_object(payload, "check_run"), "check_suite")
        return _text(suite, "head_branch"), None
    if event == "release":
        return None, _text(_object(payload, "release"), "tag_name")
    if event in ("deployment", "deployment_status"):
        return _of_deployment(_object(payload, "deployment"))
    return _of_full(ref)


def _of_full(ref: str | None) -> tuple[str | None, str | None]:
    """Return branch and tag of a full ref; both are None for a short one."""
    if ref is not None and ref.startswith(_HEADS):
        return ref.removeprefix(_HEADS), None
    if ref is not None and ref.startswith(_TAGS):
        return None, ref.removeprefix(_TAGS)
    return None, None


def _of_deployment(deployment: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return branch and tag; a short name that is not the commit's SHA counts as a branch."""
    ref = _text(deployment, "ref")
    if ref == _text(deployment, "sha"):
        return None, None
    branch, tag = _of_full(ref)
    return (ref, None) if branch is tag is None else (branch, tag)


def _short(ref: str | None) -> str | None:
    return None if ref is None else ref.removeprefix(_HEADS).removeprefix(_TAGS)


def _number(payload: Mapping[str, Any], pull: Mapping[str, Any]) -> int | None:
    for holder in (payload, pull, _object(payload, "issue")):
        number = _integer(holder, "number")
        if number is not None:
            return number
    return None


def _changed_paths(payload: Mapping[str, Any]) -> tuple[str, ...] | None:
    commits = payload.get("commits")
    if not isinstance(commits, list) or len(commits) > MAX_COMMITS:
        return None
    paths: dict[str, None] = {}
    for commit in commits:
        for key in ("added", "modified", "removed"):
            listed = commit.get(key) if isinstance(commit, Mapping) else None
            if isinstance(listed, list):
                paths.update((path, None) for path in listed if isinstance(path, str))
    return tuple(paths)


_EMPTY: Mapping[str, Any] = {}


def _object(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, dict) else _EMPTY


def _text(holder: Mapping[str, Any], key: str) -> str | None:
    value = holder.get(key)
    return value if isinstance(value, str) else None


def _moment(holder: Mapping[str, Any], key: str) -> str | None:
    """Return a time as it is written; None for a text that cannot be one, because ids are computed from it."""
    text = _text(holder, key)
    fits = text and len(text) <= MAX_MOMENT and text.isascii() and text.isprintable()
    return text if fits else None


def _integer(holder: Mapping[str, Any], key: str) -> int | None:
    value = holder.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _flag(holder: Mapping[str, Any], key: str) -> bool | None:
    value = holder.get(key)
    return value if isinstance(value, bool) else None
