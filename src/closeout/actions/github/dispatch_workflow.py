"""`github/dispatch-workflow`: start a workflow in any repository, wait for it, and end with its conclusion.

GitHub has no "start this once": a second dispatch is a second run. So an intent is recorded first, and before
a dispatch whose answer was lost is repeated, closeout looks for its trace: the token that the workflow shows in
its `run-name`, if the step names the input that carries it (`trace-input`). Without that input there is no trace,
so the dispatch is repeated (at least once).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from closeout.actions.spec import Action, Input, Inputs, Permission, Work, nothing_left
from closeout.core.errors import ActionFailed, ServiceError, StepFailed, WaitTimeout, unusable_answer
from closeout.core.plan import Change
from closeout.core.retry import Backoff
from closeout.ports import Clients, Json

SETTLE = 15.0
"""Seconds until GitHub's list certainly shows a new run (it lags by a few)."""

POLL = Backoff(first=3.0, factor=1.4, cap=30.0)
_MAX_INPUTS = 25
_PAGES = 10
"""With a filter, GitHub lists at most 1,000 runs of a workflow."""

_OLDER = 300.0
"""Tolerated clock difference in seconds: runs that began this long before the intent are checked, too."""


class Dispatch:
    """The action's functions. `began` is the earliest time at which this process could have dispatched anything (seconds)."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._began = now()

    def plan(self, inputs: Inputs, _clients: Clients) -> Sequence[Change]:
        """Return the one dispatch. Nothing is read: GitHub refuses the dispatch if there is no such workflow."""
        resource = f"{inputs['repository']} {inputs['workflow']}@{inputs['ref']}"
        identity = {key: inputs[key] for key in ("repository", "workflow", "ref")}
        return (Change(verb="dispatch", resource=resource, reason=_reason(inputs), identity=identity),)

    def apply(self, change: Change, inputs: Inputs, work: Work) -> Json:
        """Dispatch once, then wait for the conclusion unless `wait` is false."""
        first_time: list[bool] = []

        def intend() -> Json:
            first_time.append(True)
            return {"at": self._now(), "token": f"closeout-{work.execution}-{work.step}"}

        intent = work.record("intent", intend)
        target = _Target(change, inputs, intent, work)
        started = work.change(
            "dispatch", lambda: self._dispatch(target, first=bool(first_time and first_time.pop()))
        )
        if not inputs["wait"]:
            return {**started, "summary": f"dispatched {change.resource}{_link(started)}"}
        if started["run"] is None:
            raise ActionFailed(
                f"{change.resource} was dispatched, but GitHub did not return its run, so closeout cannot wait for it;"
                " add `trace-input`, or `wait: false`"
            )
        return self._conclusion(target, started)

    def _dispatch(self, target: _Target, *, first: bool) -> Json:
        """Dispatch, unless an interrupted earlier try has done so already."""
        if not first:
            found = self._adopt(target)
            if found is not None:
                target.work.log(f"found the run that was dispatched before: {found['url']}")
                return found
        target.work.log(f"dispatching {target.change.resource}")
        try:
            answer = target.post()
        except ServiceError as error:
            if (error.transient and error.http_status is None) or (error.http_status or 0) >= 500:
                # The run may have started anyway: look for it first, when the list has caught up.
                error.retry_after = max(error.retry_after or 0.0, SETTLE)
            raise
        if isinstance(answer, dict) and isinstance(answer.get("workflow_run_id"), int):
            started = {"run": answer["workflow_run_id"], "url": str(answer.get("html_url", ""))}
        else:
            started = {"run": None, "url": ""}
        target.work.log(f"dispatched{_link(started)}")
        return started

    def _adopt(self, target: _Target) -> dict[str, Any] | None:
        """Find the run of an earlier try. Raises a transient error while GitHub's list may still lag."""
        if not target.trace:
            target.work.log("an earlier try may have dispatched this; without `trace-input` it is repeated")
            return None
        found = target.find()
        if found is None and (age := self._now() - self._began) < SETTLE:
            raise ServiceError(
                "an earlier try may have dispatched this a moment ago; waiting until GitHub lists it",
                service="github",
                operation="list workflow runs",
                reason="settling",
                transient=True,
                retry_after=SETTLE - age,
            )
        return found

    def _conclusion(self, target: _Target, started: Json) -> Json:
        """Wait for the run's end. If the step is cancelled, try to cancel the run, too."""
        run, link = started["run"], _link(started)
        try:
            ended = target.work.wait_until("finish", lambda: target.look(run), POLL)
        except WaitTimeout:
            raise ActionFailed(
                f"{target.change.resource} did not end in time and is still running{link}"
            ) from None
        except StepFailed as error:
            if error.cancels:
                target.work.record("cancel", lambda: target.cancel(run))
            raise
        if ended["conclusion"] != "success":
            raise ActionFailed(f"{target.change.resource} ended as {ended['conclusion']}{link}")
        return {**started, **ended, "summary": f"{target.change.resource} succeeded{link}"}


class _Target:
    """One dispatch: its paths in GitHub's API and its trace."""

    def __init__(self, change: Change, inputs: Inputs, intent: Mapping[str, Any], work: Work) -> None:
        self.change = change
        self.work = work
        self.trace = inputs.get("trace-input")
        self._intent = intent
        self._inputs = dict(inputs.get("inputs") or {})
        self._repository = f"/repos/{change.identity['repository']}"
        self._workflow = f"{self._repository}/actions/workflows/{quote(change.identity['workflow'], safe='')}"

    def post(self) -> Json:
        sent = dict(self._inputs)
        if self.trace:
            sent[self.trace] = self._intent["token"]
        if len(sent) > _MAX_INPUTS:
            raise ActionFailed(f"{len(sent)} inputs, but GitHub accepts at most {_MAX_INPUTS}")
        body = {"ref": self.change.identity["ref"], "inputs": sent, "return_run_details": True}
        return self.work.clients.github.request("POST", f"{self._workflow}/dispatches", body=body)

    def find(self) -> dict[str, Any] | None:
        """Find the run with this dispatch's token in its title. The list begins with the newest run."""
        since = datetime.fromtimestamp(self._intent["at"] - _OLDER, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for page in range(1, _PAGES + 1):
            query = {"event": "workflow_dispatch", "per_page": "100", "page": str(page)}
            answer = self.work.clients.github.request("GET", f"{self._workflow}/runs", query=query)
            runs = answer.get("workflow_runs") if isinstance(answer, dict) else None
            if not isinstance(runs, list):
                raise unusable_answer("list workflow runs")
            for run in runs:
                title = f"{run.get('display_title', '')} {run.get('name', '')}"
                if self._intent["token"] in title.split():
                    return {"run": run["id"], "url": run.get("html_url", "")}
            if len(runs) < 100 or str(runs[-1].get("created_at")) < since:
                return None
        return None

    def look(self, run: int) -> Json | None:
        """Read the run's conclusion; None while it is not finished."""
        answer = self.work.clients.github.request("GET", f"{self._repository}/actions/runs/{run}")
        if not isinstance(answer, dict) or answer.get("id") != run:
            raise unusable_answer("get a workflow run")
        if answer.get("status") != "completed":
            return None
        self.work.log(f"the workflow run ended as {answer.get('conclusion')}: {answer.get('html_url')}")
        return {"conclusion": str(answer.get("conclusion"))}

    def cancel(self, run: int) -> Json:
        """Ask GitHub to cancel the run, and log the outcome, which does not affect the step."""
        try:
            self.work.clients.github.request("POST", f"{self._repository}/actions/runs/{run}/cancel")
        except ServiceError as error:
            self.work.log(f"the workflow run could not be cancelled: {error.message}")
            return {"cancelled": False}
        self.work.log("the workflow run was cancelled")
        return {"cancelled": True}


def _reason(inputs: Inputs) -> str:
    given = ", ".join(f"{name}={value}" for name, value in (inputs.get("inputs") or {}).items())
    return f"with {given}" if given else "without inputs"


def _link(started: Mapping[str, Any]) -> str:
    return f": {started['url']}" if started.get("url") else ""


def _check(inputs: Inputs) -> Sequence[str]:
    given = inputs.get("inputs") or {}
    trace = inputs.get("trace-input")
    problems = []
    if isinstance(given, Mapping) and len(given) + bool(trace) > _MAX_INPUTS:
        problems.append(f"GitHub accepts at most {_MAX_INPUTS} inputs, including `trace-input`")
    if trace and isinstance(given, Mapping) and trace in given:
        problems.append(f"`{trace}` is the trace input, which closeout fills in; leave it out of `inputs`")
    return problems


def _permissions(inputs: Inputs) -> tuple[Permission, ...]:
    reason = "to dispatch the workflow, to read how its run ended, and to cancel it"
    return (Permission("github", ("actions:write",), (str(inputs.get("repository", "*")),), reason),)


_DISPATCH = Dispatch()

ACTION = Action(
    uses="github/dispatch-workflow",
    summary="Start a workflow in any repository and wait for it",
    description=(
        "Starts a workflow with `workflow_dispatch`, waits for its run, links it in the log, and fails unless the run's"
        " conclusion is `success`. The workflow can be in any repository: a pull request in one repository starts a"
        " workflow in another, and no token is stored in GitHub.\n\n"
        "Every `${{ }}` in `inputs` must have the form of a name (`[A-Za-z0-9][A-Za-z0-9._/-]*`), because the workflow"
        " is likely to act on what it names.\n\n"
        "To start the workflow exactly once even if closeout crashes, give the workflow a text input, show it in its run"
        " name (`run-name: teardown ${{ inputs.closeout_run }}`), and name that input in `trace-input`. If an answer is"
        " lost, closeout then finds the run; without `trace-input` it starts another one.\n\n"
        "If you cancel the run of the automation while it waits, closeout cancels the workflow run too. If the step's time"
        " is over, the workflow run continues, and the failure links to it."
    ),
    inputs={
        "repository": Input(
            type="string",
            description="the workflow's repository, `owner/name`",
            required=True,
            names=True,
            pattern=r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+",
        ),
        "workflow": Input(
            type="string",
            description="the workflow's file name, `teardown.yml`",
            required=True,
            names=True,
            templates=False,
            pattern=r"[A-Za-z0-9_.-]+\.ya?ml",
        ),
        "ref": Input(
            type="string", description="the branch or tag whose workflow runs", required=True, names=True
        ),
        "inputs": Input(type="map", description="the workflow's inputs, at most 25", names=True),
        "wait": Input(type="boolean", description="wait for the run's conclusion", default=True),
        "trace-input": Input(
            type="string",
            description="an input of the workflow that shows in its `run-name`; closeout puts a token there",
            templates=False,
            pattern=r"[A-Za-z_][A-Za-z0-9_-]*",
        ),
    },
    destructive="unless-declared",
    permissions=_permissions,
    plan=_DISPATCH.plan,
    apply=_DISPATCH.apply,
    verify=nothing_left,
    timeout=3600.0,
    check=_check,
    example="""\
- uses: github/dispatch-workflow
  with:
    repository: acme/infrastructure
    workflow: teardown.yml
    ref: main
    inputs: { preview: 'shop-${{ event.pull_request.number }}' }
    trace-input: closeout_run
""",
)
