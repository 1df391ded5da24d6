"""Post commit statuses, which report a run on GitHub.

A progress status may get lost. The final one is retried for most of an hour, and if GitHub still has not taken it, the
run's summary says so.
"""

from __future__ import annotations

from collections.abc import Callable

from closeout.core import commit
from closeout.core.errors import ServiceError, StepFailed
from closeout.core.retry import Backoff, Retry
from closeout.core.runs import clip
from closeout.ports import Durable, Execution, Json
from closeout.run.deps import RunDeps

PENDING_RETRY = Retry(attempts=3, backoff=Backoff(first=1.0, factor=2.0, cap=10.0))
FINAL_RETRY = Retry(attempts=14, backoff=Backoff(first=2.0, factor=2.0, cap=600.0))
"""Most of an hour in all."""
FINAL_PATIENCE = Retry(attempts=1_000_000, backoff=Backoff(first=2.0, factor=2.0, cap=600.0))
"""Without a limit, for a caller that is invoked until the run has ended and raises an alarm if it never does."""
OPERATORS = frozenset((401, 403))
"""Refusals that last until the operator renews the token or its permissions."""
VERDICTS = {"success": "success", "error": "cancelled"}
"""The verdict of a run by the final status that was posted; any other status is a failure."""


def post(
    deps: RunDeps,
    execution: Execution,
    target: commit.StatusTarget,
    name: str,
    state: str,
    text: str,
    *,
    patient: bool = False,
) -> Json:
    """Post one status as the context `name`; return what was posted and where, because the payload may be lost later.

    Raises `ServiceError`. With `patient` it is transient even when GitHub refuses the token.
    """
    description = clip(deps.redact.text(text))
    try:
        deps.github.create_status(
            target.repository,
            target.sha,
            state=state,
            context=name,
            description=description,
            target_url=deps.details(execution),
        )
    except ServiceError as error:
        _log(deps, execution, f"GitHub did not take the status {state}: {error.message}")
        error.transient = error.transient or (patient and error.http_status in OPERATORS)
        raise
    _log(deps, execution, f"status {state}: {description}")
    return {"sent": True, "state": state, "description": description, "context": name, **target._asdict()}


def record_final(durable: Durable, send: Callable[[], Json], *, patient: bool = False) -> Json:
    """Record the final status; with `patient` until GitHub takes it. Raises `StepFailed` if it was not delivered.

    A cancel request that arrives this late ends the first try, so a second operation posts the status.
    """
    retry = FINAL_PATIENCE if patient else FINAL_RETRY
    try:
        return durable.record("final", send, retry)
    except StepFailed as error:
        if not error.cancels:
            raise
    return durable.record("final-again", send, retry)


def _log(deps: RunDeps, execution: Execution, text: str) -> None:
    deps.journal.write(execution.id, None, deps.redact.text(text))
