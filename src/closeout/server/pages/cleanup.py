"""Clean orphans from the pages: a new audit, the plan of each run, and a request for each that the visitor leaves chosen.

As `closeout orphans --clean`: the audit only proposes. The server reads each pull request again, and the run plans anew.
"""

from __future__ import annotations

from collections.abc import Mapping

from closeout.core.errors import CloseoutError, UsageError
from closeout.orphans.audit import Target
from closeout.server.pages.batches import MOST, Batch, BatchPages, Proposal, Proposed, at_once
from closeout.server.pages.plans import Plan, no_plan, plan_of
from closeout.server.pages.presentation import clean
from closeout.server.pages.rendering import Renderer
from closeout.server.parts import Acting, ServerParts
from closeout.wiring.cleaning import KIND, read_target

LIMIT = 10
"""Runs that are proposed, unless the page is asked for more."""
BATCH = Batch(
    KIND,
    "/orphans/clean",
    "/orphans",
    "Clean up orphans?",
    "Each choice starts one run of the named automation. The server reads the pull request again; the run makes its plan anew,"
    " and every guard and the live check apply.",
    "The audit found no orphan.",
    "Clean-up requested",
    600.0,
)


class Cleanup(BatchPages):
    """The route of `/orphans/clean`."""

    def __init__(self, parts: ServerParts, acting: Acting, renderer: Renderer) -> None:
        super().__init__(parts, acting, renderer, BATCH)

    def _propose(self, query: Mapping[str, str]) -> Proposed:
        limit = _limit(query.get("limit", str(LIMIT)))
        try:
            report = self._acting.audit()
        except CloseoutError as error:
            return Proposed((), (f"The audit could not be made: {clean(self._said(error))}",))
        orphans, targets = report.of("orphan"), report.targets()
        spared = sorted({row.target for row in orphans} & report.spared)
        notes = [
            f"{target} is left out: its run would also delete something that is not an orphan."
            for target in spared
        ]
        notes += [f"Not asked: {error}" for error in report.errors]
        if len(targets) > limit:
            notes.append(
                f"{len(targets)} runs would clean up; these are the {limit} with the oldest orphans."
            )

        def proposal(target: Target) -> Proposal:
            resources = [row.resource for row in orphans if row.target == target]
            name = str(target)
            return Proposal(name, name, None, self._plan(name), {"resources": resources})

        return Proposed(at_once(proposal, targets[:limit]), tuple(map(clean, notes)))

    def _rows_plan(self, target: str) -> Plan:
        found = read_target(target)
        return plan_of(self._acting.plan_cleaning(found), target) if found else no_plan("no such target")

    def _is_target(self, name: str) -> bool:
        return read_target(name) is not None


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= MOST):
        raise UsageError(f"`limit` is a number from 1 to {MOST}.")
    return int(text)
