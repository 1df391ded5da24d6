"""The checks over a deployed stack: its token, its webhooks, its worker's role, with the rights of a person's credentials.

A stack has no machine, no ledger file and no secret in an environment, so only a part of the registry applies.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from closeout.actions.registry import builtin
from closeout.adapters import sns
from closeout.adapters.clock import SystemClock
from closeout.checks import registry
from closeout.checks.account import DENIED, not_allowed
from closeout.checks.check import redacted
from closeout.checks.world import WEBHOOK, World
from closeout.config.load import Loaded
from closeout.config.load import load as load_file
from closeout.config.patrol import PatrolSettings
from closeout.config.permissions import Statement
from closeout.core.errors import NotifierFailed, NotifierUnknown, SecretError, ServiceError
from closeout.core.problems import is_topic
from closeout.core.redact import Redactor
from closeout.ledger.dynamodb.marks import DynamoMarks
from closeout.patrol.marks import REPORT
from closeout.ports import AwsTarget
from closeout.stack.problems import CHECK, unpack_routes
from closeout.wiring.clients import configured_clients
from closeout.wiring.deployed import as_loaded, check_same, read_deployed
from closeout.wiring.outside import Outside, hooks_heard
from closeout.wiring.stack import Stack, open_stack
from closeout.wiring.stack_ledger import StackLedger

if TYPE_CHECKING:
    from closeout.checks.check import Check, Outcome

NEWEST = 100
"""Deliveries that are read to find out which webhooks deliver."""


class StackLedgerView:
    """`checks.world.LedgerView` over a stack's table, which is always there. The configuration has the URL."""

    def __init__(self, ledger: StackLedger) -> None:
        self.exists, self.base = (lambda: True), (lambda: None)
        self.heard = partial(hooks_heard, lambda: ledger.views.deliveries(NEWEST))
        self.last_patrols = partial(DynamoMarks(ledger.table).marks, REPORT)
        self.empty_runs = ledger.empty_runs.counts
        self.paused = ledger.switch.paused


class StackWorld(World):
    """What one round reads from a stack. The worker's credentials are those of its function's role."""

    stack: Stack

    def identity(self, target: AwsTarget) -> Mapping[str, Any]:
        """Return account and ARN of the worker's role, and the time of AWS's answer; for a step's role what its ARN says."""
        if target.assume_role:
            return of_role(target.assume_role)
        return self.once("worker", self._worker)

    def iam(self, target: AwsTarget) -> Any:
        """Return IAM's client with the caller's credentials. Raises `ServiceError` for a role of another account."""
        if self.identity(target)["Account"] != self.once("worker", self._worker)["Account"]:
            raise ServiceError(
                f"IAM of {target.assume_role} cannot be asked from the stack's account",
                service="iam",
                operation="SimulatePrincipalPolicy",
                reason=DENIED,
            )
        return self.stack.client("iam")

    @property
    def patrol(self) -> PatrolSettings:
        """How often patrol's function looks, read from its own variables. Raises `ServiceError`, `Unavailable`."""
        return self.once("patrol", self._patrol)

    def _patrol(self) -> PatrolSettings:
        variables = self._function("PatrolAlias").get("Environment", {}).get("Variables", {})
        given = json.loads(variables["CLOSEOUT_PATROL"])
        known = {field.name for field in fields(PatrolSettings)}
        return PatrolSettings(**{name: value for name, value in given.items() if name in known})

    def _function(self, output: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.stack.client("lambda").get_function_configuration(
            FunctionName=self.stack.output(output)
        )
        return found

    @property
    def notify(self) -> Mapping[str, Any]:
        """The configuration of the function that notifies people. Raises `ServiceError`, `Unavailable`."""
        return self.once("notify", lambda: self._function("NotifyFunction"))

    def _worker(self) -> Mapping[str, Any]:
        found = self._function("WorkerAlias")
        return {**of_role(str(found["Role"])), "ResponseMetadata": found["ResponseMetadata"]}


class StackOutside(Outside):
    """What is outside a stack. Its own function checks URLs, which only it may read; topics are checked as the caller."""

    stack: Stack
    role: Callable[[], str]
    """Returns the ARN of the role of the function that notifies people."""

    @cached_property
    def _urls(self) -> Mapping[str, Mapping[str, Any]]:
        return {one["notifier"]: one for one in self.stack.ask_notifiers(CHECK)}

    def check_notifier(self, target: str) -> None:
        """Check a notifier without sending."""
        if is_topic(target):
            sns.check(target)
            self._check_right(target)
            return
        row = self._urls[target]
        if row["ok"]:
            return
        errors = {kind.code: kind for kind in (SecretError, NotifierUnknown)}
        error = errors.get(row["code"], NotifierFailed)(row["error"])
        error.transient = row["transient"]
        raise error

    def _check_right(self, topic: str) -> None:
        needed = Statement("aws", None, ("sns:Publish",), (topic,), (), ())
        try:
            lacking = not_allowed(self.stack.client("iam"), self.role(), needed)
        except ServiceError as error:
            if error.reason == DENIED:  # unknown, as for the worker's role
                return
            raise
        if lacking:
            raise NotifierUnknown(
                f"{self.role()} may not publish to it (`sns:Publish`); deploy the stack again"
            )


def of_role(arn: str) -> Mapping[str, Any]:
    """Return an ARN and the account that it names, as `GetCallerIdentity` does."""
    return {"Arn": arn, "Account": arn.split(":")[4]}


def inspect_stack(
    name: str, *, given: Path | None = None, on_start: Callable[[Check], object]
) -> Iterator[Outcome]:
    """Yield the outcomes for a deployed stack, with pings. Raises `Unavailable` if there is no such stack, `ServiceError`.

    Raises `UsageError` for a `given` configuration that is not the deployed one.
    """
    stack, redactor = open_stack(name), Redactor()
    ledger = stack.ledger()
    if given is not None:
        check_same(stack, read_deployed(name, ledger), load_file(given, builtin()), given)

    def load() -> Loaded:
        loaded = as_loaded(stack, read_deployed(name, ledger))
        base = stack.output("WebhookUrl").removesuffix(WEBHOOK)
        settings = replace(loaded.settings, public_url=base)
        if not stack.tells:
            return replace(loaded, settings=settings)
        variables = world.notify.get("Environment", {}).get("Variables", {})
        return replace(loaded, settings=settings, routes=unpack_routes(variables["CLOSEOUT_NOTIFY"]))

    def connect(loaded: Loaded) -> Outside:
        outside = StackOutside(configured_clients(loaded, SystemClock(), redactor))
        outside.stack, outside.role = stack, lambda: str(world.notify["Role"])
        return outside

    world = StackWorld(
        load,
        connect,
        StackLedgerView(ledger),
        file=Path(f"the configuration of {name}"),
        now=time.time,
        pause=time.sleep,
        pings=True,
    )
    world.stack = stack
    yield from redacted(registry.ask(world, registry.ON_STACK, on_start), redactor)
