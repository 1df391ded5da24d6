"""Run an `@on` function, with the same durable, guarded calls that steps use.

The live check guards every `record` of a function unless its decorator says `destructive=False`: closeout cannot see what
Python code does, so it assumes the worst.
"""

from __future__ import annotations

from collections.abc import Callable

from closeout.core.automation import Step
from closeout.core.errors import CloseoutError, StepFailed
from closeout.core.plan import Change
from closeout.core.retry import Backoff, Retry
from closeout.ports import Json
from closeout.run import guards, visibility
from closeout.run.context import RunContext
from closeout.run.planning import STEP
from closeout.run.step import Outcome, record_end
from closeout.run.work import HELD, StepWork


class FunctionRun:
    """The `Run` of an `@on` function. Operation names must be unique within the function, and appear in the log.

    A cancel that the function catches (`except Exception`) is raised again at each further call and at its end.
    """

    def __init__(self, work: StepWork, *, destructive: bool) -> None:
        self._work = work
        self._destructive = destructive
        self.event, self.run_id, self.attempt = work.event, work.run_id, work.attempt
        self.over: StepFailed | None = None
        """The cancel that ended the run, if there was one."""

    def record(self, name: str, fn: Callable[[], Json], retry: Retry | None = None) -> Json:
        """Run `fn` once and store its JSON result; guarded by the live check unless `destructive=False`."""

        def call() -> Json:
            self._work.log(f"record {name}")
            return fn()

        if self._destructive:
            return self._until_over(lambda: self._work.change(name, call))
        return self._until_over(lambda: self._work.record(name, call, retry))

    def sleep(self, name: str, seconds: float) -> None:
        """Wait durably, without occupying a thread."""
        self._until_over(lambda: self._work.sleep(name, seconds))

    def wait_until(self, name: str, poll: Callable[[], Json | None], every: float | Backoff = 15.0) -> Json:
        """Call `poll` until it returns something other than None. `poll` must only read: it is not guarded."""

        def look() -> Json | None:
            self._work.log_once(f"wait {name}", f"wait until {name}")
            return poll()

        return self._until_over(lambda: self._work.wait_until(name, look, every))

    def log(self, text: str) -> None:
        """Write to the run's log; call it inside a recorded function."""
        self._work.log(text)

    def _until_over(self, call: Callable[[], Json]) -> Json:
        if self.over is not None:
            raise self.over
        try:
            return call()
        except StepFailed as error:
            if error.cancels:
                self.over = error
            raise


def run_on_function(context: RunContext, reference: str) -> tuple[Outcome, StepFailed | None]:
    """Run an `@on` function; return how it ended, and the cancel if the run was cancelled."""
    automation = context.automation
    destructive = automation.destructive_function
    step = Step(
        id=STEP,
        name=reference,
        uses="python function",
        timeout=automation.timeout,
        retry_attempts=3,
        retry_backoff=1.0,
        destructive=destructive,
    )
    work = StepWork(context, step, f"{STEP}/")
    cancelled: StepFailed | None = None
    try:
        outcome = _outcome(context, reference, step, FunctionRun(work, destructive=destructive))
    except StepFailed as error:
        cancelled = error if error.cancels else None
        state, summary = ("cancelled", "cancelled") if cancelled else ("failure", "failed")
        public = visibility.of_cancel(error) if cancelled else visibility.of_failure(error, own_code=True)
        outcome = Outcome(state, summary, reason=error.message, public=public)
    outcome.changed, outcome.own_code = bool(work.changed), True
    outcome.planned = tuple(
        Change(verb="call", resource=name, reason="a guarded call of the function") for name in work.changed
    )
    record_end(context, STEP, outcome)
    return outcome, cancelled


def _outcome(context: RunContext, reference: str, step: Step, run: FunctionRun) -> Outcome:
    """Call the function after the grace. A dry run does not call it, because nothing shows what it would do."""
    automation = context.automation

    def read_mode() -> Json | None:
        current = context.current()
        held = context.hold_if_gone(current, STEP)
        return None if held else {"dry_run": guards.dry_run(automation, current)}

    mode = context.durable.wait_until(f"{STEP}/mode", context.safe(read_mode), HELD, automation.timeout)
    if mode["dry_run"]:
        uncalled = "dry run: the function was not called"
        return Outcome("success", uncalled, public=uncalled)
    context.wait_grace(step)
    outcome = _call(context, reference, run)
    if run.over is not None:
        raise run.over
    return outcome


def _call(context: RunContext, reference: str, run: FunctionRun) -> Outcome:
    function = context.deps.functions.get(reference)
    if function is None:
        return Outcome(
            "failure", "failed", reason=f"{reference} is no longer among the configured modules' functions"
        )
    try:
        result = function(run)
    except StepFailed:
        raise
    except CloseoutError as error:
        return Outcome("failure", "failed", reason=error.message)
    except Exception as error:  # noqa: BLE001  (the user's own code: any error is its verdict)
        return Outcome("failure", "failed", reason=f"{type(error).__name__}: {error}")
    return Outcome("success", str(result) if isinstance(result, str) else "done")
