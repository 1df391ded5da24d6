"""Start several runs by one confirmation: a plan for each, a choice among them, and a request for each that is chosen.

The confirmation counts for all of it: if one plan is no longer what was shown, nothing is requested. What becomes of each
request is told for each.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from starlette.responses import Response

from closeout.core.errors import ChangedMeanwhile, CloseoutError, UsageError
from closeout.server.pages.acting import GLANCE, LONGEST_REASON, LOOK, ActingPages, by, started, visitor_of
from closeout.server.pages.plans import Plan, no_plan
from closeout.server.pages.presentation import clean
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import Asked, Route, is_program
from closeout.server.parts import Acting, ServerParts

T = TypeVar("T")
R = TypeVar("R")
MOST = 50
"""Runs that one confirmation starts."""
AT_ONCE = 8
"""Plans of a batch that are made at the same time, so that all can be made again before their requests are written."""


class Batch(NamedTuple):
    """What the pages of one kind of request say."""

    kind: str
    """Of the requests."""
    path: str
    here: str
    """The part of the navigation that it belongs to, and the page that it came from."""
    title: str
    says: str
    nothing: str
    """Says that there is nothing to choose."""
    requested: str
    """The title of the answer."""
    seconds: float
    """The limit of all plans together."""


class Proposal(NamedTuple):
    """One run that would start: the request's target, what a person calls it, its path if there is one, and the plan."""

    target: str
    label: str
    url: str | None
    plan: Plan
    facts: Mapping[str, Any] = {}
    """More of it for programs."""


class Proposed(NamedTuple):
    """What can be chosen. `notes` say what is left out and why; `more` is the path of the page with what comes next."""

    proposals: Sequence[Proposal]
    notes: Sequence[str]
    more: str | None = None


class BatchPages(ActingPages):
    """The routes of one kind of batch. Who derives from it proposes, and plans for one target."""

    def __init__(self, parts: ServerParts, acting: Acting, renderer: Renderer, batch: Batch) -> None:
        super().__init__(parts, acting, renderer, batch.seconds)
        self._batch = batch
        self.routes: Sequence[Route] = self._both(batch.path, self._show, self._start, batch.here)

    def _propose(self, query: Mapping[str, str]) -> Proposed:
        """Return what a query asks for. Called in a thread; raises CloseoutError."""
        raise NotImplementedError

    def _rows_plan(self, target: str) -> Plan:
        """Return the plan for one target. Called in threads; raises CloseoutError."""
        raise NotImplementedError

    def _is_target(self, name: str) -> bool:
        """Whether a field of a form names a target."""
        raise NotImplementedError

    def _label(self, target: str) -> str:
        """Return what a person calls a target. Called in threads; raises CloseoutError."""
        return target

    def _plan(self, target: str) -> Plan:
        try:
            return self._rows_plan(target)
        except CloseoutError as error:
            return no_plan(self._said(error))

    async def _show(self, asked: Asked) -> Response:
        query = dict(asked.request.query_params)
        key = (visitor_of(asked).number, tuple(sorted(query.items())))
        proposed = await self._reads.result(key, lambda: self._propose(query), GLANCE)
        if proposed is None:
            return self._working(asked, self._batch.title, self._batch.here)
        if is_program(asked.request):
            proposals = [
                {"target": each.target, **each.facts} | each.plan.to_json() for each in proposed.proposals
            ]
            told = {"proposals": proposals, "notes": list(proposed.notes)}
            return self._renderer.json(told, 200)
        return self._renderer.html(
            200,
            "batch.html",
            asked.visitor,
            here=self._batch.here,
            batch=self._batch,
            proposed=proposed,
            once=self._once_value(asked),
            ready=any(each.plan.problem is None for each in proposed.proposals),
            longest=LONGEST_REASON,
        )

    async def _start(self, asked: Asked) -> Response:
        chosen = {name: plan for name, plan in asked.form.items() if self._is_target(name)}
        if not 1 <= len(chosen) <= MOST:
            raise UsageError(f"Choose between 1 and {MOST} runs to start.")

        async def ask() -> Mapping[str, int]:
            await self._check(asked, chosen)
            return {target: await self._request(asked, self._batch.kind, target) for target in chosen}

        numbers: Mapping[str, int] = await self._once(asked, ask)
        outcomes = await asyncio.gather(*(self._outcome_of(number) for number in numbers.values()))
        found = [
            {"target": target, "request": number, "outcome": outcome, "runs": started(outcome)}
            for (target, number), outcome in zip(numbers.items(), outcomes, strict=True)
        ]
        if is_program(asked.request):
            return self._renderer.json({"by": by(asked), "requests": found}, 202 if None in outcomes else 200)
        labels = await asyncio.to_thread(lambda: list(map(self._label, numbers)))
        told = [{**each, "label": label} for each, label in zip(found, labels, strict=True)]
        here = self._batch.here
        return self._renderer.html(
            200, "requested.html", asked.visitor, here=here, batch=self._batch, requests=told
        )

    async def _check(self, asked: Asked, chosen: Mapping[str, str]) -> None:
        """Raise `ChangedMeanwhile` unless each plan is still the one that was confirmed. A program need not name plans."""
        if visitor_of(asked).form_token is None and not any(chosen.values()):
            return
        key = (visitor_of(asked).number, tuple(chosen))
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


def at_once(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Return what `work` returns for each item, from several threads that no shutdown waits for. Raises what `work` raises."""
    waiting = [(item, Future[R]()) for item in items]
    left = iter(waiting)

    def take() -> None:
        for item, future in left:
            try:
                future.set_result(work(item))
            except Exception as error:  # noqa: BLE001 - whoever waits for it gets it
                future.set_exception(error)

    for _ in waiting[:AT_ONCE]:
        threading.Thread(target=take, name="closeout-plans", daemon=True).start()
    return [future.result() for _, future in waiting]
