"""Start several runs with one confirmation: a plan for each, a choice among them, and a request for each chosen one.

The confirmation covers all of them: if one plan has changed since it was shown, nothing is requested. The answer shows the
outcome of each request. `Cleanup` starts runs for orphans, `Reruns` the next attempts of failed runs; each run reads its pull
request again and makes a new plan.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from starlette.responses import Response

from closeout.core.errors import ChangedMeanwhile, CloseoutError, UsageError
from closeout.core.ids import is_execution
from closeout.core.threads import background
from closeout.ledger.filters import run_filter
from closeout.orphans.audit import Target
from closeout.ports import RunView
from closeout.server.details import line_id
from closeout.server.pages.lists import FAILED, RUNS
from closeout.server.pages.page_actions import (
    GLANCE,
    LONGEST_REASON,
    LOOK,
    ActionPages,
    by,
    started,
    visitor_of,
)
from closeout.server.pages.plans import Plan, no_plan, plan_of
from closeout.server.pages.presentation import clean
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import PageRequest, Route, is_program
from closeout.server.pages.wording import RERUN, run_path, with_query
from closeout.server.parts import PageActions, ServerParts
from closeout.wiring import cleaning

T = TypeVar("T")
R = TypeVar("R")
MOST = 50
"""Runs that one confirmation starts."""
LIMIT = 10
"""Runs that a page of `Cleanup` proposes, unless `limit` asks for more."""
SECONDS = 600.0
"""The limit of all plans together."""
AT_ONCE = 8
"""Plans of a batch that are made at the same time, so that all can be made again before their requests are written."""


class Proposal(NamedTuple):
    """One run that would start: the request's target, its name for people, its path if there is one, and the plan."""

    target: str
    label: str
    url: str | None
    plan: Plan
    facts: Mapping[str, Any] = {}
    """Further fields for programs."""


class Proposed(NamedTuple):
    """The runs to choose from. `notes` say what is left out and why; `more` is the path of the next page."""

    proposals: Sequence[Proposal]
    notes: Sequence[str]
    more: str | None = None


class BatchPages(ActionPages):
    """The routes of one kind of batch. A subclass proposes runs, and makes the plan for one target."""

    kind: str
    """The kind of the requests."""
    path: str
    here: str
    """The entry of the navigation to mark, and the page to go back to."""
    title: str
    says: str
    nothing: str
    """The sentence for an empty list."""
    requested: str
    """The title of the answer."""

    def __init__(self, parts: ServerParts, page_actions: PageActions, renderer: Renderer) -> None:
        super().__init__(parts, page_actions, renderer, SECONDS)
        self._clock = parts.clock
        self.routes: Sequence[Route] = self._both(self.path, self._show, self._start, self.here)

    def _propose(self, query: Mapping[str, str]) -> Proposed:
        """Return the proposals for a query. Called in a thread; raises CloseoutError."""
        raise NotImplementedError

    def _rows_plan(self, target: str) -> Plan:
        """Return the plan for one target. Called in threads; raises CloseoutError."""
        raise NotImplementedError

    def _is_target(self, name: str) -> bool:
        """Whether a field of a form names a target."""
        raise NotImplementedError

    def _label(self, target: str) -> str:
        """Return a target's name for people. Called in threads; raises CloseoutError."""
        return target

    def _plan(self, target: str) -> Plan:
        try:
            return self._rows_plan(target)
        except CloseoutError as error:
            return no_plan(self._said(error))

    async def _show(self, request: PageRequest) -> Response:
        query = dict(request.http.query_params)
        key = (visitor_of(request).number, tuple(sorted(query.items())))
        proposed = await self._reads.result(key, lambda: self._propose(query), GLANCE)
        if proposed is None:
            return self._working(request, self.title, self.here)
        if is_program(request.http):
            proposals = [
                {"target": each.target, **each.facts} | each.plan.to_json() for each in proposed.proposals
            ]
            content = {"proposals": proposals, "notes": list(proposed.notes)}
            return self._renderer.json(content, 200)
        return self._renderer.html(
            200,
            "batch.html",
            request.visitor,
            here=self.here,
            batch=self,
            proposed=proposed,
            once=self._once_value(request),
            ready=any(each.plan.problem is None for each in proposed.proposals),
            longest=LONGEST_REASON,
        )

    async def _start(self, request: PageRequest) -> Response:
        chosen = {name: plan for name, plan in request.form.items() if self._is_target(name)}
        if not 1 <= len(chosen) <= MOST:
            raise UsageError(f"Choose between 1 and {MOST} runs to start.")

        async def ask() -> Mapping[str, int]:
            await self._check(request, chosen)
            return {target: await self._request(request, self.kind, target) for target in chosen}

        numbers: Mapping[str, int] = await self._once(request, ask)
        outcomes = await asyncio.gather(*(self._outcome_of(number) for number in numbers.values()))
        found = [
            {"target": target, "request": number, "outcome": outcome, "runs": started(outcome)}
            for (target, number), outcome in zip(numbers.items(), outcomes, strict=True)
        ]
        if is_program(request.http):
            return self._renderer.json(
                {"by": by(request), "requests": found}, 202 if None in outcomes else 200
            )
        labels = await asyncio.to_thread(lambda: list(map(self._label, numbers)))
        labelled = [{**each, "label": label} for each, label in zip(found, labels, strict=True)]
        here = self.here
        return self._renderer.html(
            200, "requested.html", request.visitor, here=here, batch=self, requests=labelled
        )

    async def _check(self, request: PageRequest, chosen: Mapping[str, str]) -> None:
        """Raise `ChangedMeanwhile` unless each plan is still the one that was confirmed. A program need not name plans."""
        if visitor_of(request).form_token is None and not any(chosen.values()):
            return
        key = (visitor_of(request).number, tuple(chosen))
        plans = await self._reads.result(key, lambda: at_once(self._plan, chosen), LOOK)
        if plans is None:
            raise ChangedMeanwhile("AWS and GitHub did not answer in time, so nothing was requested.")
        for (target, confirmed), plan in zip(chosen.items(), plans, strict=True):
            if plan.problem is not None or plan.digest != confirmed:
                label = await asyncio.to_thread(self._label, target)
                raise ChangedMeanwhile(
                    f"The plan for {clean(label)} is no longer what you confirmed, so nothing was requested."
                    " Open the page again."
                )


class Cleanup(BatchPages):
    """The route of `/orphans/clean`: a new audit proposes, as for `closeout orphans --clean`."""

    kind = cleaning.KIND
    path, here = "/orphans/clean", "/orphans"
    title = "Clean up orphans?"
    says = (
        "Each choice starts one run of the named automation. The server reads the pull request again, the run plans again, and"
        " every guard and the live check apply."
    )
    nothing = "The audit found no orphan."
    requested = "Clean-up requested"

    def _propose(self, query: Mapping[str, str]) -> Proposed:
        limit = line_id(query.get("limit", str(LIMIT))) or 0
        if not 1 <= limit <= MOST:
            raise UsageError(f"`limit` is a number from 1 to {MOST}.")
        try:
            report = self._page_actions.audit()
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
        found = cleaning.read_target(target)
        return (
            plan_of(self._page_actions.plan_cleaning(found), target) if found else no_plan("no such target")
        )

    def _is_target(self, name: str) -> bool:
        return cleaning.read_target(name) is not None


class Reruns(BatchPages):
    """The route of `/rerun`: the next attempt of each failed run that the filters of `/runs` find."""

    kind = "rerun"
    path, here = RERUN, RUNS.path
    title = "Rerun failed runs?"
    says = (
        "Each choice starts the next attempt of one run, on the same event, with the configuration that this server runs. The run"
        " plans again, and every guard and the live check apply."
    )
    nothing = "No failed run meets these filters."
    requested = "Reruns requested"

    def _propose(self, query: Mapping[str, str]) -> Proposed:
        filters = RUNS.set(query) | FAILED
        wanted = run_filter(filters, self._clock())
        rows, _, older = self._views.run_page(wanted, query.get("cursor") or None, MOST)
        # A run whose later attempt succeeded, or whose closing another run cleaned up, plans nothing, so it is not preselected.
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
        run = self._finished_run(target)
        return plan_of(self._plan_again(run), f"rerun {run.execution}")

    def _is_target(self, name: str) -> bool:
        return is_execution(f"{name}-1")


def _called(run: RunView) -> str:
    return f"{run.automation} on {run.about}" if run.about else run.automation


def at_once(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Call `work` for each item in several threads and return the results. No shutdown waits for them. Raises its errors."""
    waiting = [(item, Future[R]()) for item in items]
    left = iter(waiting)

    def take() -> None:
        for item, future in left:
            try:
                future.set_result(work(item))
            except Exception as error:  # noqa: BLE001 - the waiting caller gets it
                future.set_exception(error)

    for _ in waiting[:AT_ONCE]:
        background("closeout-plans", take).start()
    return [future.result() for _, future in waiting]
