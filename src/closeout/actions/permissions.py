"""What an action needs, with every optional input that adds to it: one list for the command line and the docs.

A role that is built from it must cover every input, so each optional input is tried in turn.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from closeout.actions.spec import Action, Permission

SOME_TEXT = "${{ event.example }}"
"""An input whose value is not known when the file is read, which needs the widest permissions."""


class Need(NamedTuple):
    """A permission, and what requires it: an optional input, `protect.tags` or `closeout orphans` (None: every step)."""

    permission: Permission
    when: str | None


def needed(action: Action) -> tuple[Need, ...]:
    """Return what every step of this action needs, then what an optional input, `protect.tags` or an audit adds."""
    least: dict[str, Any] = {
        name: SOME_TEXT if value.required and value.type == "string" else value.default
        for name, value in action.inputs.items()
    }
    needs = [Need(permission, None) for permission in action.permissions(least)]
    for name, value in action.inputs.items():
        if value.required or value.type not in ("string", "boolean"):
            continue
        known = [need.permission.actions for need in needs]
        more = action.permissions({**least, name: True if value.type == "boolean" else SOME_TEXT})
        needs += [Need(permission, name) for permission in more if permission.actions not in known]
    needs += [Need(permission, "protect.tags") for permission in action.tag_permissions(least)]
    needs += [Need(permission, "closeout orphans") for permission in action.inventory_permissions(least)]
    return tuple(needs)
