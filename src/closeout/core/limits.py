"""How much a plan may change: over the limit closeout rejects all of it.

A plan that is larger than anybody expected is more often a wrong pattern than a large preview.
"""

from __future__ import annotations

from collections.abc import Sequence

from closeout.core.errors import GuardRefused
from closeout.core.plan import Change

NO_RESOURCE = frozenset(("keep", "run", "call", "start", "dispatch", "comment", "post", "patch", "send"))
"""Verbs of changes that take away no resource that could be counted; whatever is not known counts."""


def check(changes: Sequence[Change], *, max_changes: int, max_objects: int) -> None:
    """Raise `GuardRefused` when the plan takes away more resources or objects than allowed.

    What is kept is not counted, nor are scripts, calls, builds and comments: there is one for each step.
    """
    counted = [change for change in changes if change.verb not in NO_RESOURCE]
    objects = sum(max(change.objects, 0) for change in counted)
    if len(counted) > max_changes:
        raise GuardRefused(
            f"{len(counted):,} resources planned, max-changes allows {max_changes:,}; nothing was done. Is the name right?"
            " Then raise max-changes"
        )
    if objects > max_objects:
        raise GuardRefused(
            f"{objects:,} objects planned, max-objects allows {max_objects:,}; nothing was done. Is the name right?"
            " Then raise max-objects"
        )
