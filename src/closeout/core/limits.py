"""How much a plan may change: over the limit it is refused whole.

A plan that is larger than anybody expected is more often a wrong pattern than a large preview.
"""

from __future__ import annotations

from collections.abc import Sequence

from closeout.core.errors import GuardRefused
from closeout.core.plan import Change


def check(changes: Sequence[Change], *, max_changes: int, max_objects: int) -> None:
    """Raise `GuardRefused` when the plan counts more resources or objects than allowed; what is kept is not counted."""
    counted = [change for change in changes if change.verb != "keep"]
    objects = sum(max(change.objects, 0) for change in counted)
    if len(counted) > max_changes:
        raise GuardRefused(f"{len(counted):,} changes planned, {max_changes:,} allowed; nothing was done")
    if objects > max_objects:
        raise GuardRefused(f"{objects:,} objects planned, {max_objects:,} allowed; nothing was done")
