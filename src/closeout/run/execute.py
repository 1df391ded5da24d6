"""The run function: from `begin` to the final status, the same on every engine.

It holds no state of its own: whatever it knows comes from recorded operations, so it can be suspended for hours,
killed, and taken up again anywhere.
"""

from __future__ import annotations

import contextlib

from closeout.core.automation import Automation
from closeout.core.errors import StepFailed
from closeout.core.plan import Change
from closeout.core.retry import Backoff, Retry
from closeout.core.runs import status_of, verdict_of
from closeout.core.units import duration_text
from closeout.ports import Durable, Ending, Execution, Json, RunFunction
from closeout.run import audience, matching, unreadable
from closeout.run.audience import Said
from closeout.run.context import RunContext
from closeout.run.deps import RunDeps
from closeout.run.function import STEP, run_function
from closeout.run.step import Outcome, StepRun
from closeout.run.told import Told

LONGEST_CALL = 7 * 86_400.0
"""Seconds after which a call that cannot be killed no longer keeps the key of its run."""
MATCH_RETRY = Retry(attempts=12, backoff=Backoff(first=1.0, factor=2.0, cap=120.0))


def make(deps: RunDeps) -> RunFunction:
    """Return the run function over these dependencies."""
    told = Told()

    def run(durable: Durable, execution: Execution) -> Ending:
        if execution.unreadable is not None:
            return unreadable.end(deps, durable, execution, execution.unreadable)
        context = RunContext(deps, durable, execution, told)
        ending = _Run(context).execute()
        told.forget(execution.id)
        return Ending(ending.verdict, deps.redact.text(ending.summary))

    return run


class _Run:
    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._automation: Automation = context.automation
        self._outcomes: list[tuple[str, Outcome]] = []

    def execute(self) -> Ending:
        context = self._context
        try:
            begun = context.durable.record("begin", self._begin)
        except StepFailed as error:
            if error.cancels:
                return Ending("cancelled", "cancelled before it began")
            return self._finish("failure", error.message)
        context.deadline = begun["at"] + self._automation.timeout
        try:
            return self._out_of_turn() if context.execution.queue_expired else self._matched()
        except StepFailed as error:
            if error.cancels:
                return self._cancelled(error)
            return self._finish("failure", error.message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the commit's status must not stay pending for ever
            kind = f"internal error: {type(error).__name__}"
            return self._finish("failure", Said(f"{kind}: {error}", kind))

    def _begin(self) -> dict[str, float]:
        execution = self._context.execution
        self._context.log(f"run {execution.run_id}, attempt {execution.attempt}: {execution.automation}")
        return {"at": self._context.deps.clock.now()}

    def _out_of_turn(self) -> Ending:
        """End a run that waited too long for its key: skipped, without a status, if it would have done nothing."""
        waited = duration_text(self._automation.queue_timeout)
        missed = f"waited {waited} for its turn and was not started"
        try:
            decision = self._decide()
        except StepFailed as error:
            if error.cancels:
                raise
            return self._finish("failure", missed)
        return self._finish(*(("failure", missed) if decision["run"] else ("skipped", decision["reason"])))

    def _decide(self) -> Json:
        context = self._context
        return context.durable.record("match", context.safe(lambda: matching.decide(context)), MATCH_RETRY)

    def _matched(self) -> Ending:
        context = self._context
        decision = self._decide()
        if not decision["run"]:
            return self._finish("skipped", decision["reason"])
        total = max(len(self._automation.steps), 1)
        context.status.pending(f"starting {total} step{'s' if total > 1 else ''}")
        context.deps.learn()  # not before `pending`, which need not wait for a store of secrets
        if self._automation.function is not None:
            run_function(
                context, self._automation.function, lambda outcome: self._outcomes.append((STEP, outcome))
            )
        else:
            self._steps(total)
        return self._verdict()

    def _steps(self, total: int) -> None:
        planned: list[Change] = []
        stopped = False
        for number, step in enumerate(self._automation.steps, start=1):
            runner = StepRun(self._context, step, number=number, total=total)
            if stopped:
                outcome = runner.end(Outcome("skipped", "an earlier step failed and `on-failure` is `stop`"))
            else:
                try:
                    outcome = runner.run(planned)
                except StepFailed as error:
                    self._outcomes.append((runner.title, self._interrupted(runner, error)))
                    raise
            planned.extend(outcome.planned)
            self._outcomes.append((runner.title, outcome))
            stopped = stopped or (outcome.state == "failure" and self._automation.on_failure == "stop")

    def _interrupted(self, runner: StepRun, error: StepFailed) -> Outcome:
        """End the step in which the run was cancelled, saying what is left of what it had begun to change."""
        left = runner.look() if runner.changed else []
        public = audience.of_cancel(error)
        return runner.end(Outcome("cancelled", "cancelled", reason=error.message, left=left, public=public))

    def _verdict(self) -> Ending:
        failed = [(title, outcome) for title, outcome in self._outcomes if outcome.state == "failure"]
        total = len(self._outcomes)
        done = [self._done(title, outcome) for title, outcome in self._outcomes if outcome.state == "success"]
        if failed:
            title, outcome = failed[0]
            head = (f"{len(failed)} of {total} steps failed; " if total > 1 else "") + f"{title}: "
            said = Said(head + str(outcome.reason), head + outcome.public_text)
        elif done:
            head = f"{len(done)}/{total} steps: " if total > 1 else ""
            said = Said(*(head + "; ".join(texts) for texts in zip(*done, strict=True)))
        else:
            spared = [outcome.summary for _, outcome in self._outcomes if outcome.planned]
            said = Said.plain(spared[0] if spared else "nothing to do: every step was skipped")
        return self._finish(verdict_of([outcome.state for _, outcome in self._outcomes]), said)

    def _done(self, title: str, outcome: Outcome) -> Said:
        """Say what a step has done: of a script, which one it was, since that it succeeded is all that is known."""
        head = f"{title}: " if outcome.own_code and self._automation.function is None else ""
        return Said(head + outcome.summary, head + outcome.public_text)

    def _cancelled(self, error: StepFailed) -> Ending:
        changed = [(title, outcome) for title, outcome in self._outcomes if outcome.changed]
        whole = error.message + _gone(changed, public=False)
        return self._finish(
            "cancelled",
            Said(whole, audience.of_cancel(error) + _gone(changed, public=True)),
            reopened=error.kind == "reopened",
            deleted=bool(changed),
        )

    def _finish(
        self, verdict: str, text: str | Said, *, reopened: bool = False, deleted: bool = False
    ) -> Ending:
        """Post the verdict's commit status, if it has one, and return the ending."""
        said = Said.plain(text) if isinstance(text, str) else text
        state = status_of(verdict, reopened=reopened, deleted=deleted)
        if state is None:
            return Ending(verdict, said.whole)
        undelivered = self._context.status.final(state, said)
        self._outlast()
        if undelivered:
            return Ending(verdict, f"{said.whole} (status not delivered: {undelivered})")
        return Ending(verdict, said.whole)

    def _outlast(self) -> None:
        """Keep the run's key until nothing of it runs any more: a Python call over its time cannot be killed."""
        context = self._context
        actions = [
            context.deps.actions[step.uses]
            for step in self._automation.steps
            if step.uses in context.deps.actions
        ]
        lingering = [action.lingers for action in actions if action.lingers is not None]
        if not lingering:
            return

        def poll() -> dict[str, bool] | None:
            if any(lingers(context.execution.id) for lingers in lingering):
                context.log_once("lingers", "a call over its time still runs here; the run keeps its key", "")
                return None
            return {"ended": True}

        with contextlib.suppress(StepFailed):
            context.durable.wait_until(
                "outlast", poll, Backoff(first=0.5, factor=1.5, cap=30.0), LONGEST_CALL
            )


def _gone(changed: list[tuple[str, Outcome]], *, public: bool) -> str:
    """Say what is gone already: what was planned, less what is still there; of a function, which calls it made."""
    if not changed:
        return "; nothing was deleted"
    names: list[str] = []
    for title, outcome in changed:
        left = {item["resource"] for item in outcome.left}
        gone = [
            c.resource.partition("\n")[0]  # of a script its first line
            for c in outcome.planned
            if c.verb != "keep" and c.resource not in left
        ]
        names += [title] if gone and public and outcome.own_code else gone
    if not names:
        return "; deletion had begun, all of it is still there"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    calls = all(change.verb == "call" for _, outcome in changed for change in outcome.planned)
    return f"; already {'done' if calls else 'gone or going'}: {', '.join(names[:3])}{more}"
