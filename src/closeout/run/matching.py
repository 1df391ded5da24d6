"""Decide what only a run can: the paths of a pull request, `if`, and whether it comes from a fork.

The receiver has matched the triggers. The rest needs GitHub or CEL, so it is the run's first recorded decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from closeout.actions.github import comment
from closeout.config import cel
from closeout.core import facts as core_facts
from closeout.core import triggers
from closeout.core.automation import Automation
from closeout.core.errors import ActionFailed, CloseoutError, PayloadRefused, SenderUnknown, ServiceError
from closeout.core.runs import NO_BASE
from closeout.ports import Json
from closeout.run import bases
from closeout.run.context import RunContext

_BY_MEMBERS = ("create", "delete", "push")
"""Events about a ref of the repository itself, whose author may write there. A fork's refs send them to the fork."""


T = TypeVar("T")
NamesOf = Callable[[str, int], Sequence[str]]
"""Returns the paths that a pull request changes, or the bases that it had: `(repository, number)`."""


def decide(context: RunContext) -> Json:
    """Return `{"run": bool, "reason": str}`. Raises the named error of what could not be read or evaluated."""
    context.check_time()
    try:
        reason = _reason_to_skip(context)
    except CloseoutError as error:
        context.log(f"cannot decide whether {context.automation.name} runs: {error.message}")
        raise
    context.log(reason or f"matched: {context.automation.name} on {context.execution.event_name}")
    return {"run": reason is None, "reason": reason or "matched"}


def _reason_to_skip(context: RunContext) -> str | None:
    automation, event = context.automation, context.payload
    name = context.execution.event_name
    own_contexts = context.deps.own_contexts() if name == "status" else ()
    facts = _by_present_name(context, core_facts.facts_of(name, event, own_contexts))
    match = triggers.match(automation.triggers, automation.repositories, automation.senders, facts)
    if is_candidate(automation, facts):
        if not context.deps.has_token:  # without one nothing can be deleted either
            return f"{NO_BASE}: {match.reason}; earlier ones are unknown, since no `secrets.github` is configured"
        github = context.deps.github
        ask = partial(_read_with_retries, context, "the bases that the pull request had")
        facts, match = by_bases(automation, facts, lambda *pull: ask(lambda: bases.bases_of(github, *pull)))
    if match.paths_pending:
        match = by_paths(automation, facts, context.deps.github.pull_request_files)
    if not match.matched:
        return match.reason
    reason = why_not_trusted(automation, context.execution.event_name, event)
    if reason:
        return reason
    check_sender(automation, facts)
    if _own_comment(context):
        return "closeout itself caused this event"
    if automation.condition is not None and not cel.condition(automation.condition, event):
        return "its `if` is false"
    return None


def _by_present_name(context: RunContext, facts: core_facts.Facts) -> core_facts.Facts:
    """Return a further attempt's facts with its repository's present name, if the payload's no longer matches.

    The repository may have been renamed since the event, and the configuration adapted. Names of resources still come from the
    payload, because they were created earlier. Raises `ServiceError`.
    """
    automation, repository = context.automation, facts.repository_id
    if context.execution.attempt == 1 or repository is None or not context.deps.has_token:
        return facts
    if triggers.is_listed(automation.repositories, facts):
        return facts
    path = f"/repositories/{repository}"
    found = _read_with_retries(
        context, "the repository's name", lambda: context.deps.github.request("GET", path)
    )
    return facts._replace(repository=str(found["full_name"]))


def _own_comment(context: RunContext) -> bool:
    """Whether closeout wrote the comment that the event is about: it has the marker, and the token's user sent it.

    Checked here, because the receiver has no token. A token without a user cannot have written one (see
    `github/comment`).
    """
    sender = core_facts.marked_sender(context.execution.event_name, context.payload)
    if sender is None or not context.deps.has_token:
        return False
    try:
        return comment.own_id(context.deps.github) == sender
    except ActionFailed:
        return False


def is_candidate(automation: Automation, facts: core_facts.Facts) -> bool:
    """Return whether an earlier base of the pull request would let the automation run."""
    return automation.bases == "ever" and triggers.is_candidate(
        automation.triggers, automation.repositories, automation.senders, facts
    )


def by_bases(
    automation: Automation, facts: core_facts.Facts, bases_of: NamesOf
) -> tuple[core_facts.Facts, triggers.Match]:
    """Match a candidate with each base that it had; return the facts with the one that matches, and the match."""
    assert facts.repository is not None
    assert facts.number is not None
    had = bases_of(facts.repository, facts.number)
    for base in had:
        other = facts._replace(base_ref=base, branch=base)
        match = triggers.match(automation.triggers, automation.repositories, automation.senders, other)
        if match.matched:
            return other, match._replace(reason=f"{match.reason}, which it had before {facts.base_ref!r}")
    refused = triggers.match(automation.triggers, automation.repositories, automation.senders, facts)
    others = ", ".join(base for base in had if base != facts.base_ref)
    before = f"before that it had {others}" if others else "it had no other base"
    return facts, triggers.Match(False, f"{NO_BASE}: {refused.reason}; {before}")


def _read_with_retries(context: RunContext, what: str, read: Callable[[], T]) -> T:
    """Read from GitHub, and try again after a transient error until the run's time is up."""
    try:
        return read()
    except ServiceError as error:
        context.hold("", f"cannot read {what}: {error.message}")
        error.transient = True
        raise


def by_paths(automation: Automation, facts: core_facts.Facts, paths_of: NamesOf) -> triggers.Match:
    """Match a pull request's paths, read from GitHub. Raises `PayloadRefused` if the payload does not name it."""
    if facts.repository is None or facts.number is None:
        raise PayloadRefused(
            "the payload lacks the pull request's repository or number, so its paths are unknown"
        )
    return triggers.match_paths(automation.triggers, facts, paths_of(facts.repository, facts.number))


def check_sender(automation: Automation, facts: core_facts.Facts) -> None:
    """Raise `SenderUnknown` if the automation has `senders` and it is unknown who closed the pull request."""
    if triggers.sender_unknown(automation.senders, facts):
        raise SenderUnknown(
            f"who closed {facts.repository}#{facts.number} is unknown, and `senders` is given; nothing was done."
            " Replay a webhook that came later, or rerun without `senders`"
        )


def why_not_trusted(automation: Automation, event: str, payload: Mapping[str, Any]) -> str | None:
    """Return the reason to ignore an event whose names an outsider or GitHub's merge queue chose."""
    lets_in = any(step.allow_untrusted for step in automation.steps)
    if lets_in and event not in _BY_MEMBERS and _from_a_fork(payload):
        return "the pull request comes from another repository, and a step uses the branch in a name"
    if event == "delete" and str(payload.get("ref", "")).startswith("gh-readonly-queue/"):
        return "a merge queue's own branch needs no clean-up"
    return None


def _from_a_fork(payload: Mapping[str, Any]) -> bool:
    """Whether the head is not in the base repository. An unknown head counts as a fork."""
    try:
        pull = payload["pull_request"]
        return bool(pull["head"]["repo"]["id"] != pull["base"]["repo"]["id"])
    except (KeyError, TypeError):
        return True
