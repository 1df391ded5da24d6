"""Look again after a teardown: a deploy that ended later has left something that no closing will delete.

It only reads. What it finds is deleted by a further attempt of the same run, behind every guard.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from closeout import livecheck
from closeout.actions.spec import Action
from closeout.config import cel, fields, reactions
from closeout.core.automation import Automation, Step
from closeout.core.plan import Change
from closeout.run import planning
from closeout.run.deps import RunDeps

EVENT, ACTION = "pull_request", "closed"


def typed(automation: Automation, actions: Mapping[str, Action]) -> tuple[Step, ...]:
    """Return the steps that delete by themselves."""
    return tuple(step for step in automation.steps if _is_typed(step, actions))


def is_due(automation: Automation, actions: Mapping[str, Action]) -> bool:
    """Return whether runs of this automation are looked at again."""
    return bool(automation.recheck) and automation.mode == "apply" and bool(typed(automation, actions))


def deletes_the_same(stored: Automation, today: Automation, actions: Mapping[str, Action]) -> bool:
    """Return whether the typed deletes are those that the run carried out: else it never had the names that they give now."""
    as_stored = Automation.from_canonical(today.canonical())
    return _deletes(stored, actions) == _deletes(as_stored, actions)


def again(automation: Automation, actions: Mapping[str, Action]) -> Automation:
    """Return what a further attempt carries out, without the grace of the first: the typed deletes, and the steps that ask for it.

    Such a step has no part in whether there is a further attempt: only typed deletes say whether something is there.
    """
    steps = tuple(step for step in automation.steps if step.rechecked or _is_typed(step, actions))
    return replace(automation, steps=steps, grace=0.0, late=True)


def look(deps: RunDeps, automation: Automation, payload: Mapping[str, Any]) -> list[Change]:
    """Return what the typed deletes of a closing would delete now; empty if nothing is there.

    Raises `Reopened`, `NotSame` or `BranchInUse` for what must not be deleted, `ServiceError` when GitHub or AWS does not say,
    and what a plan raises.
    """
    subject = livecheck.subject_of(EVENT, payload)
    if subject is None:
        return []
    livecheck.check(subject, deps.github)
    branch = str(payload["pull_request"]["head"]["ref"])
    occasion = planning.Occasion(automation, EVENT, payload)
    planned: list[Change] = []
    for step in typed(automation, deps.actions):
        if step.condition is None or cel.condition(step.condition, payload, cel.NOTHING_YET):
            if fields.by_branch(step, deps.actions[step.uses]):
                livecheck.check(subject, deps.github, branch)
            planned += planning.make_plan(deps, occasion, step, planned).changes
    return [change for change in planned if change.verb == "delete"]


def _deletes(automation: Automation, actions: Mapping[str, Action]) -> list[tuple[Any, ...]]:
    """Return what decides what is deleted, and where."""
    return [
        (step.uses, dict(step.inputs), step.region, step.account, step.assume_role, step.condition)
        for step in typed(automation, actions)
    ]


def _is_typed(step: Step, actions: Mapping[str, Action]) -> bool:
    action = actions.get(step.uses)
    # In a further attempt no other step runs before it, so nothing could answer what it asks of them.
    alone = step.condition is None or not reactions.asked(step.condition)
    return alone and step.destructive and action is not None and action.absent is not None
