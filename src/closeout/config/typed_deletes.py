"""The typed deletes of an automation: the steps that further attempts of a run repeat.

Separate from the run, because a deployment must know them, too: a worker on AWS runs only definitions that were deployed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from closeout.actions.spec import Action
from closeout.core import reactions
from closeout.core.automation import Automation, Step


def typed(automation: Automation, actions: Mapping[str, Action]) -> tuple[Step, ...]:
    """Return the steps that themselves delete what they name."""
    return tuple(step for step in automation.steps if _is_typed(step, actions))


def is_due(automation: Automation, actions: Mapping[str, Action]) -> bool:
    """Return whether runs of this automation get rechecks."""
    return bool(automation.recheck) and automation.mode == "apply" and bool(typed(automation, actions))


def alone(automation: Automation, actions: Mapping[str, Action]) -> Automation:
    """Return what a run for an orphan carries out: only typed deletes, without scripts and comments."""
    return replace(automation, steps=typed(automation, actions))


def again(automation: Automation, actions: Mapping[str, Action]) -> Automation:
    """Return what a further attempt carries out: the typed deletes, and steps with `recheck: true`, without a grace period.

    Only typed deletes decide whether there is a further attempt, because only they report whether something exists.
    """
    steps = tuple(step for step in automation.steps if step.rechecked or _is_typed(step, actions))
    return replace(automation, steps=steps, grace=0.0, late=True)


def further(automations: Iterable[Automation], actions: Mapping[str, Action]) -> Iterator[Automation]:
    """Yield the further definitions that attempts may carry out, in addition to the automations themselves."""
    for one in automations:
        if typed(one, actions):
            yield alone(one, actions)
            yield again(one, actions)


def _is_typed(step: Step, actions: Mapping[str, Action]) -> bool:
    action = actions.get(step.uses)
    # In a further attempt no other step runs before it, so an expression about earlier steps has no value.
    asks_nothing = not reactions.depends_on_outcomes(step.condition)
    return asks_nothing and step.destructive and action is not None and action.absent is not None
