"""How AWS counts the operations of a durable execution, as the documents say.

"How durable operations are metered" (https://docs.aws.amazon.com/lambda/latest/dg/durable-functions.html, pricing): a step is
one operation, each of its retries another one; a poll of `wait_for_condition` is such a retry (1 + N polls); a callback is
one. Quota: 3,000 for an execution, which cannot be increased.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

QUOTA = 3_000


def metered(operations: Iterable[Mapping[str, Any]]) -> int:
    """Return the operations that AWS counts, of those that have begun: `polls` of a step are its polls."""
    return sum(1 + int(operation.get("polls", 0)) for operation in operations)
