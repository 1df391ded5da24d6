"""The run function of a run that can no longer end itself: it says what happened, and nothing is begun any more.

It works on the run's own record, so what the run had decided and said stands: a run whose `if` was false has no
status, and a final status that was posted is not contradicted.
"""

from __future__ import annotations

from closeout.core.errors import StepFailed
from closeout.ports import Durable, Ending, Execution, RunFunction
from closeout.run import matching, unreadable
from closeout.run.audience import Said
from closeout.run.context import RunContext
from closeout.run.deps import RunDeps
from closeout.run.status import VERDICTS, StatusLine
from closeout.stack.invocation import EARLIER

SENTENCES = {
    "FAILED": "Lambda ended the run's execution with an error; its log says with which",
    "TIMED_OUT": "the run took longer than its execution may take, and Lambda ended it",
    "STOPPED": "somebody stopped the run's execution in Lambda",
    EARLIER: "an earlier release of closeout began the run, and its execution is over",
}


def make(deps: RunDeps, status: str) -> RunFunction:
    """Return the run function that ends a run of which Lambda says `status`.

    It does not end as long as GitHub may still take the final status: whoever calls it is called again, or tells somebody.
    """
    happened = SENTENCES.get(status, f"the run's execution is over ({status}) and left no ending")
    text = f"{happened}; what it had begun may be half done"

    def run(durable: Durable, execution: Execution) -> Ending:
        if execution.unreadable is not None:
            return unreadable.end(deps, durable, execution, execution.unreadable, patient=True)
        context = RunContext(deps, durable, execution)
        context.status = StatusLine(context, patient=True)
        reason = _why_not(context)
        if reason is not None:
            return Ending("skipped", reason)
        undelivered = context.status.final("failure", Said.plain(text))
        if undelivered:
            return Ending("failure", deps.redact.text(f"{text} (status not delivered: {undelivered})"))
        return Ending(VERDICTS.get(context.status.said or "", "failure"), text)

    return run


def _why_not(context: RunContext) -> str | None:
    """Return why the run was never to happen, decided by now if it had not been; None if it was, or nobody can say."""
    try:
        decision = context.durable.record("match", context.safe(lambda: matching.decide(context)))
    except StepFailed:
        return None
    return None if decision["run"] else str(decision["reason"])
