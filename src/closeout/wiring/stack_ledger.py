"""The ledger of a stack, composed for the worker, which knows it from its environment, and for the command line.

The caller provides the clients. Composing it makes no call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from closeout.core.errors import UsageError
from closeout.ledger.dynamodb.attempts import Attempts
from closeout.ledger.dynamodb.bodies import Bodies
from closeout.ledger.dynamodb.deployed import DynamoDeployed
from closeout.ledger.dynamodb.empty_runs import EmptyRuns
from closeout.ledger.dynamodb.executions import Executions
from closeout.ledger.dynamodb.problems import Problems
from closeout.ledger.dynamodb.switch import DynamoSwitch
from closeout.ledger.dynamodb.table import Table
from closeout.ports import Clock

if TYPE_CHECKING:
    from closeout.config.load import Loaded
    from closeout.ledger.dynamodb.rechecks import Teardowns
    from closeout.ledger.dynamodb.requests import Requests
    from closeout.ledger.dynamodb.starts import LambdaStarts
    from closeout.ledger.dynamodb.views import Views
    from closeout.wiring.reruns import Reruns

ALIAS = "live"
"""The worker's alias in the stack."""
Client = Callable[[str], Any]
"""Returns boto3's low-level client of a service, in the stack's region."""


class LedgerResources(NamedTuple):
    """The resources that hold a stack's ledger. `worker` is the alias of the worker: its ARN, or `name:alias`."""

    table: str
    bucket: str
    worker: str
    log_group: str
    retention_days: float = 30.0
    """Days that a finished run is kept; only the worker uses it."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> LedgerResources:
        """Return the resources that a function's variables name; the worker itself knows only the name of its alias."""
        return cls(
            environment["CLOSEOUT_TABLE"],
            environment["CLOSEOUT_BUCKET"],
            environment.get("CLOSEOUT_WORKER") or f"{environment['AWS_LAMBDA_FUNCTION_NAME']}:{ALIAS}",
            environment["CLOSEOUT_LOG_GROUP"],
            float(environment["CLOSEOUT_RETENTION_DAYS"]),
        )


class StackLedger:
    """Everything that reads or writes one stack's ledger."""

    def __init__(self, resources: LedgerResources, client: Client, clock: Clock) -> None:
        self._resources = resources
        self._client = client
        self._clock = clock
        self.table = Table(client("dynamodb"), resources.table, now=clock.now)
        self.bodies = Bodies(self.table, lambda: client("s3"), resources.bucket, now=clock.now)
        self.store = Executions(self.table, self.bodies, clock, retention_days=resources.retention_days)
        self.attempts = Attempts(self.table, self.store, clock)
        self.switch = DynamoSwitch(self.table, clock)
        self.deployed = DynamoDeployed(self.table)
        self.empty_runs = EmptyRuns(self.table)
        self.problems = Problems(self.table)

    @cached_property
    def starts(self) -> LambdaStarts:
        """Starts executions."""
        from closeout.ledger.dynamodb.starts import LambdaStarts

        return LambdaStarts(
            self._client("lambda"), self._resources.worker, now=self._clock.now, attempts=self.attempts
        )

    @cached_property
    def views(self) -> Views:
        """The views that people read."""
        from closeout.ledger.dynamodb.logs import CloudWatchLogs
        from closeout.ledger.dynamodb.views import Views

        logs = CloudWatchLogs(self._client("logs"), self._resources.log_group, now=self._clock.now)
        return Views(self.table, self.store, logs)

    @cached_property
    def teardowns(self) -> Teardowns:
        """What finished runs tore down."""
        from closeout.ledger.dynamodb.rechecks import Teardowns

        return Teardowns(self.table, self.store, self.views)

    def requests(self, loaded: Loaded | None, **more: Callable[[str, str], str]) -> Requests:
        """Return what carries out a command's requests; a rerun and a replay need the deployed configuration.

        `more` carries out other kinds, as `Requests` says.
        """
        from closeout.ledger.dynamodb.requests import Requests
        from closeout.ledger.problems import dismiss

        own: dict[str, Callable[[str, str], str]] = {
            "rerun": lambda target, by: self._reruns(loaded).rerun(target, by),
            "replay": lambda delivery, by: self._reruns(loaded).replay(delivery, by),
            "dismiss": lambda run_id, by: dismiss(self.problems, run_id, by, self._clock.now()),
        }
        return Requests(self.attempts, self.starts, self.switch, **own, **more)

    def _reruns(self, loaded: Loaded | None) -> Reruns:
        from closeout.intake.receiver import Receiver
        from closeout.wiring.reruns import Reruns

        if loaded is None:
            raise UsageError("a rerun or a replay needs the deployed configuration")
        automations = {automation.name: automation for automation in loaded.automations}
        receiver = Receiver.of(loaded.automations, lambda: ())
        return Reruns(self.views, self.attempts, automations, matched=receiver.runs, start=self._start)

    def _start(self, executions: Iterable[str]) -> None:
        for execution in executions:
            self.starts.start(execution)
