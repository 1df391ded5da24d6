"""Ask GitHub when a pull request was closed, if the payload does not say: GitHub was seen to send `closed` without a time.

Such a run is named after its GUID. It claims the closing, so that no other delivery of it starts a second run. If another
run already has the closing, only that run acts on it.
"""

from __future__ import annotations

from closeout.core.closing import ACTION, EVENT, Closing
from closeout.core.errors import NotSame, Reopened, ServiceError
from closeout.core.facts import Facts, facts_of
from closeout.ports import Json
from closeout.run.closed_event import read_pull_request
from closeout.run.context import RunContext

PATIENCE = 60.0
"""Seconds after a run's start in which GitHub may still show the pull request as open: its API can lag behind its webhooks."""


def is_late(context: RunContext) -> bool:
    """Return whether the run acts on a closing whose time its payload lacks, and GitHub can be asked for it."""
    facts = _facts(context)
    named = None not in (facts.repository, facts.repository_id, facts.number, facts.pull_request_id)
    is_closing = (facts.event, facts.action) == (EVENT, ACTION)
    return is_closing and facts.closed_at is None and named and context.deps.has_token


def claim(context: RunContext, begun: float) -> Json:
    """Return `{"closing": text, "owner": run id}`; only inside a recorded function.

    Raises `Reopened` if GitHub shows the pull request as open for a minute, `NotSame`, or `ServiceError`: no error means
    "closed".
    """
    facts = _facts(context)
    repository, number = facts.repository, facts.number
    assert repository is not None
    assert number is not None
    pull = read_pull_request(context.deps.github, repository, number)
    if (pull["id"], pull["base"]["repo"]["id"]) != (facts.pull_request_id, facts.repository_id):
        raise NotSame(f"{repository}#{number} is now another pull request or repository than the event's")
    if pull["state"] != "closed":
        name = f"{repository}#{number}"
        if context.deps.clock.now() - begun > PATIENCE:
            raise Reopened(f"{name} is open")
        raise ServiceError(
            f"GitHub shows {name} as open, although its event says that it was closed",
            service="github",
            operation="pull_request",
            reason="NotClosedYet",
            transient=True,
        )
    closing = Closing(pull["base"]["repo"]["id"], pull["id"], pull["closed_at"])
    run_id = context.execution.run_id
    owner = context.deps.claim_closing(str(closing), closing.run_id(context.automation.name), run_id)
    context.log(f"the payload does not say when the pull request was closed; GitHub says {closing.closed_at}")
    return {"closing": str(closing), "owner": owner}


def _facts(context: RunContext) -> Facts:
    return facts_of(context.execution.event_name, context.payload)
