"""What a stack's template says about order: which resource needs which, and which exports are used by whom.

Only reads templates; the rules, which say what follows, are elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from moto.cloudformation.parsing import clean_json

_SUB_NAME = re.compile(r"\$\{([A-Za-z0-9]+)(?:\.[^}]*)?\}")


def resources_of(stack: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield logical id, moto's resource and its entry in the template, for each that was created."""
    parsed = stack.resource_map._parsed_resources
    for logical_id, definition in stack.resource_map._resource_json_map.items():
        if parsed.get(logical_id) is not None:
            yield logical_id, parsed[logical_id], definition


def deletion_order(stack: Any) -> tuple[str, ...]:
    """Return logical ids, dependents before what they depend on: the reverse of creation [trouble]."""
    order: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in order or name in path:
            return
        for needed in sorted(_needs(stack, name)):
            visit(needed, (*path, name))
        order.append(name)

    for logical_id, _, _ in resources_of(stack):
        visit(logical_id, ())
    return tuple(reversed(order))


def needed_by(stack: Any, logical_id: str) -> set[str]:
    """Return all that this resource needs, directly or not: none of it can be deleted before this one."""
    found: set[str] = set()
    waiting = [logical_id]
    while waiting:
        for needed in _needs(stack, waiting.pop()) - found:
            found.add(needed)
            waiting.append(needed)
    return found


def _needs(stack: Any, logical_id: str) -> set[str]:
    definition = stack.resource_map._resource_json_map[logical_id]
    present = {name for name, _, _ in resources_of(stack)}
    depends = definition.get("DependsOn", [])
    names = {depends} if isinstance(depends, str) else set(depends)
    return (names | set(_references(definition.get("Properties", {})))) & (present - {logical_id})


def _references(value: Any) -> Iterator[str]:
    for key, inner in _entries(value):
        text = str(inner[0] if isinstance(inner, list) and inner else inner)
        if key == "Ref":
            yield text
        elif key == "Fn::GetAtt":
            yield text.partition(".")[0]
        elif key == "Fn::Sub":
            yield from _SUB_NAME.findall(text)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each key with its value, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _entries(item)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _entries(inner)


def export_in_use(backend: Any, stack: Any) -> str | None:
    """Return CloudFormation's sentence about an export that another stack imports [exports]."""
    own = {export.name for export in stack.exports}
    for other in backend.stacks.values():
        if other is stack:
            continue
        used = own & {
            str(clean_json(inner, other.resource_map))
            for key, inner in _entries(other.template_dict)
            if key == "Fn::ImportValue"
        }
        if used:
            return f"Export {min(used)} cannot be deleted as it is in use by {other.name}"
    return None
