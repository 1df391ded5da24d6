"""Clean orphans from the pages: a new audit, the plan of each run, and a request for each that the visitor leaves chosen.

As `closeout orphans --clean`: the audit only proposes. The server reads each pull request again, and the run plans anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from starlette.responses import Response

from closeout.core.errors import ChangedMeanwhile, CloseoutError, UsageError
from closeout.orphans.audit import Row, Target
from closeout.server.pages.acting import LOOK, ActingPages, by, patience, started, visitor_of
from closeout.server.pages.plans import Plan, no_plan, plan_of
from closeout.server.pages.presentation import clean
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import Asked, Route, is_program
from closeout.server.parts import Acting, ServerParts
from closeout.wiring.cleaning import KIND, read_target

AUDIT_SECONDS = 600.0
"""The limit of an audit with the plans of what it proposes."""
LIMIT, MOST = 10, 50
"""Runs that are proposed, unless the page is asked for more, and at most."""
PATH, HERE = "/orphans/clean", "/orphans"
TITLE = "Clean up orphans?"


class Proposal(NamedTuple):
    """One run that would clean up: what it is for, what the audit found, and the plan."""

    target: Target
    found: Sequence[Row]
    plan: Plan


class Audited(NamedTuple):
    """What an audit proposes. `notes` say what is left out, and what could not be asked."""

    proposals: Sequence[Proposal]
    notes: Sequence[str]


class Cleanup(ActingPages):
    """The route of `/orphans/clean`."""

    def __init__(self, parts: ServerParts, acting: Acting, renderer: Renderer) -> None:
        super().__init__(parts, acting, renderer, AUDIT_SECONDS)

    @property
    def routes(self) -> Sequence[Route]:
        """What this group answers."""
        return self._both(PATH, self._show, self._clean, HERE)

    async def _show(self, asked: Asked) -> Response:
        limit = _limit(asked.request.query_params.get("limit", str(LIMIT)))
        try:
            key = (visitor_of(asked).number, limit)
            audited = await self._reads.result(key, lambda: self._audit(limit), patience(asked))
        except CloseoutError as error:
            audited = Audited((), (f"The audit could not be made: {clean(error.message)}",))
        if audited is None:
            return self._working(asked, TITLE, HERE)
        if is_program(asked.request):
            proposals = [
                {"target": str(each.target), "resources": [row.resource for row in each.found]}
                | each.plan.to_json()
                for each in audited.proposals
            ]
            return self._json({"proposals": proposals, "notes": list(audited.notes)}, 200)
        return self._renderer.html(
            200,
            "clean.html",
            asked.visitor,
            here=HERE,
            title=TITLE,
            audited=audited,
            once=self._once_value(asked),
            ready=any(each.plan.problem is None for each in audited.proposals),
        )

    def _audit(self, limit: int) -> Audited:
        """List, ask and plan. Called in a thread; raises `ConfigError`, or the error of a token that cannot be read."""
        report = self._acting.audit()
        orphans, targets = report.of("orphan"), report.targets()
        spared = sorted({row.target for row in orphans} & report.spared)
        notes = [f"{target} is left out: its run would also delete what is no orphan." for target in spared]
        notes += [f"Not asked: {error}" for error in report.errors]
        if len(targets) > limit:
            notes.append(
                f"{len(targets)} runs would clean up; these are the {limit} with the oldest orphans."
            )
        proposals = [
            Proposal(target, [row for row in orphans if row.target == target], self._plan(target))
            for target in targets[:limit]
        ]
        return Audited(proposals, tuple(map(clean, notes)))

    def _plan(self, target: Target) -> Plan:
        try:
            return plan_of(self._acting.plan_cleaning(target), str(target))
        except CloseoutError as error:
            return no_plan(error.message)

    async def _clean(self, asked: Asked) -> Response:
        chosen = _chosen(asked)

        async def ask() -> Mapping[str, int]:
            await self._check(asked, chosen)
            return {str(target): await self._request(asked, KIND, str(target)) for target in chosen}

        numbers: Mapping[str, int] = await self._once(asked, ask)
        outcomes = await asyncio.gather(*(self._outcome_of(number) for number in numbers.values()))
        found = [
            {"target": target, "request": number, "outcome": outcome, "runs": started(outcome)}
            for (target, number), outcome in zip(numbers.items(), outcomes, strict=True)
        ]
        status = 202 if None in outcomes else 200
        if is_program(asked.request):
            return self._json({"by": by(asked), "requests": found}, status)
        return self._renderer.html(200, "cleaned.html", visitor_of(asked), here=HERE, requests=found)

    async def _check(self, asked: Asked, chosen: Mapping[Target, str]) -> None:
        """Raise `ChangedMeanwhile` unless each plan is still the one that was confirmed. A program need not name plans."""
        if visitor_of(asked).form_token is None and not any(chosen.values()):
            return
        key = (visitor_of(asked).number, tuple(chosen))
        plans = await self._reads.result(key, lambda: [self._plan(target) for target in chosen], LOOK)
        if plans is None:
            raise ChangedMeanwhile("AWS and GitHub did not answer in time, so nothing was requested.")
        for (target, confirmed), plan in zip(chosen.items(), plans, strict=True):
            if plan.problem is not None or plan.digest != confirmed:
                raise ChangedMeanwhile(
                    f"The plan for {clean(target)} is no longer what you confirmed, so nothing was requested."
                    " Open the page again."
                )


def _chosen(asked: Asked) -> Mapping[Target, str]:
    """Return what the form names, each with the plan that was shown. Raises `UsageError`."""
    chosen = {target: plan for name, plan in asked.form.items() if (target := read_target(name)) is not None}
    if not 1 <= len(chosen) <= MOST:
        raise UsageError(f"Choose between 1 and {MOST} pull requests to clean up after.")
    return chosen


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= MOST):
        raise UsageError(f"`limit` is a number from 1 to {MOST}.")
    return int(text)
