"""The ending of a run whose payload or definition can no longer be read: nothing is done, and no status stays pending.

What is left of such a run is what it has recorded, and that says where its status was posted.
"""

from __future__ import annotations

from collections.abc import Callable

from closeout.core.commit import StatusTarget
from closeout.core.errors import StepFailed
from closeout.core.retry import Retry
from closeout.ports import Durable, Ending, Execution, Json
from closeout.run.deps import RunDeps
from closeout.run.status import FINAL_PATIENCE, FINAL_RETRY, post

CANCELLED = frozenset(("cancelled", "reopened"))


def end(deps: RunDeps, durable: Durable, execution: Execution, why: str, *, patient: bool = False) -> Ending:
    """Give the ending of a run that cannot be read, its status posted if it had said that it is pending.

    With `patient` it does not end as long as GitHub may still take that status.
    """
    text = f"the run cannot be read from the ledger: {why}"
    ending = Ending("failure", deps.redact.text(text))
    said = _said(durable, text)
    if not said["sent"]:
        return ending
    if "sha" not in said:
        return ending._replace(summary=f"{ending.summary}; its status on GitHub may stay pending")

    def final() -> Json:
        target = StatusTarget(said["repository"], said["sha"])
        posted = post(deps, execution, target, said["context"], "failure", text, patient=patient)
        return {**posted, "public": ending.summary}

    undelivered = _undelivered(durable, final, FINAL_PATIENCE if patient else FINAL_RETRY)
    if undelivered is None:
        return ending
    return ending._replace(
        summary=f"{ending.summary} (status not delivered: {deps.redact.text(undelivered)})"
    )


def _said(durable: Durable, text: str) -> Json:
    """Give what the run recorded when it turned its status to pending."""
    try:
        return durable.record("pending", lambda: {"sent": False, "reason": text})
    except StepFailed as error:  # unless it was never tried, it may have arrived all the same
        return {"sent": error.kind not in CANCELLED}


def _undelivered(durable: Durable, final: Callable[[], Json], retry: Retry) -> str | None:
    """Record `final`; give why it could not be done. A cancel is used up by the first try."""
    for name in ("final", "final-again"):
        try:
            durable.record(name, final, retry)
        except StepFailed as error:
            if error.kind in CANCELLED and name == "final":
                continue
            return error.message
        break
    return None
