"""Guards over a plan and before a call: each rejects the entire plan or call.

A run replays the automation with which it was accepted. For `protect`, limits and `mode`, the stricter of that form and
today's counts. Today's `protect` counts even if the file no longer has the automation.
"""

from __future__ import annotations

from collections.abc import Sequence

from closeout.actions.spec import Action
from closeout.core import protect
from closeout.core.automation import Automation, Current, Step
from closeout.core.errors import GuardRefused, WrongAccount
from closeout.core.plan import Change
from closeout.ports import AwsTarget, Clients

NO_RESOURCE = frozenset(("keep", "run", "call", "start", "dispatch", "comment", "post", "patch", "send"))
"""Verbs of changes that delete no resource that could be counted; unknown verbs count."""


def dry_run(stored: Automation, current: Current) -> bool:
    """Whether either form says `mode: dry-run`."""
    return any(form.mode == "dry-run" for form in _forms(stored, current))


def tag_rules(stored: Automation, current: Current) -> frozenset[str]:
    """Return the rules of `protect.tags` in force, each as one text. They say whether a plan needs tags."""
    protections: tuple[Automation | Current, ...] = (*_forms(stored, current), current)
    return frozenset(f"{key}={value}" for one in protections for key, value in one.protect_tags.items())


def with_tags(action: Action, changes: Sequence[Change], clients: Clients) -> tuple[Change, ...]:
    """Return the changes with the tags of their resources, read now. Raises `GuardRefused`, `ServiceError`."""
    return tuple(changes if action.read_tags is None else action.read_tags(changes, clients))


def check_plan(
    changes: Sequence[Change], stored: Automation, current: Current, before: Sequence[Change] = ()
) -> None:
    """Raise `GuardRefused` when a change is protected, or the run's plan so far is larger than allowed.

    `before` are the changes that earlier steps of the run had planned, because the limit applies to the run.
    """
    forms = _forms(stored, current)
    protections: tuple[Automation | Current, ...] = (*forms, current)
    for rules in protections:
        for change in changes:
            rule = protect.protected_by(change, rules.protect_names, rules.protect_tags)
            if rule:
                first = change.resource.partition("\n")[0]  # of a script; all of it would hide the rule
                raise GuardRefused(f"{first} is protected ({rule}); nothing was done")
    check_size(
        (*before, *changes),
        max_changes=min(form.max_changes for form in forms),
        max_objects=min(form.max_objects for form in forms),
    )


def check_size(changes: Sequence[Change], *, max_changes: int, max_objects: int) -> None:
    """Raise `GuardRefused` when a plan deletes more resources or objects than allowed.

    A plan that is larger than expected is more often a wrong pattern than a large preview. Kept resources are not counted,
    nor are scripts, calls, builds and comments: each step has only one.
    """
    counted = [change for change in changes if change.verb not in NO_RESOURCE]
    objects = sum(max(change.objects, 0) for change in counted)
    if len(counted) > max_changes:
        raise GuardRefused(
            f"{len(counted):,} resources planned, max-changes allows {max_changes:,}; nothing was done. Is the name right?"
            " Then raise max-changes"
        )
    if objects > max_objects:
        raise GuardRefused(
            f"{objects:,} objects planned, max-objects allows {max_objects:,}; nothing was done. Is the name right?"
            " Then raise max-objects"
        )


def _forms(stored: Automation, current: Current) -> tuple[Automation, ...]:
    return (stored,) if current.automation is None else (stored, current.automation)


def check_account(target: AwsTarget | None, clients: Clients) -> None:
    """Raise `WrongAccount` unless the credentials now belong to the configured account."""
    if target is None:
        return
    actual = clients.account()
    if actual != target.account:
        raise WrongAccount(
            f"the credentials belong to AWS account {actual}, the configuration says {target.account}; nothing was done"
        )


def check_live_checkable(step: Step, *, has_check: bool, automation: Automation) -> None:
    """Raise `GuardRefused` when a destructive step would run without a live check and is not `unguarded`."""
    if step.destructive and not has_check and not automation.unguarded:
        raise GuardRefused(
            f"{step.id} is destructive and this event has no live check; set `unguarded: true` on the automation"
            " if that is meant"
        )


def check_token(step: Step, *, has_check: bool, has_token: bool) -> None:
    """Raise `GuardRefused` when the live check has no token to ask GitHub with, because it would never succeed."""
    if step.destructive and has_check and not has_token:
        raise GuardRefused(
            f"{step.id} is destructive and no `secrets.github` is configured, so GitHub cannot be asked whether the pull"
            " request is still closed; nothing was done"
        )
