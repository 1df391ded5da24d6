"""The rights of functions that only read: an audit for orphans, and rechecks after teardowns.

Separate from the rights of runs, because none of these may change anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from closeout.actions.registry import Registry
from closeout.config.inverses import inventories
from closeout.config.permissions import Statement, assuming, merged, of_aws, of_tags
from closeout.config.typed_deletes import is_due, typed
from closeout.core.automation import Automation


def audit_statements(automations: Iterable[Automation], actions: Registry) -> tuple[Statement, ...]:
    """Return what `closeout orphans` needs: to list resources and to read pull requests, but to change nothing."""
    single: list[Statement] = []
    for one in inventories(automations, actions):
        if one.reason is not None:
            continue
        step, place = one.step, (f"{one.automation.name}/{one.step.id}",)
        single += assuming(step, place)
        rights = one.action.inventory_permissions(step.inputs)
        single += (of_aws(permission, step, place) for permission in rights)
        github = ("pull_requests:read",), tuple(sorted(one.automation.repositories))
        single.append(Statement("github", None, *github, ("read the pull requests of what exists",), place))
    return merged(single)


def recheck_statements(automations: Iterable[Automation], actions: Registry) -> tuple[Statement, ...]:
    """Return what closeout's own role needs for rechecks: to read what the typed deletes plan, but to change nothing.

    A step with `assume-role` needs nothing: a function that may assume that role may delete, so only the worker makes its
    rechecks.
    """
    single: list[Statement] = []
    for automation in automations:
        if not is_due(automation, actions):
            continue
        for step in typed(automation, actions):
            if step.assume_role is not None:
                continue
            place, action = (f"{automation.name}/{step.id}",), actions[step.uses]
            rights = (*action.plan_permissions(step.inputs), *of_tags(automation, step, action))
            single += (of_aws(permission, step, place) for permission in rights)
    return merged(single)
