"""One execution's surroundings: its automation, its payload, its deadline, its log, its status.

Everything here is derived from stored data or asked inside recorded functions, so that a replay sees the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from closeout import livecheck
from closeout.core import commit, payload
from closeout.core.automation import Automation, Current, Step
from closeout.core.errors import AutomationGone, CloseoutError, DeadlinePassed, StepFailed
from closeout.core.units import duration_text
from closeout.ports import Durable, Execution, Json
from closeout.run import audience
from closeout.run.deps import RunDeps
from closeout.run.status import StatusLine
from closeout.run.told import Told


class RunContext:
    """What the parts of a run share. `deadline` (epoch seconds) is set once the run has begun.

    `told` is what this process has said of its executions so far.
    """

    def __init__(
        self,
        deps: RunDeps,
        durable: Durable,
        execution: Execution,
        told: Told | None = None,
    ) -> None:
        self.deps = deps
        self.durable = durable
        self.execution = execution
        self.automation = Automation.from_canonical(execution.definition)
        self.deadline = float("inf")
        self.status = StatusLine(self)
        self._grace_waited = False
        self._told = told or Told()

    @cached_property
    def event(self) -> Mapping[str, Any]:
        """The payload, decoded by the one rule. Raises `PayloadRefused`."""
        return payload.decode(self.execution.body)

    @cached_property
    def subject(self) -> livecheck.Subject | None:
        """What the live check of this run is about."""
        return livecheck.subject_of(self.execution.event, self.event)

    def whole(self) -> bool:
        """Whether who reads the commit's statuses may read all that the run says; only inside a recorded function.

        `public-logs` holds while both the run's own form and today's say it; what cannot be read now says nothing.
        """
        if commit.certainly_private(self.event):
            return True
        try:
            current = self.current().automation if self.automation.public_logs else None
        except CloseoutError:
            return False
        return current is not None and current.public_logs

    def current(self) -> Current:
        """Read what the configuration says now. May raise; only inside a recorded function."""
        return self.deps.current(self.automation.name)

    def held_while_gone(self, current: Current, step: str) -> bool:
        """Whether the run's automation is gone from the configuration, said once; only inside a recorded function.

        The run then changes nothing: it may have been renamed, and the new entry forbids what the old one allowed.
        Raises `AutomationGone` when the run's time is up.
        """
        if current.automation is not None:
            return False
        gone = f"automation {self.automation.name} is gone"
        if self.deps.clock.now() >= self.deadline:
            raise AutomationGone(gone)
        waits = f"{gone} from the configuration; nothing more is changed unless it comes back"
        self.hold(step, waits, status=audience.Said.plain(waits))
        return True

    def check_time(self) -> None:
        """Raise `DeadlinePassed` when the run's time is up; only inside a recorded function."""
        if self.deps.clock.now() >= self.deadline:
            held = self._told.why(self.execution.id)
            raise DeadlinePassed(audience.TIME_IS_UP + (f" ({held})" if held else ""))

    def wait_grace(self, step: Step) -> None:
        """Wait the automation's grace before its first destructive step, and say so: once a run."""
        grace = self.automation.grace
        if self._grace_waited or not step.destructive or grace <= 0:
            return
        self._grace_waited = True
        self.status.progress("grace-status", f"waiting {duration_text(grace)} before anything is changed")
        self.durable.sleep("grace", grace)

    def log(self, text: str, step: str | None = None) -> None:
        """Write a line to the run's log; only inside a recorded function."""
        self.deps.journal.write(self.execution.id, step, self.deps.redact.text(text))

    def log_once(self, key: str, text: str, step: str | None = None) -> None:
        """Write a line unless one of this key was written; only inside a recorded function."""
        if self._told.first(self.execution.id, f"{step or ''} {key}"):
            self.log(text, step)

    def hold(self, step: str, reason: str, status: audience.Said | None = None) -> None:
        """Say why a call waits, once for each reason: in the log, and in the commit's status if `status` is given.

        A held call is tried every half minute at most, for hours: a line and a status for each try would drown
        the log and use up the 1,000 statuses that GitHub keeps for a commit and context.
        """
        if not self._told.holds(self.execution.id, reason):
            return
        self.log(f"waiting: {reason}", step)
        if status is not None:
            self.status.note(status)

    @property
    def is_held(self) -> bool:
        """Whether the last try of a call had to wait, as far as this process knows."""
        return self._told.why(self.execution.id) is not None

    def failing_for(self, operation: str) -> float:
        """Return for how many seconds a call has failed, this failure included; only inside a recorded function."""
        now = self.deps.clock.now()
        return now - self._told.failing_since(self.execution.id, operation, now)

    def release(self) -> None:
        """Forget why a call waited, because it no longer does."""
        self._told.goes_on(self.execution.id)

    def safe(
        self, fn: Callable[[], Json], redact: Callable[[Json], Json] | None = None
    ) -> Callable[[], Json]:
        """Wrap a function so that neither its result nor its error can carry a secret into the ledger.

        An error that is none of closeout's keeps the name of its type: `'number'` alone says nothing to whoever
        wrote the code that raised a KeyError. `redact` stands in for taking secrets out of the whole result.
        """

        def redacted() -> Json:
            try:
                return (redact or self._redact)(fn())
            except CloseoutError as error:
                error.message = self.deps.redact.text(error.message)
                error.args = (error.message,)
                raise
            except Exception as error:
                kind = type(error).__name__
                raise StepFailed("", kind, self.deps.redact.text(f"{kind}: {error}")) from error

        return redacted

    def _redact(self, value: Json) -> Json:
        if isinstance(value, str):
            return self.deps.redact.text(value)
        if isinstance(value, Mapping):
            return {key: self._redact(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._redact(item) for item in value]
        return value
