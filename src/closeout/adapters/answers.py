"""Check AWS's answers against the shapes in boto3's models, for every action.

A proxy, an emulator or a broken connection may answer 200 with anything. botocore reads what it understands and ignores
the rest, so that a page of HTML becomes an empty list of objects. Here a field of the wrong type is an error at
once, and a missing one when it is read: neither may mean "absent".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

Refuse = Callable[[str], NoReturn]
"""Raises the `ServiceError` for an unusable answer, with the given problem."""

_TYPES = {
    "string": str,
    "integer": int,
    "long": int,
    "boolean": bool,
    "timestamp": datetime,
    "structure": dict,
    "list": list,
    "map": dict,
}
_DECODED = ("TemplateBody", "Document")
"""Endings of fields that botocore decodes from JSON text (`botocore/handlers.py`)."""


class Structure(dict[str, Any]):
    """One structure of an answer. `answer[key]` raises `ServiceError` for a missing field; `get` is for optional fields."""

    __slots__ = ("_refuse",)

    def __init__(self, fields: dict[str, Any], refuse: Refuse) -> None:
        super().__init__(fields)
        self._refuse = refuse

    def __missing__(self, key: str) -> NoReturn:
        self._refuse(f"the answer lacks {key}")


def checked(shape: Any, value: Any, refuse: Refuse, name: str = "it") -> Any:
    """Check a value's types against botocore's `shape`, and return it with `Structure`s for its structures."""
    kind = shape.type_name if shape is not None else "structure"
    wanted = _TYPES.get(kind)
    decoded = kind == "string" and name.endswith(_DECODED)
    if wanted is not None and not decoded and not isinstance(value, wanted):
        refuse(f"{name} is no {kind}")
    if kind == "structure":
        members = shape.members if shape is not None else {}
        fields = {
            key: checked(members[key], item, refuse, key) if key in members else item
            for key, item in value.items()
        }
        return Structure(fields, refuse)
    if kind == "list":
        return [checked(shape.member, item, refuse, name) for item in value]
    if kind == "map":
        return {key: checked(shape.value, item, refuse, name) for key, item in value.items()}
    return value
