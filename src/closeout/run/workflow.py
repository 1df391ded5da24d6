"""The life of a run, from its first recorded operation to its final status, the same on every engine.

`begin`, then `match` (paths, condition), the status `pending`, every step (condition, plan, guards, apply, verify), the
verdict, and the final status. The workflow keeps no state of its own: all it knows comes from recorded operations, so it
can wait for hours, be killed, and continue anywhere.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict

from closeout.core import reactions
from closeout.core.errors import StepFailed
from closeout.core.plan import Change
from closeout.core.retry import Backoff, Retry
from closeout.core.runs import status_of, verdict_of
from closeout.core.units import duration_text
from closeout.ports import Durable, Ending, Execution, Json, RunFunction
from closeout.run import found, late_closing, matching, visibility
from closeout.run.context import READ_RETRY, ExecutionMemory, RunContext
from closeout.run.deps import RunDeps
from closeout.run.finalize import end_unreadable
from closeout.run.on_function import run_on_function
from closeout.run.planning import STEP
from closeout.run.step import Outcome, StepRun
from closeout.run.visibility import Message

LONGEST_CALL = 7 * 86_400.0
"""Seconds after which a call that cannot be killed no longer keeps the lock of its run."""
PATIENT_RETRY = Retry(attempts=100_000, backoff=READ_RETRY.backoff)


def make_run_function(deps: RunDeps) -> RunFunction:
    """Return the run function over these dependencies."""
    memory: defaultdict[str, ExecutionMemory] = defaultdict(ExecutionMemory)

    def run(durable: Durable, execution: Execution) -> Ending:
        if execution.unreadable is not None:
            return end_unreadable(deps, durable, execution, execution.unreadable)
        ending = _Workflow(RunContext(deps, durable, execution, memory[execution.id])).run()
        memory.pop(execution.id, None)
        return Ending(ending.verdict, deps.redact.text(ending.summary))

    return run


class _Workflow:
    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._automation = context.automation
        self._outcomes: list[tuple[str, Outcome]] = []
        """How each step ended, by its title."""

    def run(self) -> Ending:
        """Run to the end. However it ends, the commit's status must not stay pending."""
        context = self._context
        try:
            begun = context.durable.record("begin", self._begin, later=True)
        except StepFailed as error:
            if error.cancels:
                return Ending("cancelled", "cancelled before it began")
            return self._finish("failure", error.message)
        context.deadline = begun["at"] + self._automation.timeout
        try:
            return self._end_expired() if context.execution.queue_expired else self._run()
        except StepFailed as error:
            if error.cancels:
                return self._cancelled(error)
            return self._finish("failure", error.message)
        except Exception as error:  # noqa: BLE001 - a defect, too, must end in a final status
            kind = f"internal error: {type(error).__name__}"
            return self._finish("failure", Message(f"{kind}: {error}", kind))

    def _run(self) -> Ending:
        context = self._context
        decision = self._match()
        if not decision["run"]:
            return self._finish("skipped", decision["reason"])
        owner = self._owner_of_closing()
        if owner != context.execution.run_id:
            return self._finish("skipped", f"run {owner} acts on this closing")
        total = max(len(self._automation.steps), 1)
        context.post_pending(f"starting {total} step{'s' if total > 1 else ''}")
        context.deps.learn()  # after `pending`, so that a slow store of secrets does not delay it
        if self._automation.function is not None:
            outcome, cancel = run_on_function(context, self._automation.function)
            self._outcomes.append((STEP, outcome))
            if cancel is not None:
                raise cancel
        else:
            self._run_steps(total)
        verdict = verdict_of([outcome.state for _, outcome in self._outcomes])
        if verdict == "success" and self._automation.steps:
            empty = found.check(context, [outcome for _, outcome in self._outcomes])
            if empty is not None:
                return self._finish(*empty)
        return self._finish(verdict, self._result_message())

    def _end_expired(self) -> Ending:
        """End a run that waited too long for its key: skipped, without a status, if it would have done nothing."""
        waited = duration_text(self._automation.queue_timeout)
        missed = f"waited {waited} for its turn and was not started"
        try:
            decision = self._match()
        except StepFailed as error:
            if error.cancels:
                raise
            return self._finish("failure", missed)
        return self._finish(*(("failure", missed) if decision["run"] else ("skipped", decision["reason"])))

    def _begin(self) -> dict[str, float]:
        execution = self._context.execution
        self._context.log(f"run {execution.run_id}, attempt {execution.attempt}: {execution.automation}")
        return {"at": self._context.deps.clock.now()}

    def _match(self) -> Json:
        context = self._context
        # The bases that a pull request had are asked for like the live check: until the run's time is up.
        retry = READ_RETRY if self._automation.bases == "at-close" else PATIENT_RETRY
        return context.durable.record("match", context.safe(lambda: matching.decide(context)), retry)

    def _owner_of_closing(self) -> str:
        """Return the run that acts on the closing: this one, unless another one already has the closing that GitHub reports."""
        context = self._context
        if not late_closing.is_late(context):
            return context.execution.run_id
        begun = context.deadline - self._automation.timeout
        claim = context.safe(lambda: late_closing.claim(context, begun))
        return str(context.durable.record("closing", claim, READ_RETRY)["owner"])

    def _run_steps(self, total: int) -> None:
        planned: list[Change] = []
        stopped = False
        for number, step in enumerate(self._automation.steps, start=1):
            runner = StepRun(self._context, step, number=number, total=total)
            if stopped and not reactions.runs_after_failure(step.condition):
                outcome = runner.end(Outcome("skipped", "an earlier step failed and `on-failure` is `stop`"))
            else:
                try:
                    outcome = runner.run(planned)
                except StepFailed as error:
                    self._outcomes.append((runner.title, self._end_cancelled_step(runner, error)))
                    raise
            self._context.note_step(step.id, outcome.state, outcome.outputs, rehearsed=outcome.dry_run)
            planned.extend(outcome.planned)
            self._outcomes.append((runner.title, outcome))
            stopped = stopped or (outcome.state == "failure" and self._automation.on_failure == "stop")

    def _end_cancelled_step(self, runner: StepRun, error: StepFailed) -> Outcome:
        """End the step in which the run was cancelled, with what is left of the changes that it had begun."""
        left = runner.look() if runner.changed else []
        public = visibility.of_cancel(error)
        return runner.end(Outcome("cancelled", "cancelled", reason=error.message, left=left, public=public))

    def _result_message(self) -> Message:
        """Return what the final status says: the first failure, else what each step has done."""
        failed = [(title, outcome) for title, outcome in self._outcomes if outcome.state == "failure"]
        total = len(self._outcomes)
        done = [
            self._done_message(title, outcome)
            for title, outcome in self._outcomes
            if outcome.state == "success"
        ]
        if failed:
            title, outcome = failed[0]
            head = (f"{len(failed)} of {total} steps failed; " if total > 1 else "") + f"{title}: "
            return Message(head + str(outcome.reason), head + outcome.public_text)
        if done:
            head = f"{len(done)}/{total} steps: " if total > 1 else ""
            return Message(*(head + "; ".join(texts) for texts in zip(*done, strict=True)))
        spared = [outcome.summary for _, outcome in self._outcomes if outcome.planned]
        return Message.plain(spared[0] if spared else "nothing to do: every step was skipped")

    def _done_message(self, title: str, outcome: Outcome) -> Message:
        """Return what a step has done. Of a script only its success is known, so its title comes first."""
        head = f"{title}: " if outcome.own_code and self._automation.function is None else ""
        return Message(head + outcome.summary, head + outcome.public_text)

    def _cancelled(self, error: StepFailed) -> Ending:
        changed = [(title, outcome) for title, outcome in self._outcomes if outcome.changed]
        message = Message(
            error.message + _what_is_gone(changed, public=False),
            visibility.of_cancel(error) + _what_is_gone(changed, public=True),
        )
        reopened = error.kind == "reopened"
        return self._finish("cancelled", message, reopened=reopened, deleted=bool(changed))

    def _finish(
        self, verdict: str, text: str | Message, *, reopened: bool = False, deleted: bool = False
    ) -> Ending:
        """Post the verdict's commit status, if it has one, and return the ending."""
        message = Message.plain(text) if isinstance(text, str) else text
        if self._automation.late and verdict != "skipped":
            message = Message(*(f"deployed after the pull request was closed; {part}" for part in message))
        state = status_of(verdict, reopened=reopened, deleted=deleted)
        if state is None:
            return Ending(verdict, message.full)
        undelivered = self._context.post_final(state, message)
        self._wait_for_calls()
        if undelivered:
            return Ending(verdict, f"{message.full} (status not delivered: {undelivered})")
        return Ending(verdict, message.full)

    def _wait_for_calls(self) -> None:
        """Keep the run's lock until all of its calls have ended: a Python call over its time cannot be killed."""
        context = self._context
        actions = [
            context.deps.actions[step.uses]
            for step in self._automation.steps
            if step.uses in context.deps.actions
        ]
        lingering = [action.lingers for action in actions if action.lingers is not None]
        if not lingering:
            return

        def poll() -> Json | None:
            if any(lingers(context.execution.id) for lingers in lingering):
                context.log_once(
                    "lingers", "a call that exceeded its time still runs here; the run keeps its key", ""
                )
                return None
            return {}

        with contextlib.suppress(StepFailed):
            context.durable.wait_until(
                "outlast", poll, Backoff(first=0.5, factor=1.5, cap=30.0), LONGEST_CALL
            )


def _what_is_gone(changed: list[tuple[str, Outcome]], *, public: bool) -> str:
    """Return what is already gone: what was planned without what is left; of a function, the calls that it made."""
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
