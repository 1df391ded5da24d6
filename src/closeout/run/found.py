"""Tell a run that deleted from one that found nothing to delete: a wrong name looks like a finished teardown.

A run that found nothing says so in its status. It fails if the file or GitHub says that something exists: a step has
`expect: present`, or GitHub has an active deployment in the automation's `environment`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from closeout.config import cel
from closeout.core.automation import Step
from closeout.core.errors import NothingThere, PayloadRefused, ServiceError, StepFailed, github_error
from closeout.core.runs import ALREADY_GONE, NOTHING_THERE
from closeout.ports import GitHub, Json
from closeout.run import visibility
from closeout.run.context import READ_RETRY, RunContext
from closeout.run.visibility import Message

if TYPE_CHECKING:
    from closeout.run.step import Outcome

PAGE = 100
MOST = 300
"""Deployments of one environment that are checked; with more the answer is unknown."""


def check_expected(context: RunContext, step: Step, absent: Message) -> None:
    """Raise `StepFailed` for a step that found nothing but expects its resources to exist.

    Resources that an earlier attempt of the same run deleted count as found.
    """
    if step.expect != "present":
        return

    def look() -> Json:
        if not _deleted_before(context, closings=False):
            raise NothingThere(
                f"{absent.full}, but the step has `expect: present`: correct the name that it makes"
            )
        return {}

    context.durable.record(f"{step.id}/expect", context.safe(look), READ_RETRY)


def check(context: RunContext, outcomes: Sequence[Outcome]) -> tuple[str, Message] | None:
    """Return the verdict and the message of a run that deleted nothing; None for one that deleted or had nothing to look for.

    A skipped step looked for nothing. If another destructive step did something (a script, a build), the run is not
    empty, because it is unknown what that step found.
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
        "deleted-before", context.safe(lambda: _deleted_before(context, closings=False)), READ_RETRY
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

    If an earlier attempt or the run of an earlier closing deleted something, that was the deployment: GitHub still shows
    it as active unless somebody sets it to inactive.
    """

    def look() -> Json:
        if _deleted_before(context, closings=True):
            return {"deleted_before": True}
        name = cel.interpolate(str(context.automation.environment), context.payload)
        if is_active(context.deps.github, repository(context.payload), name):
            raise NothingThere(
                f"{NOTHING_THERE}, but GitHub has an active deployment in {name}: correct the names that the steps make"
            )
        context.log(f"GitHub has no active deployment in {name}")
        return {"environment": name}

    try:
        context.durable.record("environment", context.safe(look), READ_RETRY)
    except StepFailed as error:
        if error.cancels:
            raise
        if error.kind == NothingThere.code:
            return Message.plain(error.message)
        unknown = f"{NOTHING_THERE}, and closeout cannot tell whether that is right: "
        return Message(unknown + error.message, unknown + visibility.masked(error.message))
    return None


# --- an environment on GitHub -------------------------------------------------------------------------------


def repository(payload: Mapping[str, Any]) -> str:
    """Return the full name of the event's repository. Raises `PayloadRefused`."""
    about = payload.get("repository")
    name = about.get("full_name") if isinstance(about, dict) else None
    if not isinstance(name, str):
        raise PayloadRefused("the payload lacks the repository, so its deployments are unknown")
    return name


def is_active(github: GitHub, repository: str, environment: str) -> bool:
    """Return whether the latest status of one of the environment's deployments is `success`, GitHub's "Active".

    A deployment that is queued or under way has not deployed yet, and one that failed or is inactive has nothing to delete.
    Raises `ServiceError`; an unreadable answer never means "no".
    https://docs.github.com/en/rest/deployments/deployments#list-deployments
    """
    path = f"/repos/{repository}/deployments"
    for page in range(1, MOST // PAGE + 1):
        query = {"environment": environment, "per_page": str(PAGE), "page": str(page)}
        listed = _objects(path, github.request("GET", path, query=query))
        for deployment in listed:
            if deployment.get("environment") != environment or type(deployment.get("id")) is not int:
                raise _unusable(path, "the answer is not the list that was asked for")
            if _latest(github, f"{path}/{deployment['id']}/statuses") == "success":
                return True
        if len(listed) < PAGE:
            return False
    raise _unusable(path, f"the environment {environment} has {MOST} deployments or more")


def _latest(github: GitHub, path: str) -> str | None:
    """Return the state of the newest status, which GitHub lists first; None without one."""
    statuses = _objects(path, github.request("GET", path, query={"per_page": "1"}))
    if not statuses:
        return None
    state = statuses[0].get("state")
    if not isinstance(state, str):
        raise _unusable(path, "the answer is not a list of statuses")
    return state


def _objects(path: str, answer: Json) -> list[dict[str, Any]]:
    if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
        raise _unusable(path, "the answer is not a list")
    return answer


def _unusable(path: str, text: str) -> ServiceError:
    return github_error(f"GET {path}", text, "unusable-answer")
