"""Rerun, cancel, replay, pause and resume from the pages: the plan, a confirmation, and a request like the command line's.

A page never acts itself. It shows what would happen, and its form writes a row of the table `request` with the visitor's
name. The engine carries it out, with a new plan and every guard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from starlette.responses import RedirectResponse, Response

from closeout.core.errors import ChangedMeanwhile, CloseoutError, NotFound
from closeout.core.payload import decode
from closeout.ledger.problems import dismissable
from closeout.server.access import Visitor
from closeout.server.details import line_id
from closeout.server.pages.page_actions import (
    GLANCE,
    LONGEST_REASON,
    LOOK,
    ActionPages,
    by,
    started,
    visitor_of,
)
from closeout.server.pages.plans import Plan, Rows, digest_of, no_plan, plan_of
from closeout.server.pages.presentation import clean
from closeout.server.pages.rendering import Renderer
from closeout.server.pages.site import PageRequest, Route, is_program
from closeout.server.pages.wording import execution_path, problem_name
from closeout.server.parts import PageActions, ServerParts
from closeout.wiring import recovery

PLAN_SECONDS = 60.0
"""The limit of a plan."""
LONGEST_NAME = 40
"""Characters of a run's id or a GUID."""


class UserAction(NamedTuple):
    """An operation to confirm, from the data of the ledger."""

    kind: str
    """The kind of the request."""
    target: str | None
    title: str
    says: Sequence[str]
    button: str
    state: str
    """The state that the confirmation covers in addition to the plan: if it changes, the confirmation is void."""
    back: str
    """The page to go back to."""
    rows: Callable[[], Rows] | None = None
    """Makes the plan; None if the operation has none."""

    @property
    def here(self) -> str:
        """The entry of the navigation to mark."""
        return "/" + self.back.split("/")[1]


class PlanChanged(ChangedMeanwhile):
    """The plan, or the state it is for, has changed since the visitor confirmed it."""

    def __init__(self, action: UserAction, plan: Plan) -> None:
        super().__init__(
            "This is no longer what you confirmed, so nothing was requested. Look at it again, and then confirm."
        )
        self.action, self.plan = action, plan


class UserActions(ActionPages):
    """The routes for the operations of visitors. The ledger is read and written in threads."""

    def __init__(self, parts: ServerParts, page_actions: PageActions, renderer: Renderer) -> None:
        super().__init__(parts, page_actions, renderer, PLAN_SECONDS)
        self.routes: Sequence[Route] = (
            *self._routes_of("/runs/{run_id}/rerun", "/runs", self._rerun),
            *self._routes_of("/runs/{run_id}/cancel", "/runs", self._cancel),
            *self._routes_of("/deliveries/{delivery_id}/replay", "/deliveries", self._replay),
            *self._routes_of("/problems/{problem}/dismiss", "/", self._dismiss),
            *self._routes_of("/pause", "/", self._pause),
            *self._routes_of("/resume", "/", self._resume),
        )

    def _routes_of(self, path: str, here: str, find: Callable[[PageRequest], UserAction]) -> Sequence[Route]:
        async def show(request: PageRequest) -> Response:
            return await self._show(request, await asyncio.to_thread(find, request))

        async def act(request: PageRequest) -> Response:
            return await self._act(request, lambda: asyncio.to_thread(find, request))

        return self._both(path, show, act, here)

    # --- what the ledger knows: called in threads ------------------------------------------------------------

    def _rerun(self, request: PageRequest) -> UserAction:
        run = self._finished_run(_id(request))
        return UserAction(
            "rerun",
            run.id,
            f"Rerun {run.automation} on {run.about}?",
            (
                f"Attempt {run.attempt + 1}, on the same event, with the configuration that this server runs.",
                "The run plans again, and every guard and the live check apply.",
            ),
            "Rerun",
            run.execution,
            f"/runs/{run.id}",
            partial(self._plan_again, run),
        )

    def _cancel(self, request: PageRequest) -> UserAction:
        run = self._run(_id(request))
        if run.state == "finished":
            raise ChangedMeanwhile(
                f"This run has finished ({run.verdict}) meanwhile; there is nothing to cancel."
            )
        return UserAction(
            "cancel",
            run.execution,
            f"Cancel {run.automation} on {run.about}?",
            (
                "The run stops at its next operation, or in its wait.",
                "Resources that it has already deleted are not restored. Everything else stays.",
                "The commit's status becomes error.",
            ),
            "Cancel the run",
            run.execution,
            f"/runs/{run.id}",
        )

    def _replay(self, request: PageRequest) -> UserAction:
        name = _id(request)
        if "-" in name:
            return self._recover(name)
        found = self._views.delivery(line_id(name) or 0)
        if found is None:
            raise NotFound("The ledger has no such delivery; it may have been pruned.")
        event = f"{found.event} {found.action}" if found.action else found.event
        return UserAction(
            "replay",
            str(found.id),
            f"Replay delivery {found.id}?",
            (
                f"It is {event}, {found.repository or 'no repository'}.",
                "Each matching automation of this server's configuration runs, as the next attempt.",
                "Each run makes a new plan, and every guard and the live check apply.",
            ),
            "Replay",
            str(found.id),
            f"/deliveries/{found.id}",
            lambda: self._page_actions.plan(found.event, decode(self._views.body(found.id))),
        )

    def _recover(self, guid: str) -> UserAction:
        each = self._page_actions.left_alone(guid)
        event = f"{each.event} {each.action}" if each.action else each.event
        return UserAction(
            recovery.KIND,
            guid,
            f"Recover and replay delivery {guid}?",
            (
                f"It is {event}, {each.repository or 'no repository'}, and did not arrive.",
                "closeout reads it from GitHub, stores it, and runs what matches.",
                "Each run makes a new plan, and every guard and the live check apply.",
            ),
            "Recover and replay",
            guid,
            "/deliveries",
            lambda: self._page_actions.plan(each.event, self._page_actions.read(each)),
        )

    def _dismiss(self, request: PageRequest) -> UserAction:
        name = _id(request)
        found = next((one for one in self._views.open_problems() if problem_name(one) == name), None)
        target = dismissable(found) if found is not None else None
        if found is None or target is None:
            raise NotFound("There is no such open problem; it may be over.")
        again = (
            "If an audit finds it again, the problem opens again."
            if found.kind == "orphans"
            else "If a further attempt fails, the problem opens again."
        )
        return UserAction(
            "dismiss",
            target,
            f"Dismiss the problem of {found.automation} on {found.about or 'an event'}?",
            (found.text, f"Nothing is deleted, and closeout sends no more messages about it. {again}"),
            "Dismiss",
            f"{found.since} {found.text}",
            "/",
        )

    def _pause(self, request: PageRequest) -> UserAction:
        paused = visitor_of(request).paused
        says = ["Runs wait before their next call that changes something. Deliveries are still accepted."]
        if paused:
            says.insert(0, f"closeout was paused {paused}. Another pause replaces the reason.")
        return UserAction("pause", None, "Pause closeout?", says, "Pause", "", "/")

    def _resume(self, request: PageRequest) -> UserAction:
        paused = visitor_of(request).paused
        if paused is None:
            raise ChangedMeanwhile("closeout is not paused; there is nothing to resume.")
        says = (
            f"closeout was paused {paused}.",
            "Waiting runs continue where they stopped and may delete what their plans name; every guard still applies.",
        )
        return UserAction("resume", None, "Resume closeout?", says, "Resume", paused, "/")

    # --- the confirmation ------------------------------------------------------------------------------------

    async def _show(self, request: PageRequest, action: UserAction) -> Response:
        visitor = visitor_of(request)
        plan = await self._planned(visitor, action, GLANCE)
        if plan is None:
            return self._working(request, action.title, action.here)
        return self._confirmation(request, action, plan, 200)

    async def _planned(self, visitor: Visitor, action: UserAction, patience: float) -> Plan | None:
        """Return the plan, or one that only says why it cannot be made; None if it needs more time."""
        rows = action.rows
        if rows is None:
            return Plan((), None, 0, digest_of(action.kind, action.state))
        try:
            made = await self._reads.result((visitor.number, action.kind, action.state), rows, patience)
        except CloseoutError as error:
            return no_plan(self._said(error))
        return None if made is None else plan_of(made, f"{action.kind} {action.state}")

    def _confirmation(
        self, request: PageRequest, action: UserAction, plan: Plan, status: int, notice: str = ""
    ) -> Response:
        visitor = visitor_of(request)
        if is_program(request.http):
            content = {
                "kind": action.kind,
                "target": action.target,
                "title": clean(action.title),
            } | plan.to_json()
            if status != 200:
                content |= {"error": ChangedMeanwhile.code, "message": notice}
            return self._renderer.json(content, status)
        return self._renderer.html(
            status,
            "confirm.html",
            visitor,
            here=action.here,
            action=action,
            plan=plan,
            notice=notice,
            once=self._once_value(request),
            path=request.http.url.path,
            longest=LONGEST_REASON,
        )

    # --- the request -----------------------------------------------------------------------------------------

    async def _act(self, request: PageRequest, find: Callable[[], Awaitable[UserAction]]) -> Response:
        async def ask() -> tuple[UserAction, int]:
            action = await find()
            await self._check(request, action)
            return action, await self._request(request, action.kind, action.target)

        try:
            action, number = await self._once(request, ask)
        except PlanChanged as changed:
            return self._confirmation(request, changed.action, changed.plan, changed.status, changed.message)
        outcome = await self._outcome_of(number)
        return self._answer(request, action, number, outcome)

    async def _check(self, request: PageRequest, action: UserAction) -> None:
        """Raise `PlanChanged` unless what the visitor confirmed is unchanged. A program may confirm without a plan."""
        visitor = visitor_of(request)
        confirmed = request.form.get("plan")
        if confirmed is None and visitor.form_token is None:
            return
        plan = await self._planned(visitor, action, LOOK)
        if plan is None:
            plan = no_plan("AWS and GitHub did not answer in time.")
        if plan.problem is not None or plan.digest != confirmed:
            raise PlanChanged(action, plan)

    def _answer(self, request: PageRequest, action: UserAction, number: int, outcome: str | None) -> Response:
        runs = started(outcome)
        done = bool(runs) or outcome == "done"
        status = 202 if outcome is None else 200 if done else ChangedMeanwhile.status
        if is_program(request.http):
            content: dict[str, Any] = {"request": number, "kind": action.kind, "target": action.target}
            content |= {"by": by(request), "outcome": outcome, "runs": runs}
            if status == ChangedMeanwhile.status:
                content |= {"error": ChangedMeanwhile.code, "message": outcome}
            return self._renderer.json(content, status)
        if done:
            page = execution_path(runs[0]) if len(runs) == 1 else action.back
            return RedirectResponse(self._renderer.url(page), 303, self._renderer.headers)
        if outcome is None:
            says = f"Request {number} is stored, and closeout has not carried it out yet."
            return self._notice(request, status, says, action.here)
        return self._notice(request, status, f"closeout says: {outcome}.", action.here)


def _id(request: PageRequest) -> str:
    (value,) = request.http.path_params.values()
    return str(value)[:LONGEST_NAME]
