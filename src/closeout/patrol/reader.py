"""Read within a budget, so that patrol never uses up the calls that runs need for checks and statuses.

A patrol, with its daily audit, spends at most half of the calls that the token has left when it begins, and leaves a tenth of
the token's limit to live checks and statuses. Once GitHub says to wait, it asks nothing more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from closeout.core.errors import ServiceError, github_error
from closeout.ports.patrol import GitHubReads, Page

TRIES = 4
FAILURES = 3
"""Reads in a row that may fail in all their tries before the round stops asking."""
PAUSE = 1.0
"""Seconds before the second try; doubled for each further one."""
RESERVE = 10
"""The share of the limit that patrol leaves to others, as a divisor."""
SPENT = "budget"
"""The reason in the error of a read beyond the budget."""


class Reader:
    """`GitHubReads` for one patrol, within a budget and with retries of transient errors. `pause` waits some seconds.

    The audit calls it in several threads at once.
    """

    def __init__(self, github: GitHubReads, pause: Callable[[float], object]) -> None:
        self._github = github
        self._pause = pause
        self._lock = threading.Lock()
        self._most: int | None = None
        """Calls that this patrol may make; None until GitHub has said how many are left."""
        self._stopped: ServiceError | None = None
        self._failures = 0
        self.calls = 0
        """Calls that count against the token's limit."""

    def read(self, path: str, query: Mapping[str, str], etag: str | None = None) -> Page:
        """Read one page. Raises `ServiceError`, with the reason `SPENT` if the budget does not allow the call."""
        pause = PAUSE
        while True:
            self.take(path)
            try:
                page = self._github.read(path, query, etag)
            except ServiceError as error:
                if self._is_final(error, pause):
                    raise
                self._pause(pause)
                pause *= 2
            else:
                self._failures = 0
                self._note(page)
                return page

    def take(self, path: str, calls: int = 1) -> None:
        """Take calls that are about to be made from the budget. Raises `ServiceError` with the reason `SPENT`."""
        with self._lock:
            if self._stopped is not None:
                raise _spent(path, f"an earlier call failed ({self._stopped.message})")
            if self._most is not None and self.calls + calls > self._most:
                raise _spent(path, "the token's other calls are kept for runs")
            self.calls += calls

    def _is_final(self, error: ServiceError, pause: float) -> bool:
        """Return whether a call is not tried again; stop the round if GitHub says so or no longer answers."""
        if error.reason == "rate-limit":
            self._stopped = error
            return True
        if error.transient and pause < PAUSE * 2 ** (TRIES - 1):
            return False
        self._failures += error.transient
        if self._failures >= FAILURES:
            self._stopped = error
        return True

    def _note(self, page: Page) -> None:
        """Read from an answer how many calls are left, and return a call that did not count to the budget."""
        with self._lock:
            before = self.calls - 1
            self.calls -= page.unchanged
            if page.remaining is not None:
                free = page.remaining - (page.limit or 0) // RESERVE
                most = page.remaining // 2 if self._most is None else self._most - before
                self._most = before + min(most, free)


def _spent(path: str, why: str) -> ServiceError:
    return github_error(f"GET {path}", f"not asked in this patrol: {why}", SPENT, transient=True)
