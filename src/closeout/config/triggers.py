"""`on`: what starts an automation, in the three forms of GitHub Actions (one event, a list, a map).

`core.triggers` applies the filters. Here the file's forms become its JSON objects, and a filter that can never
match is reported at once.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import partial
from typing import Any

from closeout.config import keys, workflow_words
from closeout.config.document import Mapping
from closeout.config.findings import near
from closeout.config.values import ConfigNode, is_null
from closeout.core.errors import PatternError
from closeout.core.patterns import Kind, compile_patterns

_EVENT = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}\Z")
_FILTERS = ("branches", "tags", "paths")
_KNOWN = [
    "branch_protection_configuration", "branch_protection_rule", "check_run", "check_suite",
    "code_scanning_alert", "commit_comment", "create", "delete", "dependabot_alert", "deploy_key",
    "deployment", "deployment_protection_rule", "deployment_review", "deployment_status", "discussion",
    "discussion_comment", "fork", "gollum", "installation", "installation_repositories", "issue_comment",
    "issues", "label", "member", "membership", "merge_group", "milestone", "organization", "package",
    "page_build", "project", "public", "pull_request", "pull_request_review",
    "pull_request_review_comment", "pull_request_review_thread", "push", "registry_package", "release",
    "repository", "repository_dispatch", "repository_ruleset", "repository_vulnerability_alert",
    "secret_scanning_alert", "star", "status", "sub_issues", "team", "team_add", "watch",
    "workflow_dispatch", "workflow_job", "workflow_run",
]  # fmt: skip
"""Events that GitHub documents, used to correct misspelt ones; others are accepted unchanged."""
_PULL_REQUEST_TYPES = (
    "assigned", "auto_merge_disabled", "auto_merge_enabled", "closed", "converted_to_draft", "demilestoned",
    "dequeued", "edited", "enqueued", "labeled", "locked", "milestoned", "opened", "ready_for_review",
    "reopened", "review_request_removed", "review_requested", "synchronize", "unassigned", "unlabeled",
    "unlocked",
)  # fmt: skip
_WITHOUT_ACTION = frozenset(
    ("create", "delete", "fork", "gollum", "page_build", "public", "push", "status", "team_add")
)
"""Events whose payload has no `action`."""
_WITHOUT_REF = frozenset((
    "fork", "gollum", "installation", "issue_comment", "issues", "label", "member", "membership",
    "milestone", "organization", "public", "repository", "star", "status", "team", "team_add", "watch",
))  # fmt: skip
"""Events that concern neither a branch nor a tag."""

_ACTIONS_ONLY = {
    "pull_request_target": "use `pull_request`: its webhook has everything that `pull_request_target` has in a workflow",
    "schedule": "closeout starts on webhooks only; let a scheduled workflow send a `repository_dispatch`",
    "workflow_call": "use `workflow_run`, which is sent when a workflow begins and ends",
}


def read_on(at: ConfigNode) -> tuple[dict[str, Any], ...]:
    """Read `on`. Return the triggers that are valid; the others become findings."""
    if isinstance(at.node, Mapping):
        if not at.node.entries:
            fix = "name one: on: { pull_request: { types: [closed] } }"
            at.error("empty-value", "no event is named", fix)
        read = [
            _trigger(at.to(key, event), event, at.to(value, event))
            for key, value in at.node.entries
            for event in (str(key.value),)
        ]
    else:
        events = at.items(single=True) or []
        read = [_trigger(item, event, None) for item in events if (event := item.text()) is not None]
    return tuple(trigger for trigger in read if trigger is not None)


def _trigger(name: ConfigNode, event: str, filters: ConfigNode | None) -> dict[str, Any] | None:
    if event in _ACTIONS_ONLY:
        name.error("not-a-webhook", f"GitHub sends no webhook for `{event}`", _ACTIONS_ONLY[event])
        return None
    if not _EVENT.match(event):
        fix = "write it as GitHub does: pull_request, push"
        name.error("bad-value", f"`{event}` is not the name of an event", fix)
        return None
    if event not in _KNOWN and (meant := near(event, _KNOWN)):
        name.warning("unknown-event", f"GitHub documents no event `{event}`", f"did you mean `{meant}`?")
    section: dict[str, ConfigNode] = {}
    if filters is not None and not is_null(filters.node):
        section = filters.section(keys.names("trigger"), partial(workflow_words.hint, "trigger")) or {}
    before = name.findings.count()
    trigger: dict[str, Any] = {"event": event}
    if "types" in section:
        trigger["types"] = _types(section["types"], event)
    elif event == "pull_request":
        name.error(
            "missing-types",
            "`pull_request` needs explicit `types` (the default of GitHub Actions does not include `closed`)",
            "write pull_request: { types: [closed] }",
        )
    for base in _FILTERS:
        _filter(trigger, section, base)
    if name.findings.count() == before:
        for key in trigger.keys() - {"event", "types"}:
            _refuse_unmatchable(section[key], event, key)
    return trigger


def _types(at: ConfigNode, event: str) -> list[str]:
    types: list[str] = []
    for item in at.items(single=True) or []:
        value = item.text()
        if value is None:
            continue
        types.append(value)
        if not _TYPE.match(value):
            fix = "write it as GitHub does: closed"
            item.error("bad-value", f"`{value}` is not the name of an action", fix)
        elif event in _WITHOUT_ACTION:
            item.error("bad-value", f"{event} has no types", "leave `types` out")
        elif event == "pull_request" and value not in _PULL_REQUEST_TYPES:
            _unknown_type(item, value)
    return types


def _unknown_type(at: ConfigNode, value: str) -> None:
    """Report a type that GitHub does not document. GitHub adds types without notice, so only a likely typo is an error."""
    close = get_close_matches(value, _PULL_REQUEST_TYPES, 1)
    if value == "merged":
        message = "there is no type `merged`: use `closed` and `if: event.pull_request.merged`"
        at.error("bad-value", message, "write closed, and next to `on`: if: event.pull_request.merged")
    elif close:
        fix = f"write {near(value, _PULL_REQUEST_TYPES) or 'closed'}"
        at.error("bad-value", f"unknown type {value!r}: did you mean {close[0]!r}?", fix)
    else:
        fix = "known: " + ", ".join(_PULL_REQUEST_TYPES)
        at.warning("unknown-type", f"GitHub documents no `{value}` for pull_request", fix)


def _refuse_unmatchable(at: ConfigNode, event: str, key: str) -> None:
    """Add an error for a filter that could never match the event."""
    base = key.removesuffix("-ignore")
    if base in ("branches", "tags") and event in _WITHOUT_REF:
        problem = f"a {event} event names no branch or tag, so `{key}` could never match"
    elif base == "tags" and event.startswith("pull_request"):
        problem = f"a {event} event has no tag; its `branches` are the base branch"
    elif base == "paths" and event != "push" and not event.startswith("pull_request"):
        problem = f"a {event} event lists no changed paths, so `{key}` could never match"
    else:
        return
    at.error("bad-trigger", problem, "leave it out, or use another event")


def _filter(trigger: dict[str, Any], section: dict[str, ConfigNode], base: str) -> None:
    ignore = f"{base}-ignore"
    if base in section and ignore in section:
        section[ignore].error(
            "filter-conflict",
            f"`{base}` and `{ignore}` cannot be used together",
            f"keep `{base}` and add exceptions to it as '!pattern'",
        )
    for key in (base, ignore):
        if key in section:
            patterns = read_patterns(section[key])
            if patterns:
                trigger[key] = list(patterns)


def read_patterns(at: ConfigNode, kind: Kind = "ref", *, slash: bool = False) -> tuple[str, ...]:
    """Read one filter pattern or a list of them. A bad pattern is reported at its own place.

    With `slash`, patterns are for full names of repositories, which a pattern without a `/` or `**` can never match.
    """
    items = at.items(single=True) or []
    texts = [(item, text) for item in items if (text := item.text()) is not None]
    patterns = [text for _, text in texts]
    before = at.findings.count()
    for item, text in texts:
        _check_pattern(item, text, kind, slash=slash)
    sound = texts and at.findings.count() == before
    problem = _pattern_problem(patterns, kind) if sound else None
    if problem:
        fix = "add a positive pattern before the ones with `!`, or use the `-ignore` form"
        at.error("bad-pattern", problem, fix)
    return tuple(patterns)


def _check_pattern(at: ConfigNode, text: str, kind: Kind, *, slash: bool) -> None:
    if "${{" in text:
        at.refuse_template(text)
        return
    # A list with only `!` patterns is an error of the list, not of the item.
    problem = _pattern_problem([text] if text == "!" else [text.removeprefix("!")], kind)
    if problem:
        at.error("bad-pattern", problem, "see the filter pattern cheat sheet of GitHub Actions")
    elif slash and "/" not in text and "**" not in text and text != "*":
        message = f"`{text}` can match no repository: a full name is OWNER/NAME"
        at.error("bad-pattern", message, f"write OWNER/{text.removeprefix('!')}")


def _pattern_problem(patterns: list[str], kind: Kind) -> str | None:
    try:
        compile_patterns(patterns, kind)
    except PatternError as error:
        return error.message
    return None
