"""`bases`: whether `branches` are compared with the base at the close, or with each base that the pull request had.

A preview belongs to the base for which it was deployed. So by default every base counts where a wrong match does no harm: each
destructive step itself deletes exactly what it names, after a live check, and no name contains the base.
"""

from __future__ import annotations

import re

from closeout.actions.registry import Registry
from closeout.config.fields import leaves
from closeout.config.values import ConfigNode
from closeout.core import templates
from closeout.core.automation import BASES, Automation
from closeout.core.triggers import closes_by_base

EVER, AT_CLOSE = BASES
_BASE = re.compile(r"\bbase\b(?!\s*\.\s*repo\b)")
"""The base in an expression, but not its repository."""


def read_bases(at: ConfigNode | None, automation: Automation, actions: Registry) -> str:
    """Read the key, or return its default for the automation."""
    given = at.choice(BASES) if at is not None else None
    if given is not None:
        return given
    every = closes_by_base(automation.triggers) and why_at_close(automation, actions) is None
    return EVER if every else AT_CLOSE


def shown(automation: Automation, actions: Registry) -> str | None:
    """Return a sentence that says which bases count, and why; None if no trigger compares the base of a closed pull request."""
    if not closes_by_base(automation.triggers):
        return None
    why = why_at_close(automation, actions)
    if automation.bases == EVER:
        by_default = "the steps delete only what they name, and no name contains the base"
        reason = "the file says so" if why else by_default
        return f"`branches` are compared with every base that a pull request ever had: {reason}"
    return f"`branches` are compared with the base at the close: {why or 'the file says so'}"


def why_at_close(automation: Automation, actions: Registry) -> str | None:
    """Return why only the base at the close counts by default; None if every base does."""
    destructive = [step for step in automation.steps if step.destructive]
    if automation.function is not None or not destructive:
        return "no step deletes by itself"
    for step in destructive:
        if actions[step.uses].absent is None:
            return f"`{step.uses}` does not say what it deletes"
    for step in automation.steps:
        for _, text in leaves("with", step.inputs):
            if any(map(_BASE.search, templates.expressions(text))):
                return f"the base is part of what `{step.id}` gets"
    return None
