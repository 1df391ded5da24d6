"""What Lambda counts of a durable execution, and where it ends one. The emulator and the tests' own host share it.

The table "How durable operations are metered" says what an operation is:
https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk.html#durable-operations-checkpoint-consumption
Only the standard library: the emulator imports it in an environment without closeout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

LIMIT = 3_000
"""Operations of one execution: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
RETRIES = 9
"""Retries of an invocation that crashed, one after another, before its execution fails.

AWS's page says that they continue until the execution times out; about nine were seen. The smaller number is the one
that a program must survive. https://docs.aws.amazon.com/lambda/latest/dg/durable-execution-sdk-retries.html
"""
EXCEEDED = f"the execution has more than {LIMIT} durable operations"

_COUNTED = {
    "STEP": ("RETRY", "SUCCEED", "FAIL"),
    "WAIT": ("START",),
    "CALLBACK": ("START",),
    "CONTEXT": ("START",),
    "CHAINED_INVOKE": ("START",),
}
"""The checkpoint at which each type of operation counts. A step counts once for each attempt, a callback when it is
created; its completion is free. `WaitForCallback` is made of three of them. The table has no row for CHAINED_INVOKE."""


class Meter:
    """The operations of one execution, which has one when it starts."""

    def __init__(self) -> None:
        self.operations = 1
        self._conditions: set[str] = set()

    def checkpoint(self, updates: Iterable[Mapping[str, Any]]) -> bool:
        """Count the updates of a checkpoint, as the API has them; return whether the execution may continue."""
        for update in updates:
            self.operations += update["Action"] in _COUNTED.get(update["Type"], ())
            # 1 + N polls: its first checkpoint counts besides, and later polls start the same operation again.
            if update.get("SubType") == "WaitForCondition" and update["Id"] not in self._conditions:
                self._conditions.add(update["Id"])
                self.operations += 1
        return self.operations <= LIMIT

    def retry(self) -> bool:
        """Count the retry of an invocation that crashed; return whether the execution may continue."""
        self.operations += 1
        return self.operations <= LIMIT
