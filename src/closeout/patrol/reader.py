"""Reads within a budget, so that patrol never takes from runs what they need to check and to report.

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
"""Reads in a row that may fail in all their tries before the round asks nothing more."""
PAUSE = 1.0
"""Seconds before the second try; doubles from there."""
RESERVE = 10
"""The part of the limit that patrol leaves to others, as a divisor."""
SPENT = "budget"
"""The reason of the error that a read beyond the budget gets."""


class Reader:
    """`GitHubReads` for one patrol: budgeted, and patient with errors that may pass. `pause` waits some seconds.

    Called in several threads at once: the audit's.
    """

    def __init__(self, github: GitHubReads, pause: Callable[[float], object]) -> None:
        self._github = github
        self._pause = pause
        self._lock = threading.Lock()
        self._most: int | None = None
        """Calls that this patrol may make; None before GitHub has said how many there are."""
        self._stopped: ServiceError | None = None
        self._failures = 0
        self.calls = 0
        """Calls that count against the token's limit."""

    def read(self, path: str, query: Mapping[str, str], etag: str | None = None) -> Page:
        """Read one page. Raises `ServiceError`, with the reason `SPENT` when the budget does not allow the call."""
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
        """Take calls from the budget, which somebody is about to make. Raises `ServiceError` with the reason `SPENT`."""
        with self._lock:
            if self._stopped is not None:
                raise _spent(path, f"an earlier call failed ({self._stopped.message})")
            if self._most is not None and self.calls + calls > self._most:
                raise _spent(path, "the token's other calls are kept for runs")
            self.calls += calls

    def _is_final(self, error: ServiceError, pause: float) -> bool:
        """Return whether a call is not tried again; stop the round when GitHub says so, or answers nothing any more."""
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
        """Learn from an answer what is left, and give back a call that did not count."""
        with self._lock:
            before = self.calls - 1
            self.calls -= page.unchanged
            if page.remaining is not None:
                free = page.remaining - (page.limit or 0) // RESERVE
                most = page.remaining // 2 if self._most is None else self._most - before
                self._most = before + min(most, free)


def _spent(path: str, why: str) -> ServiceError:
    return github_error(f"GET {path}", f"not asked in this patrol: {why}", SPENT, transient=True)
