"""Look again after a teardown: a deploy that ended later has left something that no closing will delete.

It only reads. A further attempt of the same run deletes what it finds, with every guard. The wiring of each runtime decides
when to look; this module decides what follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

from closeout import livecheck
from closeout.actions.spec import Action
from closeout.config import cel, fields
from closeout.config.typed_deletes import again, typed
from closeout.core.automation import Automation
from closeout.core.errors import BranchInUse, CloseoutError, NotSame, Reopened
from closeout.core.payload import decode
from closeout.core.plan import Change
from closeout.ports import RunReader
from closeout.run import planning
from closeout.run.deps import RunDeps

EVENT, ACTION = "pull_request", "closed"
BY = "closeout: deployed after the pull request was closed"
"""`requested_by` of the attempt that a recheck starts."""
RETRY = 120.0
"""Seconds until a failed recheck is tried again; they double."""
TRIES = 10
RECENT = 30 * 86_400.0
"""Seconds after a teardown in which a deploy that asks the guard triggers an early recheck."""

Outcome = Literal["nothing", "started", "replaced", "changed", "unknown"]
"""`replaced`: a later attempt has rechecks of its own. `changed`: the deletes are not those that the run carried out.
`unknown`: GitHub or AWS did not say."""


class Teardown(NamedTuple):
    """The latest attempt of a run that a closing started, and that succeeded."""

    run_id: str
    attempt: int
    automation: str
    finished_at: float
    definition: str
    """The automation that it carried out, as canonical JSON."""


class Teardowns(RunReader, Protocol):
    """Reads what a look needs in addition to single runs."""

    def superseded(self, run_id: str, attempt: int) -> bool:
        """Return whether a later closing of the same pull request started a run of the automation that was not skipped."""


class Rechecker(NamedTuple):
    """Rechecks single teardowns of one ledger, and adds attempts that delete what is there.

    `current` returns today's form of an automation, None if it is not rechecked. `start` begins an attempt, which may be
    known already, and `new_attempt` is that of `ports.Attempts`. `report` receives sentences for the operator, and `gave_up`
    those about a look that is not repeated. Unless it `assumes` roles, it ignores steps that name one.
    """

    reader: Teardowns
    new_attempt: Callable[..., str]
    current: Callable[[str], Automation | None]
    deps: RunDeps
    start: Callable[[str], None]
    report: Callable[[str], None]
    gave_up: Callable[[str], None]
    assumes: bool = True

    def look(self, teardown: Teardown, tries: int) -> Outcome:
        """Look at a teardown that was tried `tries` times; start a further attempt if something is there. Never raises."""
        try:
            return self._look(teardown)
        except (Reopened, NotSame, BranchInUse):
            return "nothing"  # the closing is void, or another pull request has its names
        except CloseoutError as error:
            # Not only after transient errors: a token may be renewed, a role repaired.
            if tries + 1 < TRIES:
                return "unknown"
            self.gave_up(f"the recheck of run {teardown.run_id} is given up: {error.message}")
        except Exception as error:  # noqa: BLE001 - a defect that one run meets must not end the others' rechecks
            self.gave_up(f"the recheck of run {teardown.run_id} failed: {type(error).__name__}: {error}")
        return "nothing"

    def _look(self, teardown: Teardown) -> Outcome:
        run = self.reader.run(teardown.run_id)
        if run is None or run.action != ACTION:
            return "nothing"
        if run.attempt != teardown.attempt:
            if run.requested_by == BY and run.state == "queued":
                self.start(run.execution)  # the process may have ended, or failed, before it started it
            return "replaced"
        if self.reader.superseded(run.id, run.attempt):
            return "nothing"  # the run of the later closing has rechecks of its own
        automation = self.current(teardown.automation)
        if automation is None:
            return "nothing"
        carried_out = Automation.from_canonical(teardown.definition)
        # The stored form is planned: if the deletes have changed, the run never used the names that today's produce.
        today = Automation.from_canonical(automation.canonical())
        if _deletes(carried_out, self.deps.actions) != _deletes(today, self.deps.actions):
            self.report(
                f"run {run.id} is not rechecked: the deletes of {automation.name} have changed since it ran"
            )
            return "changed"
        payload = decode(self.reader.body(run.delivery))
        found = look(self.deps, automation, payload, assumes=self.assumes)
        if not found:
            return "nothing"
        definition = again(automation, self.deps.actions)
        execution = self.new_attempt(
            run.id, definition.canonical(), BY, key=run.key, queue_timeout=automation.queue_timeout
        )
        self.report(
            f"{run.about} was deployed after it was closed ({found[0].resource}); attempt {execution} deletes it"
        )
        self.start(execution)
        return "started"


def retry_in(tries: int) -> float:
    """Return the seconds until a look that has failed `tries` times is repeated."""
    return float(RETRY * 2**tries)


def look(
    deps: RunDeps, automation: Automation, payload: Mapping[str, Any], *, assumes: bool = True
) -> list[Change]:
    """Return what the typed deletes of a closing would delete now; empty if nothing is there. `assumes` as in `Rechecker`.

    Raises `Reopened`, `NotSame` or `BranchInUse` for what must not be deleted, `ServiceError` without an answer of GitHub or
    AWS, and what a plan raises.
    """
    subject = livecheck.subject_of(EVENT, payload)
    assert subject is not None  # a closing has a live check
    # What was deployed after a reopening belongs to the closing after it, which may be set to keep it.
    subject = subject._replace(closed_at=payload["pull_request"].get("closed_at"))
    livecheck.check(subject, deps.github)
    branch = str(payload["pull_request"]["head"]["ref"])
    context = planning.PlanContext(automation, EVENT, payload)
    planned: list[Change] = []
    for step in typed(automation, deps.actions):
        if step.assume_role is not None and not assumes:
            continue
        if step.condition is None or cel.condition(step.condition, payload, cel.NOTHING_YET):
            if fields.by_branch(step, deps.actions[step.uses]):
                livecheck.check(subject, deps.github, branch)
            planned += planning.make_plan(deps, context, step, planned).changes
    return [change for change in planned if change.verb == "delete"]


def _deletes(automation: Automation, actions: Mapping[str, Action]) -> list[tuple[Any, ...]]:
    """Return everything that determines what is deleted, and where."""
    return [
        (step.uses, dict(step.inputs), step.region, step.account, step.assume_role, step.condition)
        for step in typed(automation, actions)
    ]
