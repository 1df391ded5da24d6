"""Check whether deliveries can be stored, with a real write to the ledger at most once a second.

Separate from the application because load balancers act on this answer.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from closeout.core.errors import CloseoutError
from closeout.server.log import Log

KEPT_SECONDS = 1.0
GIVEN_SECONDS = 5.0
"""A write that takes longer counts as failed."""


class Readiness:
    """Calls `ready`, which blocks and raises CloseoutError, in a thread."""

    def __init__(
        self, ready: Callable[[], None], log: Log, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ready = ready
        self._log = log
        self._clock = clock
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[bytes | None] | None = None
        # A separate thread, so that load balancers do not remove a server because its pages are busy.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="closeout-ready")
        self.draining = False

    async def reason(self) -> bytes | None:
        """Return None when ready, else the error as JSON."""
        if self.draining:
            return _error("draining", "The server is shutting down.")
        now = self._clock()
        if self._asking is None or (self._asking.done() and now - self._asked_at > KEPT_SECONDS):
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask())
        try:
            return await asyncio.wait_for(asyncio.shield(self._asking), GIVEN_SECONDS)
        except TimeoutError:
            return _error("store-unavailable", "A write to the ledger timed out.")

    async def _ask(self) -> bytes | None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._ready)
        except CloseoutError as error:
            self._log.throttled("not ready", code=error.code, reason=error.message)
            return _error(error.code, error.public or "The ledger cannot be written.")
        return None


def _error(code: str, message: str) -> bytes:
    return json.dumps({"error": code, "message": message}).encode()
