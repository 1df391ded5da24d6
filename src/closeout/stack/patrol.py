"""Keys of what patrol keeps in the ledger's table, and the events of its function: for synthesis, function and commands.

    mark    patrol#mark#<kind>  mark#<key>   how far patrol has read something
    lease   patrol#lease        lease        who patrols now

Neither expires.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from closeout.stack.table import Item

PATROL = "patrol#"
"""Prefix of the partitions that only patrol writes."""
LEASE_KEY: Item = {"pk": {"S": f"{PATROL}lease"}, "sk": {"S": "lease"}}
MARK = "mark#"
"""Prefix of the sort keys of marks."""
EVERYTHING: Mapping[str, Any] = {"patrol": {"everything": True}}
"""The event that asks patrol's function for a round of everything; the schedule asks for what is due."""
BUSY: Mapping[str, Any] = {"busy": True}
"""The result of a patrol that met another one under way."""


def cleaning(target: str, by: str) -> Mapping[str, Any]:
    """Return the event that asks patrol's function for the run that deletes an orphan, `OWNER/REPO#N AUTOMATION`."""
    return {"clean": {"target": target, "by": by}}


def recovering(guid: str) -> Mapping[str, Any]:
    """Return the event that asks patrol's function to store a delivery that it left alone, without a run."""
    return {"recover": {"guid": guid}}


def mark_partition(kind: str) -> str:
    """Return the partition of the marks of a kind."""
    return f"{PATROL}mark#{kind}"


def mark_key(kind: str, key: str) -> Item:
    """Return the key of a mark."""
    return {"pk": {"S": mark_partition(kind)}, "sk": {"S": f"{MARK}{key}"}}
