"""The drill of a stack: patrol's function runs the checks once a day, after its round, with the rights that patrol has.

It leaves out what only a person's credentials or a machine can show, IAM's simulation and the clock, and what patrol may not
read, the URLs of notifiers. No error in a drill fails a round. The ledger's table has the time at which the drill last ended,
because the function does not remember it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from closeout.checks import registry
from closeout.checks.check import news, redacted
from closeout.checks.world import World
from closeout.config.load import Loaded
from closeout.config.settings import Settings
from closeout.core.errors import CloseoutError, ServiceError
from closeout.core.redact import Redactor
from closeout.core.units import HOUR
from closeout.ledger.dynamodb.marks import DynamoMarks
from closeout.patrol.marks import DRILL, LAST
from closeout.ports import AwsTarget
from closeout.wiring.clients import LazyGitHub, SharedClients
from closeout.wiring.outside import Outside
from closeout.wiring.stack_checking import StackLedgerView, of_role
from closeout.wiring.stack_ledger import StackLedger

OF_A_PERSON = ("aws-permissions", "clock", "notifiers")
CHECKS = tuple(check for check in registry.ON_STACK if check.id not in OF_A_PERSON)
ENOUGH = 300.0
"""Seconds that an invocation must have left for a drill to begin: a ping alone may take half a minute."""
RESERVED = 120.0
"""Seconds at the end of an invocation in which a drill no longer asks GitHub."""


class DrillFigures(NamedTuple):
    """What the metrics say about the last drill. `failed` and `unknown` are None before the first one has ended."""

    failed: int | None
    unknown: int | None
    age: float
    """Seconds since it ended, or since patrol began if there was none."""


class StackDrills(NamedTuple):
    """The drills of one stack. `worker` is the ARN of its function, `report` writes what is new to the log."""

    ledger: StackLedger
    clients: SharedClients
    settings: Settings
    worker: str
    redactor: Redactor
    now: Callable[[], float]
    pause: Callable[[float], object]
    report: Callable[[str], None]

    def round(
        self, loaded: Loaded, marks: DynamoMarks, remaining: Callable[[], float]
    ) -> DrillFigures | None:
        """Run a drill if one is due; return what the metrics say, None if they can say nothing. Never raises.

        `marks` are those of the patrol that has the lease, `remaining` returns the seconds that its invocation has left.
        """
        last: Mapping[str, Any] | None = None
        try:
            last = marks.marks(DRILL).get(LAST)
            every = self.settings.patrol.drill
            if every is None:
                return None
            if last is None:  # first one interval after the first round, when webhooks are there
                last = self._keep(marks, {"ended_at": self.now()})
            elif self._is_due(last, every) and remaining() >= ENOUGH:
                # Stored first: a drill that Lambda killed, or that failed as a whole, is repeated after an hour.
                before, last = last, self._keep(marks, {**last, "begun_at": self.now()})
                last = self._keep(marks, self._drill(loaded, before.get("states", {}), remaining))
        except Exception as error:  # noqa: BLE001 - a round must survive any error of a drill
            why = error.message if isinstance(error, CloseoutError) else type(error).__name__
            self.report(f"drill failed: {why}")
        return self._figures(last) if last is not None else None

    def _is_due(self, last: Mapping[str, Any], every: float) -> bool:
        # A schedule is never exact: half an interval early is in time.
        now = self.now() + 30.0 * (self.settings.patrol.minutes or 0)
        return now >= float(last["ended_at"]) + every and now >= float(last.get("begun_at", 0.0)) + HOUR

    def _drill(
        self, loaded: Loaded, before: Mapping[str, str], remaining: Callable[[], float]
    ) -> dict[str, Any]:
        """Run every check, report what is new, and return what to store. A check for which no time is left is unknown."""

        def over() -> ServiceError | None:
            if remaining() >= RESERVED:
                return None
            why = "the invocation ends, so GitHub was not asked"
            return ServiceError(why, service="github", operation="drill", reason="stopped", transient=True)

        world = FunctionWorld(
            lambda: replace(loaded, settings=self.settings),
            lambda _loaded: Outside(self.clients, LazyGitHub(self.clients, over)),
            StackLedgerView(self.ledger),
            file=Path("the deployed configuration"),
            now=self.now,
            pause=self.pause,
            pings=True,
        )
        world.worker = self.worker
        outcomes = list(redacted(registry.ask(world, CHECKS), self.redactor))
        for line in news(outcomes, before):
            self.report(line)
        return {"ended_at": self.now(), "states": {one.check.id: one.result.state for one in outcomes}}

    def _figures(self, last: Mapping[str, Any]) -> DrillFigures:
        states = list(last.get("states", {}).values())
        age = max(0.0, self.now() - float(last["ended_at"]))
        unfinished = "begun_at" in last
        if not states and not unfinished:
            return DrillFigures(None, None, age)
        return DrillFigures(states.count("wrong"), states.count("unknown") + unfinished, age)

    def _keep(self, marks: DynamoMarks, value: dict[str, Any]) -> Mapping[str, Any]:
        marks.save_mark(DRILL, LAST, value)
        return value


class FunctionWorld(World):
    """What one drill asks of its own stack."""

    worker: str

    def identity(self, target: AwsTarget) -> Mapping[str, Any]:
        """Return the worker's account, which its ARN names: no right is needed to ask."""
        return of_role(target.assume_role or self.worker)
