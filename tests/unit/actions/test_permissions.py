"""The permissions of an action: what every step needs, and what an input or `protect.tags` adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from closeout.actions.permissions import SOME_TEXT, Need, needed
from closeout.actions.registry import builtin
from closeout.actions.spec import Input, Permission


def permission(name: str) -> Permission:
    """Return a permission to make one call."""
    return Permission(system="aws", actions=(name,))


ALWAYS, EMPTY, NOTIFY, TAGS = map(permission, ("x:Delete", "x:Empty", "x:Notify", "x:ListTags"))
SEEN: list[Mapping[str, Any]] = []


def permissions(inputs: Mapping[str, Any]) -> tuple[Permission, ...]:
    """Return what a step with these inputs needs."""
    SEEN.append(dict(inputs))
    return (ALWAYS, *([EMPTY] if inputs["empty"] else []), *([NOTIFY] if inputs["topic"] else []))


ACTION = replace(
    builtin()["shell"],
    inputs={
        "name": Input(type="string", description="…", required=True),
        "count": Input(type="integer", description="…", required=True, default=3),
        "empty": Input(type="boolean", description="…", default=False),
        "topic": Input(type="string", description="…"),
        "ids": Input(type="list", description="…"),
    },
    permissions=permissions,
    tag_permissions=lambda _inputs: (TAGS,),
)


def test_each_permission_says_what_needs_it() -> None:
    """Those of every step come first, once; then what one optional input adds, then the tags."""
    assert needed(ACTION) == (
        Need(ALWAYS, None),
        Need(EMPTY, "empty"),
        Need(NOTIFY, "topic"),
        Need(TAGS, "protect.tags"),
    )


def test_permissions_cover_the_widest_inputs() -> None:
    """A text that the file does not determine, a switch that is on; required inputs always have a value."""
    SEEN.clear()
    needed(ACTION)
    least = {"name": SOME_TEXT, "count": 3, "empty": False, "topic": None, "ids": None}
    assert [*SEEN] == [least, {**least, "empty": True}, {**least, "topic": SOME_TEXT}]
