"""A plan as data: what a step would change, fixed before anything is changed.

`closeout plan`, a dry run and a real run show the same plan; `apply` acts on nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

REFUSALS = frozenset({"guard-refused", "name-refused", "wrong-account", "not-the-same"})
"""Codes of errors with which a guard rejects a plan. Any other error means that there is no plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of a plan.

    `verb` (`delete`, `keep`, `start`, `run`, …) and `resource` are for people; `identity` is what apply acts
    on (a StackId, not a name) as JSON. `part_of` names the resource whose change causes this one: such a
    line is counted and verified, but not applied by itself. `objects` and `bytes` count a prefix's content.
    `protect` patterns are compared with `name` and `tags` (default: the resource).
    """

    verb: str
    resource: str
    reason: str
    identity: Mapping[str, Any] = field(default_factory=dict)
    part_of: str | None = None
    objects: int = 0
    bytes: int = 0
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object that `from_json` takes back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Change:
        """Read what `to_json` returned."""
        return cls(**value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """One thing that `verify` still found, and why if that is known."""

    resource: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """Return a JSON object that `from_json` takes back."""
        return asdict(self)


def spoken_error(error: Mapping[str, str]) -> tuple[str, str]:
    """Return a word and a sentence for the error of a plan that is only shown: `refused` by a guard, or `error`."""
    # That nothing was done is left out, because such a plan never does anything.
    message = error["message"].replace("; nothing was done", "")
    return "refused" if error["code"] in REFUSALS else "error", message


def spoken_step(step: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what a plan shows for a step instead of its changes: a word and a sentence. None if it has changes.

    The word is the one for an error, `skipped`, or empty if there is nothing to change.
    """
    if step.get("error"):
        return spoken_error(step["error"])
    if step.get("reason"):
        return "skipped", step["reason"]
    return None if step["changes"] else ("", step.get("absent") or "nothing to change")
