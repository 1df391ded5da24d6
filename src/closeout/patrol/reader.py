"""Reads within a budget, so that patrol never takes from runs what they need to check and to report.

A round of patrol spends at most half of the calls that the token has left when it begins, and leaves a tenth of the
token's limit to live checks and statuses. Once GitHub says to wait, the round asks nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from closeout.core.errors import ServiceError
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
    """`GitHubReads` for one round: budgeted, and patient with errors that may pass. `pause` waits some seconds."""

    def __init__(self, github: GitHubReads, pause: Callable[[float], object]) -> None:
        self._github = github
        self._pause = pause
        self._allowed: int | None = None
        """Calls that this round may still make; None before GitHub has said how many there are."""
        self._stopped: ServiceError | None = None
        self._failures = 0
        self.calls = 0
        """Calls that count against the token's limit."""

    def read(self, path: str, query: Mapping[str, str], etag: str | None = None) -> Page:
        """Read one page. Raises `ServiceError`, with the reason `SPENT` when the budget does not allow the call."""
        pause = PAUSE
        while True:
            self._check_budget(path)
            try:
                page = self._github.read(path, query, etag)
            except ServiceError as error:
                self._spend(1)
                if self._is_final(error, pause):
                    raise
                self._pause(pause)
                pause *= 2
            else:
                self._failures = 0
                self._note(page)
                return page

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

    def _check_budget(self, path: str) -> None:
        if self._stopped is not None:
            raise _spent(path, f"an earlier call failed ({self._stopped.message})")
        if self._allowed is not None and self._allowed <= 0:
            raise _spent(path, "the token's other calls are kept for runs")

    def _note(self, page: Page) -> None:
        if page.remaining is not None:
            free = page.remaining - (page.limit or 0) // RESERVE
            half = page.remaining // 2 if self._allowed is None else self._allowed
            self._allowed = min(half, free)
        if not page.unchanged:
            self._spend(1)

    def _spend(self, calls: int) -> None:
        self.calls += calls
        if self._allowed is not None:
            self._allowed -= calls


def _spent(path: str, why: str) -> ServiceError:
    return ServiceError(
        f"GitHub: GET {path}: not asked in this patrol: {why}",
        service="github",
        operation=f"GET {path}",
        reason=SPENT,
        transient=True,
    )
