"""One round of patrol with what belongs to it: orphans, and what the ledger stores about it.

The same on both runtimes: a server's timer and a function on AWS differ only in who calls it, and over which ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from closeout.config.patrol import PatrolSettings
from closeout.patrol.marks import REPORT
from closeout.patrol.report import COUNTED, PatrolFigures, Report, first
from closeout.patrol.rounds import Patrol
from closeout.ports import PatrolStore
from closeout.wiring.orphans import OrphanRounds

MOST_ERRORS = 100
"""Errors of a round that are kept: an item of DynamoDB has 400 KB at most. A round that cannot be kept is due again at once."""


@dataclass
class Rounds:
    """Makes rounds over one ledger, one at a time. `start` gets new executions, `stopped` ends a round early."""

    settings: PatrolSettings
    patrol: Patrol
    store: PatrolStore
    orphans: OrphanRounds
    now: Callable[[], float]
    start: Callable[[Iterable[str]], None]
    stopped: Callable[[], bool]

    def __post_init__(self) -> None:
        self.totals = Counter(dict.fromkeys(COUNTED, 0))
        """What all rounds of this process saw and did."""
        self.last: dict[str, Mapping[str, Any]] = dict(self.store.marks(REPORT))
        """What the last rounds saw, also those of an earlier process."""

    @property
    def watches(self) -> bool:
        """Whether there is anything to patrol."""
        on = self.settings.deliveries is not None or self.settings.state is not None
        return on and bool(self.patrol.coverage.owners)

    @property
    def audits(self) -> bool:
        """Whether rounds look for orphans."""
        return self.settings.state is not None and self.orphans.watches

    def make(self, *, deliveries: bool, closings: bool, orphans: bool) -> Report:
        """Make one round of the parts that are switched on."""
        report = self.patrol.round(
            deliveries=deliveries and self.settings.deliveries is not None,
            closings=closings and self.settings.state is not None,
            cover_gaps=self.settings.state is not None,
        )
        if orphans:
            self.audit(report)
        return report

    def audit(self, report: Report) -> None:
        """Look for orphans, unless nothing can be listed, and add the result to a report."""
        if not self.audits:
            return
        made = self.orphans.round(self.stopped, self.patrol.reader)
        report.orphans_found, report.orphans_started, report.orphans_unknown = made[:3]
        report.notes += made.notes
        report.errors += made.errors
        if made.started:
            self.start(())
        # An incomplete audit shows neither that there are no orphans, nor that it is done.
        if not made.errors:
            self.keep(
                "orphans",
                {"ended_at": self.now(), "found": made.found, "unknown": made.unknown, "rows": made.kept},
            )

    def note(self, report: Report, *, looked: bool) -> None:
        """Count what a round saw, and store when the lists and the logs were last read."""
        self.totals.update(
            rounds=1,
            closings=report.closings_seen,
            started=report.started,
            recovered=report.recovered,
            ignored=report.ignored,
            gaps=report.gaps,
            errors=len(report.errors),
        )
        if not looked:
            return  # it only looked for orphans
        kind = "logs" if report.repositories is None else "lists"
        errors = first(report.errors, MOST_ERRORS, "patrol's log names")
        result = {**report.to_json(), "errors": errors}
        self.keep(kind, {"ended_at": self.now(), "repositories": report.repositories, **result})

    def keep(self, what: str, value: Mapping[str, Any]) -> None:
        """Keep something of the last round for the next process. Raises `StoreUnavailable`."""
        self.last[what] = value
        self.store.save_mark(REPORT, what, value)

    def figures(self) -> PatrolFigures:
        """Return what the metrics say about patrol."""
        last = dict(self.last)
        return PatrolFigures(
            {kind: last[kind]["ended_at"] for kind in ("lists", "logs") if kind in last},
            last.get("lists", {}).get("repositories") or 0,
            len(self.patrol.coverage.patterns),
            dict(self.totals),
            last.get("orphans", {}).get("found", 0),
        )
