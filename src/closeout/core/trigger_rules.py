"""What the loader checks of a trigger: combinations that Actions refuses, and filters that could never match.

Apart from `triggers`, because the receiver matches with triggers that were checked when the file was loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from closeout.core.errors import PatternError
from closeout.core.patterns import compile_patterns
from closeout.core.triggers import DEFAULT_TYPES, FILTERS

PULL_REQUEST_TYPES = (
    "assigned", "auto_merge_disabled", "auto_merge_enabled", "closed", "converted_to_draft", "demilestoned",
    "dequeued", "edited", "enqueued", "labeled", "locked", "milestoned", "opened", "ready_for_review",
    "reopened", "review_request_removed", "review_requested", "synchronize", "unassigned", "unlabeled",
    "unlocked",
)  # fmt: skip
WITHOUT_ACTION = frozenset(
    ("create", "delete", "fork", "gollum", "page_build", "public", "push", "status", "team_add")
)
"""Events whose payload has no `action`."""
WITHOUT_REF = frozenset((
    "fork", "gollum", "installation", "issue_comment", "issues", "label", "member", "membership",
    "milestone", "organization", "public", "repository", "star", "status", "team", "team_add", "watch",
))  # fmt: skip
"""Events that are about no branch and no tag."""


def trigger_faults(trigger: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (key, sentence) for each fault, in the order of the keys in the documentation."""
    event = str(trigger.get("event", ""))
    found = _types(event, trigger.get("types"))
    for key in FILTERS:
        found += _pair(trigger, key)
        for name in (key, f"{key}-ignore"):
            found += _patterns(trigger, name, key, event)
    return found


def _types(event: str, types: Any) -> list[tuple[str, str]]:
    if types is None:
        if event in DEFAULT_TYPES:
            default = ", ".join(DEFAULT_TYPES[event])
            return [("types", f"{event} needs explicit `types`: without them only {default} count")]
        return []
    if not types:
        return [("types", "an empty list of types matches nothing")]
    if event in WITHOUT_ACTION:
        return [("types", f"{event} has no types")]
    return [found for one in types if event in DEFAULT_TYPES for found in _type(str(one))]


def _type(one: str) -> list[tuple[str, str]]:
    if one in PULL_REQUEST_TYPES:
        return []
    if one == "merged":
        return [("types", "there is no type `merged`: use `closed` and `if: event.pull_request.merged`")]
    near = get_close_matches(one, PULL_REQUEST_TYPES, 1)
    # GitHub adds types without notice: only what looks like a slip of the pen is a fault.
    return [("types", f"unknown type {one!r}: did you mean {near[0]!r}?")] if near else []


def _pair(trigger: Mapping[str, Any], key: str) -> list[tuple[str, str]]:
    if trigger.get(key) is None or trigger.get(f"{key}-ignore") is None:
        return []
    return [
        (f"{key}-ignore", f"`{key}` and `{key}-ignore` exclude each other on one event; use `!` in `{key}`")
    ]


def _patterns(trigger: Mapping[str, Any], name: str, key: str, event: str) -> list[tuple[str, str]]:
    patterns = trigger.get(name)
    if patterns is None:
        return []
    try:
        compile_patterns(patterns, FILTERS[key])
    except PatternError as error:
        return [(name, error.message)]
    if key in ("branches", "tags") and event in WITHOUT_REF:
        return [(name, f"a {event} event names no branch or tag, so `{name}` could never match")]
    if key == "tags" and event.startswith("pull_request"):
        return [(name, f"a {event} event has no tag; its `branches` are the base branch")]
    if key == "paths" and event != "push" and not event.startswith("pull_request"):
        return [(name, f"a {event} event lists no changed paths, so `{name}` could never match")]
    return []
