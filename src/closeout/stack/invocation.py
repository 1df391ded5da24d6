"""Lambda's limits for a run and its words for an execution, for synthesis and for the worker.

Both must agree on them: https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html
"""

from __future__ import annotations

ALIVE = frozenset(("RUNNING", "PAUSING", "PAUSED"))
"""Lambda's words for an execution that is not over."""
EARLIER = "EARLIER"
"""Our own status: an execution that an earlier release began, and that is over. Its record no longer counts."""
REMOVED = "REMOVED"
"""Our own status: stopped because the stack is deleted."""
LONGEST_CALL = 840.0
"""Seconds that one call may take: an invocation has 15 minutes, and the last one is for storing everything."""
WHY = "Lambda ends a call after 15 minutes"
"""The reason that a step reports if its call was stopped before its own time limit."""
AROUND_A_CALL = 30.0
"""Seconds for the guards before a call, and to store what came of it."""
