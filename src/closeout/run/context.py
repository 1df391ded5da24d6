"""What the parts of one run share: its automation, its payload, its deadline, its log, its commit status.

Everything here comes from stored data or is read inside recorded functions, so that a replay sees the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from closeout import livecheck
from closeout.config.cel import RunSoFar
from closeout.core import commit
from closeout.core.automation import Automation, Current, Step
from closeout.core.errors import AutomationGone, CloseoutError, DeadlinePassed, StepFailed
from closeout.core.payload import decode
from closeout.core.retry import Backoff, Retry
from closeout.core.units import duration_text
from closeout.ports import Durable, Execution, Json
from closeout.run.deps import RunDeps
from closeout.run.status import PENDING_RETRY, post, record_final
from closeout.run.visibility import TIME_IS_UP, Message

READ_RETRY = Retry(attempts=12, backoff=Backoff(first=1.0, factor=2.0, cap=120.0))
"""For a run's reads: its match, its plans, and whether something should have existed."""


@dataclass
class ExecutionMemory:
    """What this process remembers of one execution, so that a poll repeated for hours logs a line once.

    The engine calls a run function again after every wait, with new closures, so they cannot remember it. Kept in memory
    only: after a restart a line may appear a second time, which does no harm.
    """

    lines: set[str] = field(default_factory=set)
    held: str | None = None
    """Why a call waits."""
    failing: dict[str, float] = field(default_factory=dict)
    """When the calls of each operation began to fail."""


class RunContext:
    """One call of a run function. `deadline` (seconds since the epoch) is set once the run has begun.

    With `patient` the final status is retried until GitHub takes it.
    """

    def __init__(
        self,
        deps: RunDeps,
        durable: Durable,
        execution: Execution,
        memory: ExecutionMemory | None = None,
        *,
        patient: bool = False,
    ) -> None:
        self.deps = deps
        self.durable = durable
        self.execution = execution
        self.automation = Automation.from_canonical(execution.definition)
        self.deadline = float("inf")
        self.posted: str | None = None
        """The state of the final status, posted in this call or an earlier one."""
        self._ended: dict[str, dict[str, Json]] = {}
        """How the steps so far ended, by id, as expressions see it."""
        self._failed = False
        self.rehearsed: set[str] = set()
        """Steps whose outputs are unknown, because they ran dry."""
        self._patient = patient
        self._grace_waited = False
        self.memory = memory or ExecutionMemory()

    @cached_property
    def payload(self) -> Mapping[str, Any]:
        """The event's payload. Raises `PayloadRefused`."""
        return decode(self.execution.body)

    @cached_property
    def subject(self) -> livecheck.Subject | None:
        """The subject of this run's live check."""
        return livecheck.subject_of(self.execution.event_name, self.payload)

    # --- today's configuration and the run's time -----------------------------------------------------------

    def current(self) -> Current:
        """Read what the configuration says now. May raise; only inside a recorded function."""
        return self.deps.current(self.automation.name)

    def hold_if_gone(self, current: Current, step: str) -> bool:
        """Hold the run if the configuration no longer has its automation; only inside a recorded function.

        The run then changes nothing, because the automation may have been renamed, and the new entry may forbid what the
        old one allowed. Raises `AutomationGone` when the run's time is up.
        """
        if current.automation is not None:
            return False
        gone = f"automation {self.automation.name} is gone"
        if self.deps.clock.now() >= self.deadline:
            raise AutomationGone(gone)
        waits = f"{gone} from the configuration; nothing more is changed unless it comes back"
        self.hold(step, waits, status=Message.plain(waits))
        return True

    def check_time(self) -> None:
        """Raise `DeadlinePassed` when the run's time is up; only inside a recorded function."""
        if self.deps.clock.now() >= self.deadline:
            held = self.memory.held
            raise DeadlinePassed(TIME_IS_UP + (f" ({held})" if held else ""))

    def wait_grace(self, step: Step) -> None:
        """Wait the automation's grace before its first destructive step, once a run, and post that as its status."""
        grace = self.automation.grace
        if self._grace_waited or not step.destructive or not grace:
            return
        self._grace_waited = True
        self.post_progress("grace-status", f"waiting {duration_text(grace)} before anything is changed")
        self.durable.sleep("grace", grace)

    # --- what later steps see -------------------------------------------------------------------------------

    def note_step(self, step: str, state: str, outputs: Mapping[str, Json], *, rehearsed: bool) -> None:
        """Let the expressions of later steps see how a step ended."""
        self._ended[step] = {"outcome": state, "outputs": dict(outputs)}
        self._failed = self._failed or state == "failure"
        if rehearsed:
            self.rehearsed.add(step)

    def so_far(self) -> RunSoFar:
        """Return what the expressions of the next step see."""
        return RunSoFar(self._ended, self._failed, self.deps.details(self.execution))

    # --- the log --------------------------------------------------------------------------------------------

    def log(self, text: str, step: str | None = None) -> None:
        """Write a line to the run's log; only inside a recorded function."""
        self.deps.journal.write(self.execution.id, step, self.deps.redact.text(text))

    def log_once(self, key: str, text: str, step: str | None = None) -> None:
        """Write a line unless one of this key was written; only inside a recorded function."""
        line = f"{step or ''} {key}"
        if line not in self.memory.lines:
            self.memory.lines.add(line)
            self.log(text, step)

    def hold(self, step: str, reason: str, status: Message | None = None) -> None:
        """Log why a call waits, once for each reason, and post it as the commit's status if `status` is given.

        A held call is tried every half minute, for hours. A line and a status for each try would flood the log and use up
        the 1,000 statuses that GitHub allows for a commit and context.
        """
        if self.memory.held == reason:
            return
        self.memory.held = reason
        self.log(f"waiting: {reason}", step)
        if status is not None:
            self._try_post(status)

    def note_failure(self, operation: str) -> float:
        """Note that a call failed; return for how many seconds it has. Only inside a recorded function."""
        now = self.deps.clock.now()
        return now - self.memory.failing.setdefault(operation, now)

    # --- the commit's status --------------------------------------------------------------------------------

    def may_read_all(self) -> bool:
        """Whether all who can see the commit's status may read everything; only inside a recorded function.

        `public-logs` counts only if both the run's stored form and today's configuration set it. If that cannot be read
        now, it does not count.
        """
        if commit.certainly_private(self.payload):
            return True
        try:
            current = self.current().automation if self.automation.public_logs else None
        except CloseoutError:
            return False
        return current is not None and current.public_logs

    def post_pending(self, text: str) -> None:
        """Post `pending`. The run continues even if GitHub does not take it, because the teardown matters more."""
        send = self.safe(lambda: self._send("pending", Message.plain(text)))
        try:
            self.durable.record("pending", send, PENDING_RETRY)
        except StepFailed as error:
            if error.cancels:
                raise

    def post_progress(self, name: str, text: str) -> None:
        """Post which step runs, once, as the operation `name`; a failure is only logged."""
        self.durable.record(name, self.safe(lambda: self._try_post(Message.plain(text))))

    def post_final(self, state: str, message: Message) -> str | None:
        """Post the final status; return the reason if it could not be delivered."""
        send = self.safe(lambda: self._send(state, message))
        try:
            self.posted = record_final(self.durable, send, patient=self._patient).get("state")
        except StepFailed as error:
            return error.message
        return None

    def _try_post(self, message: Message) -> Json:
        try:
            return self._send("pending", message)
        except CloseoutError as error:
            self.log(f"status not updated: {error.message}")
            return {"sent": False, "reason": error.message}

    def _send(self, state: str, message: Message) -> Json:
        """Post a message. The public form of the final one is recorded too, for the run's page."""
        final = {} if state == "pending" else {"public": message.public}
        name, event = self.automation.status_context, self.execution.event_name
        if name is None:
            silent = "the automation says `status: false`"
        elif (target := commit.status_target(event, self.payload)) is None:
            silent = commit.why_no_target(event, self.payload)
        elif not self.deps.has_token:
            silent = "no status is posted, since no `secrets.github` is configured"
        else:
            text = message.full if self.may_read_all() else message.public
            posted = post(self.deps, self.execution, target, name, state, text, patient=self._patient)
            return {**posted, **final}
        self.log_once("silent", silent)
        if state != "pending":
            self.log(f"{state}: {message.full}")  # only the log says how the run ended
        return {"sent": False, "reason": silent, **final}

    # --- secrets --------------------------------------------------------------------------------------------

    def safe(
        self, fn: Callable[[], Json], redact: Callable[[Json], Json] | None = None
    ) -> Callable[[], Json]:
        """Wrap a function so that neither its result nor its error can carry a secret into the ledger.

        An error that is not closeout's keeps the name of its type: `'number'` alone does not tell the author of the code
        that it was a KeyError. `redact` replaces redaction of the whole result.
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
