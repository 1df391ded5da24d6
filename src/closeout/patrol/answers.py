"""What patrol accepts as an answer: a list where it asked for one. Anything else is an error and never an empty list.

An answer that cannot be used may be a proxy's, or half of GitHub's; the same call may bring the whole one later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_PAGES = 2_000
"""Pages of one list. GitHub's end long before; a list that does not is told as an error."""


def items(body: Any) -> Sequence[Mapping[str, Any]]:
    """Return the items of a list. Raises `TypeError` for anything else."""
    if not isinstance(body, list):
        raise TypeError("not a list")
    return body
