"""CloudFormation's registry schemas of resource types, from the wheel of cfn-lint, which has them with their handlers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import cfnlint

SCHEMAS = Path(str(cfnlint.__file__)).parent / "data/schemas"


@cache
def _index() -> Mapping[str, str]:
    found: dict[str, str] = json.loads((SCHEMAS / "providers/us-east-1.json").read_text("utf-8"))
    return found


@cache
def schema(kind: str) -> Mapping[str, Any]:
    """Return the schema of a type."""
    text = (SCHEMAS / "resources" / f"{_index()[kind]}.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def permissions(kind: str) -> Iterator[tuple[str, str]]:
    """Yield each handler of a type with an action that it may call with the deployer's rights."""
    for handler, made in schema(kind).get("handlers", {}).items():
        for action in made.get("permissions", ()):
            yield handler, action


def listed(kind: str, which: str) -> set[str]:
    """Return the properties of a type that its schema lists, such as `readOnlyProperties`: paths without `/properties/`."""
    return {path.removeprefix("/properties/") for path in schema(kind).get(which, ())}


def has(properties: Any, path: str) -> bool:
    """Whether properties have what a path of a schema names; `*` stands for each element of a list."""
    head, _, rest = path.partition("/")
    if head == "*":
        return isinstance(properties, list) and any(has(one, rest) if rest else True for one in properties)
    if not isinstance(properties, Mapping) or head not in properties:
        return False
    return has(properties[head], rest) if rest else True


def strange(kind: str, properties: Mapping[str, Any]) -> list[str]:
    """Return the literal values of properties that are none of their enum's."""
    root = schema(kind)
    return list(_strange(root, root, properties, kind))


def _strange(root: Mapping[str, Any], part: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    while "$ref" in part:
        part = root["definitions"][part["$ref"].rpartition("/")[2]]
    for choice in ("anyOf", "oneOf"):
        if choice in part and all([*_strange(root, one, value, path)] for one in part[choice]):
            yield from _strange(root, part[choice][0], value, path)
    if isinstance(value, Mapping):
        for name, one in value.items():
            if name in part.get("properties", {}):
                yield from _strange(root, part["properties"][name], one, f"{path}.{name}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _strange(root, part.get("items", {}), one, f"{path}[{number}]")
    elif "enum" in part and value not in part["enum"]:
        yield f"{path}: {value!r} is none of {part['enum']}"
