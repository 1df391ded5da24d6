"""End a run that cannot run any further: Lambda has given up its execution, or the ledger can no longer read it.

Nothing new is begun. What the run itself recorded remains valid: a run whose `if` was false gets no status, and a final
status that was posted is not contradicted.
"""

from __future__ import annotations

from closeout.core.commit import StatusTarget
from closeout.core.errors import StepFailed
from closeout.ports import Durable, Ending, Execution, Json, RunFunction
from closeout.run import matching
from closeout.run.context import RunContext
from closeout.run.deps import RunDeps
from closeout.run.status import VERDICTS, post, record_final
from closeout.run.visibility import Message
from closeout.stack.invocation import EARLIER, REMOVED

SENTENCES = {
    "FAILED": "Lambda ended the run's execution with an error, which its log shows",
    "TIMED_OUT": "the run took longer than its execution may take, and Lambda ended it",
    "STOPPED": "somebody stopped the run's execution in Lambda",
    EARLIER: "an earlier release of closeout began the run, and its execution is over",
    REMOVED: "the stack was removed",
}
UNREADABLE = "the run cannot be read from the ledger"
"""The public message, because without the payload it is unknown whether the repository is private."""


def make_finalizer(deps: RunDeps, status: str) -> RunFunction:
    """Return the run function that ends a run whose execution has this `status` in Lambda.

    It does not end while GitHub may still take the final status: its caller is invoked again, or raises an alarm.
    """
    happened = SENTENCES.get(status, f"the run's execution is over ({status}) and recorded no result")
    text = f"{happened}; what it had begun may be half done"

    def run(durable: Durable, execution: Execution) -> Ending:
        if execution.unreadable is not None:
            return end_unreadable(deps, durable, execution, execution.unreadable, patient=True)
        context = RunContext(deps, durable, execution, patient=True)
        reason = _why_skipped(context)
        if reason is not None:
            return Ending("skipped", reason)
        state = "error" if status == REMOVED else "failure"
        undelivered = context.post_final(state, Message.plain(text))
        if undelivered:
            return Ending("failure", deps.redact.text(f"{text} (status not delivered: {undelivered})"))
        return Ending(VERDICTS.get(context.posted or "", "failure"), text)

    return run


def _why_skipped(context: RunContext) -> str | None:
    """Return why the run would have been skipped, deciding it now if the run had not; None if it would not, or if unknown."""
    try:
        decision = context.durable.record("match", context.safe(lambda: matching.decide(context)))
    except StepFailed:
        return None
    return None if decision["run"] else str(decision["reason"])


def end_unreadable(
    deps: RunDeps, durable: Durable, execution: Execution, why: str, *, patient: bool = False
) -> Ending:
    """Return the ending of a run whose payload or definition is lost. Post its final status if it had posted `pending`.

    Only the run's record is left, which says where its status was posted. With `patient` it does not end while GitHub may
    still take that status. A final status that was posted earlier remains the run's verdict.
    """
    text = f"{UNREADABLE}: {why}"
    ending = Ending("failure", deps.redact.text(text))
    pending = _recorded_pending(durable, text)
    if not pending["sent"]:
        return ending
    if "sha" not in pending:
        return ending._replace(summary=f"{ending.summary}; its status on GitHub may stay pending")

    def final() -> Json:
        target = StatusTarget(pending["repository"], pending["sha"])
        posted = post(deps, execution, target, pending["context"], "failure", UNREADABLE, patient=patient)
        return {**posted, "public": UNREADABLE}

    try:
        posted = record_final(durable, final, patient=patient)
    except StepFailed as error:
        undelivered = deps.redact.text(error.message)
        return ending._replace(summary=f"{ending.summary} (status not delivered: {undelivered})")
    return ending._replace(verdict=VERDICTS.get(posted.get("state", ""), ending.verdict))


def _recorded_pending(durable: Durable, text: str) -> Json:
    try:
        return durable.record("pending", lambda: {"sent": False, "reason": text})
    except StepFailed as error:  # unless it was never tried, it may still have arrived
        return {"sent": not error.cancels}
