"""The `Work` that an action's `apply` receives: durable calls within its step, and guarded calls.

Only `change` creates, changes or deletes anything. Every guard runs in the same recorded operation as the call itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from closeout import livecheck
from closeout.actions.spec import Action, Limit
from closeout.config import fields
from closeout.core import payload
from closeout.core.automation import Step
from closeout.core.errors import (
    ActionFailed,
    CloseoutError,
    DeadlinePassed,
    GuardRefused,
    ServiceError,
    StoreUnavailable,
)
from closeout.core.plan import Change
from closeout.core.retry import Backoff, Retry
from closeout.ports import Json
from closeout.run import guards, inputs
from closeout.run.context import RunContext
from closeout.run.visibility import Message

T = TypeVar("T")

HELD = Backoff(first=1.0, factor=1.6, cap=30.0)
"""How often a held call (paused, pull request unreadable, service throttled) is tried again."""


class CheckedPlan(NamedTuple):
    """A step's entire plan, which is checked against today's `protect` and limits before each call.

    The file may have become stricter while the run waited.
    """

    changes: Sequence[Change]
    before: Sequence[Change]
    """What earlier steps had planned."""
    action: Action
    tag_rules: frozenset[str]
    """The rules of `protect.tags` that the plan was checked against; for any other rule the tags are read again."""


class StepWork:
    """`actions.spec.Work` for one change of one step, or, without a `plan`, for an `@on` function."""

    def __init__(
        self,
        context: RunContext,
        step: Step,
        prefix: str,
        plan: CheckedPlan | None = None,
    ) -> None:
        self._context = context
        self._step = step
        self._prefix = prefix
        self._plan = plan
        self._target = inputs.target(step, context.payload)
        self.clients = context.deps.clients.for_step(self._target)
        execution = context.execution
        self.execution, self.run_id, self.attempt = execution.id, execution.run_id, execution.attempt
        self.automation, self.step = context.automation.name, step.id
        backoff = Backoff(first=step.retry_backoff, factor=2.0, cap=300.0)
        self.retry = Retry(attempts=step.retry_attempts, backoff=backoff)
        self.settings: Mapping[str, Any] = {
            "pass-env": step.pass_env,
            "secret-variables": context.automation.secret_variables,
            "directory": str(context.deps.directory),
        }
        self.changed: list[str] = []
        """Names of the guarded calls that were made, the same in every replay."""

    @property
    def event(self) -> Mapping[str, Any]:
        """The payload, copied each time: user code may change its copy, and later steps must not see that."""
        return payload.decode(self._context.execution.body)

    def record(self, name: str, fn: Callable[[], Json], retry: Retry | None = None) -> Json:
        """Record a call that changes nothing."""
        return self._context.durable.record(self._prefix + name, self._context.safe(self._timed(fn)), retry)

    def sleep(self, name: str, seconds: float) -> None:
        """Wait durably."""
        self._context.durable.sleep(self._prefix + name, seconds)

    def wait_until(self, name: str, poll: Callable[[], Json | None], every: float | Backoff) -> Json:
        """Poll until there is an answer or the time is up."""
        return self._context.durable.wait_until(
            self._prefix + name,
            self._context.safe(self._timed(poll)),
            every,
            self._step.timeout,
        )

    def change(
        self,
        name: str,
        call: Callable[[], Json],
        on_interrupted: Callable[[], Json] | None = None,
        *,
        look: Callable[[], None] | None = None,
    ) -> Json:
        """Make one guarded call; see `actions.spec.Work.change`."""
        guarded = call if on_interrupted is None else partial(self._begin_once, call, on_interrupted)
        answer = self._context.durable.wait_until(
            self._prefix + name,
            self._context.safe(lambda: self._attempt(name, guarded, look)),
            HELD,
            self._context.automation.timeout,
        )
        self.changed.append(name)
        return answer["result"]

    def _begin_once(self, call: Callable[[], Json], on_interrupted: Callable[[], Json]) -> Json:
        """Make a call whose effect cannot be read later, after storing that it begins."""
        begin = self._context.durable.begin_effect()
        if begin == "late":
            raise ServiceError(
                "the ledger took long to store that the call begins, so the guards run again",
                service="ledger",
                operation="begin_effect",
                reason="late",
                transient=True,
            )
        return call() if begin == "begun" else on_interrupted()

    def limit(self) -> Limit:
        """Return how long a call may take: the least of the step's timeout, the run's time left, and the engine's limit."""
        deps = self._context.deps
        left = max(0.0, min(self._step.timeout, self._context.deadline - deps.clock.now()))
        longest = deps.longest_call
        return longest if longest is not None and longest.seconds < left else Limit(left)

    def clean(self, text: str) -> str:
        """Return text without the secrets that closeout knows."""
        return self._context.deps.redact.text(text)

    def log(self, text: str) -> None:
        """Write to the run's log; only inside a recorded function."""
        self._context.log(text, self._step.id)

    def log_once(self, key: str, text: str) -> None:
        """Write a line once, however often a poll repeats it; only inside a recorded function."""
        self._context.log_once(key, text, self._step.id)

    def now(self) -> float:
        """Seconds since the epoch; only inside a recorded function."""
        return self._context.deps.clock.now()

    def _timed(self, fn: Callable[[], Json]) -> Callable[[], Json]:
        def within_time() -> Json:
            self._context.check_time()
            return fn()

        return within_time

    def _attempt(self, name: str, call: Callable[[], Json], look: Callable[[], None] | None) -> Json | None:
        """Run every guard, then the call; None if it has to wait and try again."""
        self._check_time()
        try:
            if self._hold(name, look):
                return None
            guards.check_account(self._target, self.clients)
            if self._step.destructive:
                self._live_check()
            result = self._within_step(name, call)
        except CloseoutError as error:
            if error.transient:
                self._context.hold(self._step.id, error.message)
            raise
        self._context.memory.held = None
        return {"result": result}

    def _hold(self, name: str, look: Callable[[], None] | None) -> bool:
        """Return whether the call has to wait: checked before the call's own look, which is then skipped, and after it.

        A look may take minutes, so the run's time and a cancel are checked again after it. Before it, the file is read
        only for a call that was held, which would otherwise look every half minute.
        """
        if self._hold_by_pause():
            return True
        if look is not None:
            if self._context.memory.held and self._hold_by_file():
                return True
            self._within_step(name, look)
            self._check_time()
            if self._context.durable.cancelled() or self._hold_by_pause():
                return True
        return self._hold_by_file()

    def _check_time(self) -> None:
        """Raise when the run's time is up: `AutomationGone` if the automation is gone by then, else `DeadlinePassed`."""
        try:
            self._context.check_time()
        except DeadlinePassed:
            with contextlib.suppress(StoreUnavailable):
                self._context.hold_if_gone(self._context.current(), self._step.id)
            raise

    def _within_step(self, name: str, call: Callable[[], T]) -> T:
        """Make the call. Give up one that fails for the step's entire timeout, because other steps need the run's time.

        A held call (a pause, an unreadable pull request) does not count: it may wait as long as the run has time.
        """
        try:
            return call()
        except ServiceError as error:
            if error.transient and self._context.note_failure(self._prefix + name) >= self._step.timeout:
                tried = f"{error.message}; given up after {self._step.timeout:g} s, the step's timeout"
                raise ActionFailed(tried) from error
            raise

    def _hold_by_file(self) -> bool:
        """Hold the call if the file no longer has the run's automation; return whether.

        Raises `GuardRefused` if the file has become stricter since the plan: a dry run, a protection, a limit. A file
        that cannot be read now raises a transient error, as a switch does: the call waits and tries again.
        """
        stored, current = self._context.automation, self._context.current()
        if guards.dry_run(stored, current):
            raise GuardRefused(
                f"{self._step.id}: the automation is in dry-run mode now; nothing more was done"
            )
        plan = self._plan
        if plan is not None:
            changes = plan.changes
            if guards.tag_rules(stored, current) - plan.tag_rules:
                changes = guards.with_tags(plan.action, changes, self.clients)
            guards.check_plan(changes, stored, current, plan.before)
        return self._context.hold_if_gone(current, self._step.id)

    def _hold_by_pause(self) -> bool:
        paused = self._context.deps.switch.paused()
        if paused:
            said = f"paused: {paused}"
            self._context.hold(self._step.id, said, status=Message(said, "paused"))
        return bool(paused)

    def _branch(self, subject: livecheck.Subject) -> str | None:
        """Return the branch if this step's names contain it, so that others of the branch may share them."""
        action = self._context.deps.actions.get(self._step.uses)
        if action is None:
            return None
        if subject.kind == "ref":
            both = any(map(_takes_both, self._context.automation.triggers))
            return subject.ref.partition("/")[2] if both and fields.by_ref(self._step, action) else None
        if not fields.by_branch(self._step, action):
            return None
        return str(self._context.payload["pull_request"]["head"]["ref"])

    def _live_check(self) -> None:
        subject = self._context.subject
        guards.check_live_checkable(
            self._step, has_check=subject is not None, automation=self._context.automation
        )
        if subject is None:
            return
        try:
            livecheck.check(subject, self._context.deps.github, self._branch(subject))
        except ServiceError as error:
            # An error is never read as "closed": the call waits, durably, until the run's time is up.
            raise ServiceError(
                f"cannot read the {subject.kind}, so nothing is changed: {error.message}",
                service="github-live-check",
                operation=error.operation,
                reason=error.reason,
                transient=True,
                retry_after=error.retry_after,
            ) from None


def _takes_both(trigger: Mapping[str, Any]) -> bool:
    """Return whether a trigger matches deleted branches and deleted tags: it filters neither, or both."""
    of_branches, of_tags = (
        any(key in trigger for key in (kind, f"{kind}-ignore")) for kind in ("branches", "tags")
    )
    return trigger.get("event") == "delete" and of_branches == of_tags
