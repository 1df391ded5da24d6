"""The commit's status: what a run says on GitHub, and what it says when GitHub cannot be told.

A progress line may get lost; the final one is retried for a long time, and if it stays undelivered the run says so.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from closeout.core import commit
from closeout.core.errors import CloseoutError, ServiceError, StepFailed
from closeout.core.retry import Backoff, Retry
from closeout.core.runs import clip
from closeout.ports import Durable, Execution, Json
from closeout.run.audience import Said
from closeout.run.deps import RunDeps

if TYPE_CHECKING:
    from closeout.run.context import RunContext

PENDING_RETRY = Retry(attempts=3, backoff=Backoff(first=1.0, factor=2.0, cap=10.0))
FINAL_RETRY = Retry(attempts=14, backoff=Backoff(first=2.0, factor=2.0, cap=600.0))
"""Most of an hour in all."""
FINAL_PATIENCE = Retry(attempts=1_000_000, backoff=Backoff(first=2.0, factor=2.0, cap=600.0))
"""Without an end of its own: for whoever is called again until it is done, and tells somebody when it never is."""
OPERATORS = frozenset((401, 403))
"""Refusals that last until somebody renews the token or its rights."""
VERDICTS = {"success": "success", "error": "cancelled"}
"""What a last status that was posted says of its run; every other one is a failure."""


def post(
    deps: RunDeps,
    execution: Execution,
    target: commit.StatusTarget,
    name: str,
    state: str,
    text: str,
    *,
    patient: bool = False,
) -> Json:
    """Post one status as the context `name`. What is given back says where it went: the payload may be lost later.

    Raises `ServiceError`: with `patient`, one that may pass also when it is the token that is refused.
    """
    description = clip(deps.redact.text(text))
    try:
        deps.github.create_status(
            target.repository,
            target.sha,
            state=state,
            context=name,
            description=description,
            target_url=deps.details(execution),
        )
    except ServiceError as error:
        _log(deps, execution, f"GitHub did not take the status {state}: {error.message}")
        error.transient = error.transient or (patient and error.http_status in OPERATORS)
        raise
    _log(deps, execution, f"status {state}: {description}")
    return {"sent": True, "state": state, "description": description, "context": name, **target._asdict()}


def record_final(durable: Durable, send: Callable[[], Json], *, patient: bool = False) -> Json:
    """Record the last status; with `patient` until it is taken. Raises `StepFailed` if it could not be delivered.

    A cancel request that arrives this late is used up by the first try: the second one posts.
    """
    retry = FINAL_PATIENCE if patient else FINAL_RETRY
    try:
        return durable.record("final", send, retry)
    except StepFailed as error:
        if not error.cancels:
            raise
    return durable.record("final-again", send, retry)


def _log(deps: RunDeps, execution: Execution, text: str) -> None:
    deps.journal.write(execution.id, None, deps.redact.text(text))


class StatusLine:
    """Posts the status of one execution; `patient`: the last one until it is taken."""

    def __init__(self, context: RunContext, *, patient: bool = False) -> None:
        # The context holds this. In a cycle every try of a waiting run would leave its payload to the garbage collector.
        self._context: RunContext = weakref.proxy(context)
        self._patient = patient
        self.said: str | None = None
        """The state that was last posted, now or in an earlier life of the run."""

    def pending(self, text: str) -> None:
        """Turn the status `pending`. A run goes on even if GitHub cannot be told: teardown matters more."""
        send = self._context.safe(lambda: self._send("pending", Said.plain(text)))
        try:
            self._note_posted(self._context.durable.record("pending", send, PENDING_RETRY))
        except StepFailed as error:
            if error.cancels:
                raise

    def final(self, state: str, said: Said) -> str | None:
        """Post the last status; return the reason if it could not be delivered."""
        send = self._context.safe(lambda: self._send(state, said))
        try:
            self._note_posted(record_final(self._context.durable, send, patient=self._patient))
        except StepFailed as error:
            return error.message
        return None

    def progress(self, name: str, text: str) -> None:
        """Say which step runs, once, as the operation `name`; a failure is only logged."""
        self._context.durable.record(name, self._context.safe(lambda: self._try(Said.plain(text))))

    def note(self, said: Said) -> None:
        """Say why the run is held; only inside a recorded function. A failure is only logged."""
        self._try(said)

    def _try(self, said: Said) -> Json:
        try:
            return self._send("pending", said)
        except CloseoutError as error:
            self._context.log(f"status not updated: {error.message}")
            return {"sent": False, "reason": error.message}

    def _note_posted(self, posted: Json) -> None:
        if posted["sent"]:
            self.said = str(posted["state"])

    def _send(self, state: str, said: Said) -> Json:
        """Post a sentence, or what anybody may read of it; of the last one the latter is kept, for the run's page."""
        last = {} if state == "pending" else {"public": said.public}
        return {**self._posted(state, said), **last}

    def _posted(self, state: str, said: Said) -> dict[str, Json]:
        context = self._context
        name = context.automation.status_context
        if name is None:
            return self._silent(state, said, "the automation says `status: false`")
        target = commit.status_target(context.execution.event, context.event)
        if target is None:
            return self._silent(state, said, commit.why_none(context.execution.event, context.event))
        if not context.deps.has_token:
            return self._silent(state, said, "no status is posted, since no `secrets.github` is configured")
        text = said.whole if context.whole() else said.public
        posted: dict[str, Json] = post(
            context.deps, context.execution, target, name, state, text, patient=self._patient
        )
        return posted

    def _silent(self, state: str, said: Said, reason: str) -> dict[str, Json]:
        """Say in the run, which is then the only place, why nothing is said on GitHub, and how the run ended."""
        self._context.log_once("silent", reason)
        if state != "pending":
            self._context.log(f"{state}: {said.whole}")
        return {"sent": False, "reason": reason}
