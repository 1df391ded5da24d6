"""Rerun failed runs from the pages: those that a filter of the list of runs finds, each with its plan, by one confirmation.

Each rerun is a request like that of `closeout runs rerun`: the next attempt, on the same event, with a new plan.
"""

from __future__ import annotations

from collections.abc import Mapping

from closeout.core.errors import ChangedMeanwhile, NotFound
from closeout.core.ids import is_execution
from closeout.core.payload import decode
from closeout.ledger.filters import run_filter
from closeout.ports import RunView
from closeout.server.pages.batches import MOST, Batch, BatchPages, Proposal, Proposed, at_once
from closeout.server.pages.lists import FAILED, RUNS
from closeout.server.pages.plans import Plan, plan_of
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.wording import RERUN, run_path, with_query
from closeout.server.parts import Acting, ServerParts

BATCH = Batch(
    "rerun",
    RERUN,
    RUNS.path,
    "Rerun failed runs?",
    "Each choice starts the next attempt of one run, on the same event, with the configuration that this server runs. The run"
    " makes its plan anew, and every guard and the live check apply.",
    "No failed run meets these filters.",
    "Reruns requested",
    600.0,
)


class Reruns(BatchPages):
    """The route of `/rerun`, which takes the filters of `/runs`."""

    def __init__(self, parts: ServerParts, acting: Acting, renderer: Renderer) -> None:
        super().__init__(parts, acting, renderer, BATCH)
        self._clock = parts.clock

    def _propose(self, query: Mapping[str, str]) -> Proposed:
        filters = RUNS.set(query) | FAILED
        wanted = run_filter(filters, self._clock())
        rows, _, older = self._views.run_page(wanted, query.get("cursor") or None, MOST)
        # A run whose later attempt went well, or whose closing another run cleaned up, plans to delete nothing: not chosen.
        proposals = at_once(self._proposal, rows)
        more = with_query(RERUN, **filters | {"cursor": older}) if older else None
        notes = (f"These are {MOST} of the failed runs, the newest first.",) if older else ()
        return Proposed(proposals, notes, more)

    def _proposal(self, run: RunView) -> Proposal:
        facts = {"execution": run.execution}
        return Proposal(run.id, _called(run), run_path(run.id), self._plan(run.id), facts)

    def _label(self, target: str) -> str:
        run = self._views.run(target)
        return target if run is None else _called(run)

    def _rows_plan(self, target: str) -> Plan:
        run = self._views.run(target)
        if run is None:
            raise NotFound("The ledger has no such run; it may have been pruned.")
        if run.state != "finished":
            raise ChangedMeanwhile(f"This run is {run.state}; it can be run again when it has finished.")
        rows = self._acting.plan(run.event, decode(self._views.body(run.delivery)), only=run.automation)
        return plan_of(rows, f"rerun {run.execution}")

    def _is_target(self, name: str) -> bool:
        return is_execution(f"{name}-1")


def _called(run: RunView) -> str:
    return f"{run.automation} on {run.about}" if run.about else run.automation
