"""The ending of a run whose payload or definition can no longer be read: nothing is done, and no status stays pending.

What is left of such a run is what it has recorded, and that says where its status was posted.
"""

from __future__ import annotations

from closeout.core.commit import StatusTarget
from closeout.core.errors import StepFailed
from closeout.ports import Durable, Ending, Execution, Json
from closeout.run.deps import RunDeps
from closeout.run.status import FINAL_RETRY, post


def end(deps: RunDeps, durable: Durable, execution: Execution, why: str) -> Ending:
    """Give the ending of a run that cannot be read, its status posted if it had said that it is pending."""
    text = f"the run cannot be read from the ledger: {why}"
    ending = Ending("failure", deps.redact.text(text))
    try:
        said = durable.record("pending", lambda: {"sent": False, "reason": text})
    except StepFailed:  # it may have arrived all the same, and a progress line after it
        said = {"sent": True}
    if not said["sent"]:
        return ending
    if "sha" not in said:
        return ending._replace(summary=f"{ending.summary}; its status on GitHub may stay pending")

    def final() -> Json:
        return post(
            deps, execution, StatusTarget(said["repository"], said["sha"]), said["context"], "failure", text
        )

    try:
        durable.record("final", final, FINAL_RETRY)
    except StepFailed as error:
        undelivered = deps.redact.text(error.message)
        return ending._replace(summary=f"{ending.summary} (status not delivered: {undelivered})")
    return ending
