"""Tell a run that deleted from one that found nothing to delete: a wrong name looks like a finished teardown.

A run that found nothing says so in its status. It fails where the file or GitHub knows better: a step with
`expect: present`, or an automation with `environment` for which GitHub has an active deployment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from closeout.config import cel
from closeout.core.automation import Step
from closeout.core.errors import NothingThere, StepFailed
from closeout.core.retry import Backoff, Retry
from closeout.core.runs import ALREADY_GONE, NOTHING_THERE
from closeout.ports import Json
from closeout.run import deployments, visibility
from closeout.run.context import RunContext
from closeout.run.visibility import Message

if TYPE_CHECKING:
    from closeout.run.step import Outcome

RETRY = Retry(attempts=12, backoff=Backoff(first=1.0, factor=2.0, cap=120.0))


def check_expected(context: RunContext, step: Step, absent: Message) -> None:
    """Raise `StepFailed` for a step that expects what it deletes to be there, and found nothing.

    What an earlier attempt of the same run deleted was there.
    """
    if step.expect != "present":
        return

    def look() -> Json:
        if not _deleted_before(context, closings=False):
            raise NothingThere(
                f"{absent.full}, but the step has `expect: present`: correct the name that it makes"
            )
        return {}

    context.durable.record(f"{step.id}/expect", context.safe(look), RETRY)


def check(context: RunContext, outcomes: Sequence[Outcome]) -> tuple[str, Message] | None:
    """Return the verdict and the message of a run that deleted nothing; None for one that deleted, or had nothing to look for.

    A step that was skipped looked for nothing. Beside a destructive step that did something (a script, a build) the run
    is not empty, because nobody knows what that step found.
    """
    ran = [
        outcome
        for step, outcome in zip(context.automation.steps, outcomes, strict=True)
        if step.destructive and outcome.state != "skipped"
    ]
    absent = [outcome.absent for outcome in ran if outcome.absent is not None]
    if not absent or len(absent) < len(ran):
        return None
    dry_run = any(outcome.dry_run for outcome in ran)
    if context.automation.environment is not None and not dry_run:
        failed = _check_environment(context)
        if failed is not None:
            return "failure", failed
    said = NOTHING_THERE
    if context.execution.attempt > 1 and context.durable.record(
        "deleted-before", context.safe(lambda: _deleted_before(context, closings=False)), RETRY
    ):
        said = ALREADY_GONE
    head = f"{'dry run: ' if dry_run else ''}{said}: "
    others = [
        Message(outcome.summary, outcome.public_text)
        for outcome in outcomes
        if outcome.state == "success" and outcome.absent is None
    ]
    short = [Message(*(text.removesuffix(": nothing to delete") for text in one)) for one in absent]
    return "success", Message(*(head + "; ".join(texts) for texts in zip(*short, *others, strict=True)))


def _deleted_before(context: RunContext, *, closings: bool) -> bool:
    execution = context.execution
    return context.deps.deleted_before(execution.run_id, execution.attempt, closings)


def _check_environment(context: RunContext) -> Message | None:
    """Return why the run failed, if GitHub has an active deployment in its environment, or did not say.

    What an earlier attempt or the run of an earlier closing deleted was the deployment: GitHub still shows it as active
    unless somebody sets it to inactive.
    """

    def look() -> Json:
        if _deleted_before(context, closings=True):
            return {"deleted_before": True}
        name = cel.interpolate(str(context.automation.environment), context.payload)
        if deployments.is_active(context.deps.github, deployments.repository(context.payload), name):
            raise NothingThere(
                f"{NOTHING_THERE}, but GitHub has an active deployment in {name}: correct the names that the steps make"
            )
        context.log(f"GitHub has no active deployment in {name}")
        return {"environment": name}

    try:
        context.durable.record("environment", context.safe(look), RETRY)
    except StepFailed as error:
        if error.cancels:
            raise
        if error.kind == NothingThere.code:
            return Message.plain(error.message)
        unknown = f"{NOTHING_THERE}, and closeout cannot tell whether that is right: "
        return Message(unknown + error.message, unknown + visibility.masked(error.message))
    return None
