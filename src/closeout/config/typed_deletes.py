"""The typed deletes of an automation: the steps that a further attempt carries out by itself.

Apart from the run, because a deployment must know them too: a worker on AWS runs no definition that was not deployed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from closeout.actions.spec import Action
from closeout.core import reactions
from closeout.core.automation import Automation, Step


def typed(automation: Automation, actions: Mapping[str, Action]) -> tuple[Step, ...]:
    """Return the steps that delete by themselves."""
    return tuple(step for step in automation.steps if _is_typed(step, actions))


def is_due(automation: Automation, actions: Mapping[str, Action]) -> bool:
    """Return whether runs of this automation are looked at again."""
    return bool(automation.recheck) and automation.mode == "apply" and bool(typed(automation, actions))


def alone(automation: Automation, actions: Mapping[str, Action]) -> Automation:
    """Return what a run for an orphan carries out: its scripts and comments have run, or are not asked for."""
    return replace(automation, steps=typed(automation, actions))


def again(automation: Automation, actions: Mapping[str, Action]) -> Automation:
    """Return what a further attempt carries out, without the grace of the first: the typed deletes, and the steps that ask for it.

    Such a step has no part in whether there is a further attempt: only typed deletes say whether something is there.
    """
    steps = tuple(step for step in automation.steps if step.rechecked or _is_typed(step, actions))
    return replace(automation, steps=steps, grace=0.0, late=True)


def further(automations: Iterable[Automation], actions: Mapping[str, Action]) -> Iterator[Automation]:
    """Yield what further attempts may carry out besides the automations themselves."""
    for one in automations:
        if typed(one, actions):
            yield alone(one, actions)
            yield again(one, actions)


def _is_typed(step: Step, actions: Mapping[str, Action]) -> bool:
    action = actions.get(step.uses)
    # In a further attempt no other step runs before it, so nothing could answer what it asks of them.
    asks_nothing = not reactions.needs_earlier(step.condition)
    return asks_nothing and step.destructive and action is not None and action.absent is not None
