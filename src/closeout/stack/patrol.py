"""Keys of what patrol keeps in the ledger's table, and the events of its function: for synthesis, function and commands.

mark    patrol#mark#<kind>  mark#<key>   how far patrol has read something; without an expiry
lease   patrol#lease        lease        who patrols now
"""

from __future__ import annotations

from closeout.stack.table import Item

PATROL = "patrol#"
"""Prefix of the partitions that only patrol writes."""
LEASE_KEY: Item = {"pk": {"S": f"{PATROL}lease"}, "sk": {"S": "lease"}}
MARK = "mark#"
"""Prefix of the sort keys of marks."""


def mark_partition(kind: str) -> str:
    """Return the partition of the marks of a kind."""
    return f"{PATROL}mark#{kind}"


def mark_key(kind: str, key: str) -> Item:
    """Return the key of a mark."""
    return {"pk": {"S": mark_partition(kind)}, "sk": {"S": f"{MARK}{key}"}}
