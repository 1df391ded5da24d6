"""The rights of what only looks: an audit for orphans, and rechecks after teardowns.

Apart from the rights of runs, because none of these may change anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from closeout.actions.registry import Registry
from closeout.config.inverses import inventories
from closeout.config.permissions import Statement, assuming, merged, narrowed, of_tags
from closeout.config.typed_deletes import is_due, typed
from closeout.core.automation import Automation


def audit_statements(automations: Iterable[Automation], actions: Registry) -> tuple[Statement, ...]:
    """Return what `closeout orphans` needs: rights to list and to read pull requests, and none to change anything."""
    single: list[Statement] = []
    for one in inventories(automations, actions):
        if one.reason is not None:
            continue
        step, place = one.step, (f"{one.automation.name}/{one.step.id}",)
        single += assuming(step, place)
        for permission in one.action.inventory_permissions(step.inputs):
            resources = tuple(narrowed(arn, step) for arn in permission.resources)
            rights, why = tuple(sorted(permission.actions)), (permission.reason,)
            single.append(Statement("aws", step.assume_role, rights, resources, why, place))
        github = ("pull_requests:read",), tuple(sorted(one.automation.repositories))
        single.append(Statement("github", None, *github, ("read the pull requests of what exists",), place))
    return merged(single)


def recheck_statements(automations: Iterable[Automation], actions: Registry) -> tuple[Statement, ...]:
    """Return what closeout's own role needs for rechecks: rights to read what the typed deletes plan, none to change anything.

    A step with `assume-role` needs nothing: whoever may assume that role may delete, so its rechecks are not made apart from
    the worker.
    """
    single: list[Statement] = []
    for automation in automations:
        if not is_due(automation, actions):
            continue
        for step in typed(automation, actions):
            if step.assume_role is not None:
                continue
            place, action = (f"{automation.name}/{step.id}",), actions[step.uses]
            for permission in (*action.plan_permissions(step.inputs), *of_tags(automation, step, action)):
                resources = tuple(narrowed(arn, step) for arn in permission.resources or ("*",))
                rights = tuple(sorted(permission.actions))
                single.append(Statement("aws", None, rights, resources, (permission.reason,), place))
    return merged(single)
