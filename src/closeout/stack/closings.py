"""The items with which a guard finds the runs that closings of a pull request started.

The listing of runs lags behind the table by moments, and a search in it costs more the more runs there are. So a closing's
runs are named once more, in a partition of their pull request, which is read consistently and stays small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from closeout.core.closing import ACTION, EVENT
from closeout.core.ids import short_digest
from closeout.stack.table import NEW, RUN, Item, listed_at, to_item

CLOSINGS = f"{RUN}closings#"
"""Prefix of these partitions. No run's id has a `#`."""


def closing_items(
    delivery: Mapping[str, Any], name: str, runs: Sequence[str], expires: int | None
) -> list[Item]:
    """Return the item that names a closing's `runs`; none for another event.

    `delivery` holds the plain values of the delivery's item, `name` is its id. `expires` is when the runs' items may expire.
    """
    repository, number = delivery.get("repository"), delivery.get("number")
    if (delivery["event"], delivery.get("action")) != (EVENT, ACTION) or not runs:
        return []
    if repository is None or number is None:
        return []  # nobody can ask about it
    partition = closings_partition(repository, number)
    sort = listed_at(delivery["received_at"], f"{name}#{runs[-1]}")
    return [to_item({"pk": partition, "sk": sort, "runs": list(runs), "expires": expires})]


def closings_partition(repository: str, number: int) -> str:
    """Return the partition of a pull request's closings. It has a digest in it, because the length of a key is limited."""
    return f"{CLOSINGS}{short_digest(f'{repository.lower()}#{number}')}"


def condition(item: Item) -> str | None:
    """Return the condition under which an item is put: none for one that may replace what an expired delivery left."""
    replaces = item["sk"]["S"] == "body" or item["pk"]["S"].startswith(CLOSINGS)
    return None if replaces else NEW
