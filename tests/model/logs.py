"""What patrol has seen of GitHub's delivery logs, and so which gaps it has to tell: an oracle that only GitHub informs.

A log has a gap if it no longer has the last delivery that patrol saw, or if patrol was away for longer than a log reaches.
"""

from __future__ import annotations

from typing import NamedTuple

from closeout.patrol.report import Report
from tests.model.outside import RETENTION, GitHub


class Seen(NamedTuple):
    """What a round saw of a log."""

    at: int
    newest: tuple[int, int] | None
    """The moment and the id of the newest delivery that it ever had; None if there was none, or since a gap."""


class Logs:
    """What each round saw. A round that met a fault, or was killed, may have seen all or nothing of a log."""

    def __init__(self, github: GitHub) -> None:
        self._github = github
        self._seen: dict[int, Seen | None] = {}
        """By hook; None: nobody knows."""
        self._failed = 0

    def lose(self) -> None:
        """Note that closeout has forgotten them: it begins anew."""
        self._seen.clear()

    def begin(self) -> None:
        """Begin a round."""
        self._github.logs_read.clear()
        self._failed = self._github.fate.failed

    def break_off(self) -> None:
        """Note that a round did not come to its end."""
        self._seen |= dict.fromkeys(self._github.logs_read)

    def end(self, report: Report) -> None:
        """Compare the gaps that a round has told with those that there were."""
        read = self._github.logs_read
        if report.errors or self._github.fate.failed > self._failed:
            self.break_off()
            return
        gaps = {hook for hook, log in read.items() if self._has_gap(self._seen.get(hook), *log)}
        told = f"told {report.gaps} gaps, there are {len(gaps)}: {self._seen}, {read}"
        assert report.gaps >= len(gaps), told
        if None not in (self._seen.get(hook, ()) for hook in read):
            assert report.gaps == len(gaps), told
        for hook, (at, entries) in read.items():
            known = self._seen.get(hook)
            before = known.newest if known and hook not in gaps else None
            self._seen[hook] = Seen(at, max(entries, default=before))

    def _has_gap(self, seen: Seen | None, at: int, entries: list[tuple[int, int]]) -> bool:
        if seen is None or seen.newest in entries:
            return False
        if seen.newest is not None and at - seen.newest[0] < RETENTION:
            return True
        return at - seen.at >= RETENTION
