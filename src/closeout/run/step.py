"""One step: its condition, its plan, the guards, apply, verify, and the recorded end.

A step does not raise for what its action did. It ends in a state with a reason, so that the other steps can continue. Only
a cancelled run leaves it early.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from closeout.actions.spec import Action
from closeout.config import cel
from closeout.config.findings import listed
from closeout.core import reactions
from closeout.core.advice import STILL_THERE
from closeout.core.automation import Step
from closeout.core.errors import (
    ActionFailed,
    BranchInUse,
    CloseoutError,
    StepFailed,
    WaitTimeout,
)
from closeout.core.plan import Change
from closeout.core.retry import Backoff
from closeout.ports import Json
from closeout.run import found, inputs, planning, visibility
from closeout.run.context import READ_RETRY, RunContext
from closeout.run.visibility import Message
from closeout.run.work import CheckedPlan, StepWork

VERIFY_POLL = Backoff(first=0.5, factor=2.0, cap=10.0)
VERIFY_SECONDS = 60.0
"""How long a service may need until a deleted resource is no longer visible."""
_ING = {"run": "running"}
"""Verbs that need more than `ing`."""


@dataclass(slots=True)
class Outcome:
    """How a step ended. `planned` and `changed` are the same in every replay."""

    state: str
    summary: str
    reason: str | None = None
    left: list[dict[str, str]] = field(default_factory=list)
    changed: bool = False
    planned: tuple[Change, ...] = ()
    own_code: bool = False
    """Whether what ran was the operator's own code (see `Action.own_code`)."""
    public: str | None = None
    """The public text, in place of the reason or the summary."""
    outputs: Mapping[str, Json] = field(default_factory=dict)
    """The outputs of the operator's own code for later steps."""
    absent: Message | None = None
    """What did not exist, if the plan is empty for that reason."""
    dry_run: bool = False
    code: str | None = None
    """Of the error that ended it: its stable code, or the name of its type."""

    @property
    def public_text(self) -> str:
        """The text that everybody may read. Own code publishes only what its action made public on purpose."""
        if self.public is not None:
            return self.public
        if self.own_code and self.state in ("success", "failure"):
            return visibility.WITHHELD if self.state == "failure" else "done"
        return self.reason or self.summary

    def to_json(self) -> dict[str, Any]:
        """Return the recorded end."""
        return {
            "state": self.state,
            "summary": self.summary,
            "reason": self.reason,
            "left": self.left,
            "public": self.public_text,
            **({"code": self.code} if self.code else {}),
        }


def record_end(context: RunContext, step: str, outcome: Outcome) -> None:
    """Record how a step ended, with a line in the log. Views and pages show this record."""

    def keep() -> Json:
        context.log(f"{outcome.state}: {outcome.reason or outcome.summary}", step)
        return outcome.to_json()

    context.durable.record(f"{step}/end", context.safe(keep))


class StepRun:
    """Runs one step of one execution. `number` counts from 1 to `total`."""

    def __init__(self, context: RunContext, step: Step, *, number: int, total: int) -> None:
        self._context = context
        self._step = step
        self._at = f"{number}/{total}"
        action = context.deps.actions.get(step.uses)
        self.title = visibility.title(step, action)
        self._own_code = action is None or action.own_code
        self.planned: tuple[Change, ...] = ()
        self.changed = False
        self._outputs: Mapping[str, Json] = {}
        self._ended = False

    @cached_property
    def _action(self) -> Action:
        """The action. A stored run may name one that this version does not have; that fails its step."""
        return self._context.deps.actions[self._step.uses]

    def run(self, planned_before: Sequence[Change]) -> Outcome:
        """Run the step. Raises `StepFailed` only when the run is cancelled."""
        try:
            outcome = self._run(planned_before)
        except StepFailed as error:
            if error.cancels:
                raise
            spared = error.kind == BranchInUse.code and not self.changed
            outcome = Outcome("skipped", error.message) if spared else self._failed(error)
        except CloseoutError as error:
            outcome = self._failed(error)
        except Exception as error:  # noqa: BLE001 - a defect of one action is that step's failure, and no more
            outcome = self._failed(ActionFailed(f"internal error: {type(error).__name__}: {error}"))
        return self.end(outcome)

    def end(self, outcome: Outcome) -> Outcome:
        """Record how the step ended, with a line in the log.

        A cancel may arrive here. Then the cancel is recorded instead, and the cancelled step does not end twice.
        """
        outcome.planned, outcome.changed, outcome.own_code = self.planned, self.changed, self._own_code
        outcome.outputs = self._outputs if outcome.state == "success" else {}
        if not self._ended:
            self._ended = True
            record_end(self._context, self._step.id, outcome)
        return outcome

    def look(self) -> list[dict[str, str]]:
        """Look once for what the plan had listed. An unreadable answer is reported as such, never guessed."""
        if not self.planned:
            return []
        try:
            answer = self._context.durable.record(
                f"{self._step.id}/left", self._context.safe(self._leftovers)
            )
        except StepFailed as error:
            if error.cancels:
                raise
            return [{"resource": "what is left", "reason": f"could not be looked up: {error.message}"}]
        found: list[dict[str, str]] = answer["left"]
        return found

    def _run(self, planned_before: Sequence[Change]) -> Outcome:
        step, context = self._step, self._context
        if unknown := sorted(reactions.outputs_read(step) & context.rehearsed):
            dry = f"dry run: depends on what {listed(unknown, 'and')} would give"
            return Outcome("success", dry, public=dry, dry_run=True)
        condition = step.condition
        if condition is not None:
            meets = context.safe(lambda: cel.condition(condition, context.payload, context.so_far()))
            if not context.durable.record(f"{step.id}/if", meets):
                return Outcome("skipped", "its `if` is false")
        plan = context.durable.record(
            f"{step.id}/plan",
            context.safe(lambda: self._plan(planned_before), self._redact_shown),
            READ_RETRY,
        )
        self.planned = tuple(Change.from_json(change) for change in plan["changes"])
        applicable = [change for change in self.planned if change.part_of is None and change.verb != "keep"]
        deleting = sum(change.verb != "keep" for change in self.planned)
        absent = Message(*plan["absent"]) if plan.get("absent") else None
        if absent is not None:
            found.check_expected(context, step, absent)
        if plan["dry_run"]:
            would = absent or Message.plain(f"would {_verbs(self.planned)} {deleting}")
            shown = (f"dry run: {text}" for text in would)
            return Outcome("success", next(shown), public=next(shown), absent=absent, dry_run=True)
        if not applicable:
            said = absent or Message.plain("nothing to do")
            return Outcome("success", said.full, public=said.public, absent=absent)
        context.wait_grace(step)
        context.post_progress(f"{step.id}/status", f"{self._at} {self._doing(applicable[0])}")
        done = [
            self._apply(change, plan, f"{index}." if len(applicable) > 1 else "", planned_before)
            for index, change in enumerate(applicable, start=1)
        ]
        return self._verified(
            Message(*("; ".join(filter(None, texts)) or "done" for texts in zip(*done, strict=True)))
        )

    def _plan(self, planned_before: Sequence[Change]) -> Json:
        """Read, freeze and guard the plan: one recorded operation that changes nothing."""
        step, context = self._step, self._context
        context.check_time()
        event = context.execution.event_name
        about = planning.PlanContext(context.automation, event, context.payload, context.so_far())
        planned = planning.make_plan(context.deps, about, step, planned_before)
        for change in planned.changes:
            context.log(f"plan: {change.verb} {change.resource} ({change.reason})", step.id)
        if not planned.changes:
            nothing = planned.absent.full if planned.absent else "nothing is there to change"
            context.log(f"plan: {nothing}", step.id)
        return {
            **({"absent": list(planned.absent)} if planned.absent else {}),
            "changes": [change.to_json() for change in planned.changes],
            "inputs": dict(planned.inputs),
            "dry_run": planned.dry_run,
            "tag_rules": sorted(planned.tag_rules),
        }

    def _redact_shown(self, plan: Json) -> Json:
        """Redact what people read, and leave what is acted on unchanged.

        Otherwise a script that contains `Authorization:`, or a bucket whose name contains a weak secret, would become
        another script and another bucket.
        """
        text = self._context.deps.redact.text
        changes = [
            {**change, "resource": text(change["resource"]), "reason": text(change["reason"])}
            for change in plan["changes"]
        ]
        shown = {"absent": [text(said) for said in plan["absent"]]} if "absent" in plan else {}
        return {**plan, "changes": changes, **shown}

    def _apply(self, change: Change, plan: Json, prefix: str, before: Sequence[Change]) -> Message:
        step, context = self._step, self._context
        rules = frozenset(plan.get("tag_rules", ()))
        checked = CheckedPlan(self.planned, before, self._action, rules)
        work = StepWork(context, step, f"{step.id}/{prefix}", checked)
        try:
            result = self._action.apply(change, plan["inputs"], work)
        finally:
            self.changed = self.changed or bool(work.changed)
        self._outputs = result.get("outputs", {}) if isinstance(result, dict) else {}
        summary = str(result.get("summary", "")) if isinstance(result, dict) else ""
        return Message(summary, str(result.get("public", "")) if self._own_code else summary)

    def _verified(self, said: Message) -> Outcome:
        context, step = self._context, self._step

        def poll() -> Json | None:
            answer = self._leftovers()
            if answer["left"]:
                return None
            if any(change.verb == "delete" for change in self.planned):
                context.log("verified in the account: nothing of the plan is left", step.id)
            return answer

        try:
            context.durable.wait_until(f"{step.id}/verify", context.safe(poll), VERIFY_POLL, VERIFY_SECONDS)
        except WaitTimeout:
            left = self.look()
            if left:
                names = ", ".join(item["resource"] for item in left)
                whole, public = (f"still there after {text}: {names}" for text in said)
                return Outcome("failure", said.full, reason=whole, left=left, public=public, code=STILL_THERE)
        return Outcome("success", said.full, public=said.public)

    def _leftovers(self) -> Json:
        target = inputs.target(self._step, self._context.payload)
        clients = self._context.deps.clients.for_step(target)
        found = self._action.verify(self.planned, clients)
        for item in found:
            self._context.log(f"still there: {item.resource} ({item.reason})", self._step.id)
        return {"left": [item.to_json() for item in found]}

    def _failed(self, error: CloseoutError) -> Outcome:
        """Return a failure, with what is left of a destructive plan."""
        left = self.look() if self._step.destructive else []
        public = visibility.of_failure(error, own_code=self._own_code)
        code = error.kind if isinstance(error, StepFailed) else error.code
        return Outcome("failure", "failed", reason=error.message, left=left, public=public, code=code)

    def _doing(self, change: Change) -> str:
        """Return a progress status's text: the step's name in the file, else what it does; for own code without the resource."""
        if self.title != self._step.id:
            return self.title
        verb = _ING.get(change.verb) or change.verb.removesuffix("e") + "ing"
        return f"{verb} {self.title if self._own_code else change.resource}"


def _verbs(changes: Sequence[Change]) -> str:
    verbs = dict.fromkeys(change.verb for change in changes if change.verb != "keep")
    return "/".join(verbs) or "change"
