"""The ending of a run whose payload or definition can no longer be read: nothing is done, and no status stays pending.

What is left of such a run is what it has recorded, and that says where its status was posted.
"""

from __future__ import annotations

from closeout.core.commit import StatusTarget
from closeout.core.errors import StepFailed
from closeout.ports import Durable, Ending, Execution, Json
from closeout.run.deps import RunDeps
from closeout.run.status import VERDICTS, post, record_final

PUBLIC = "the run cannot be read from the ledger"
"""What anybody may read: nobody knows any more whether the repository is private."""


def end(deps: RunDeps, durable: Durable, execution: Execution, why: str, *, patient: bool = False) -> Ending:
    """Return the ending of a run that cannot be read, its status posted if it had said that it is pending.

    With `patient` it does not end as long as GitHub may still take that status. A last status that was posted before
    stands, and is the run's verdict.
    """
    text = f"{PUBLIC}: {why}"
    ending = Ending("failure", deps.redact.text(text))
    said = _said(durable, text)
    if not said["sent"]:
        return ending
    if "sha" not in said:
        return ending._replace(summary=f"{ending.summary}; its status on GitHub may stay pending")

    def final() -> Json:
        target = StatusTarget(said["repository"], said["sha"])
        posted = post(deps, execution, target, said["context"], "failure", PUBLIC, patient=patient)
        return {**posted, "public": PUBLIC}

    try:
        posted = record_final(durable, final, patient=patient)
    except StepFailed as error:
        undelivered = deps.redact.text(error.message)
        return ending._replace(summary=f"{ending.summary} (status not delivered: {undelivered})")
    return ending._replace(verdict=VERDICTS.get(posted.get("state", ""), ending.verdict))


def _said(durable: Durable, text: str) -> Json:
    """Return what the run recorded when it turned its status to pending."""
    try:
        return durable.record("pending", lambda: {"sent": False, "reason": text})
    except StepFailed as error:  # unless it was never tried, it may have arrived all the same
        return {"sent": not error.cancels}
