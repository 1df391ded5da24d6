"""The Lambda engine over a ledger in DynamoDB (moto over HTTP), driven by a loop as Lambda drives it."""

from __future__ import annotations

import itertools
import time
import uuid
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from closeout.core.records import NewDelivery, NewRun
from closeout.engine.lambda_ import DONE, LambdaEngine
from closeout.ledger.dynamodb.attempts import Attempts
from closeout.ledger.dynamodb.bodies import Bodies
from closeout.ledger.dynamodb.executions import Executions
from closeout.ledger.dynamodb.logs import CloudWatchLogs
from closeout.ledger.dynamodb.starts import LambdaStarts
from closeout.ledger.dynamodb.switch import DynamoSwitch
from closeout.ledger.dynamodb.table import Table, put
from closeout.ledger.dynamodb.views import Views
from closeout.ports import Clock, Ending, Operation, RunFunction
from closeout.stack import table as layout
from closeout.stack.deployed import definition_digest
from closeout.testing.aws import FakeAws
from tests.contract.local_harness import WallClock
from tests.direct import pass_over_sockets
from tests.ledger_table import create_ledger
from tests.stack_aws import StackAws

WORKER = "arn:aws:lambda:us-east-1:123456789012:function:worker:live"
BUCKET = "bodies"
GROUP = "/closeout/worker"
FOREVER = 840.0
MOST_INVOCATIONS = 500


def client(aws: FakeAws, service: str) -> Any:
    """A boto3 client of the emulator, one for all benches: making one takes longer than calling it."""
    return _client(aws, service)


@cache
def _client(aws: FakeAws, service: str) -> Any:
    made = boto3.client(
        service,
        endpoint_url=aws.url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=16),
    )
    return pass_over_sockets(made, aws)


class RemoteBench:
    """One table with everything that uses it. `run` may be set per automation in `functions`."""

    def __init__(self, aws: StackAws, run: RunFunction | None = None, *, clock: Clock | None = None) -> None:
        self.aws = aws
        self.clock = clock or WallClock()
        self.functions: dict[str, RunFunction] = {}
        self.reports: list[str] = []
        self.buried: list[tuple[str, str]] = []
        self.finished: list[str] = []
        self._default = run
        self.dynamo = client(aws, "dynamodb")
        self.name = f"ledger-{uuid.uuid4().hex[:8]}"
        create_ledger(self.dynamo, self.name)
        self.table = Table(self.dynamo, self.name, now=self.clock.now)
        self.bodies = Bodies(self.table, lambda: client(aws, "s3"), BUCKET, now=self.clock.now)
        self.store = Executions(self.table, self.bodies, self.clock, retention_days=30)
        self.attempts = Attempts(self.table, self.store, self.clock)
        self.switch = DynamoSwitch(self.table, self.clock)
        self.starts = LambdaStarts(client(aws, "lambda"), WORKER, now=self.clock.now, attempts=self.attempts)
        logs = CloudWatchLogs(client(aws, "logs"), GROUP, now=self.clock.now)
        self.views = Views(self.table, self.store, logs)
        self._tokens = itertools.count(1)
        self.engine = self.process()

    def process(self, **options: Any) -> LambdaEngine:
        """An engine as another process would make it."""
        return LambdaEngine(
            self.store,
            lambda durable, execution: (self.functions.get(execution.automation) or self._required())(
                durable, execution
            ),
            **{
                "starts": self.starts,
                "finalize": self._finalize,
                "clock": self.clock,
                "token": lambda: f"token-{next(self._tokens)}",
                "jitter": lambda: 0.0,
                "redact": str,
                "report": lambda execution, text: self.reports.append(f"{execution}: {text}"),
                "on_finish": lambda finished: self.finished.append(finished.execution.id),
                **options,
            },
        )

    def _required(self) -> RunFunction:
        assert self._default is not None, "no function for this automation"
        return self._default

    def _finalize(self, execution: str, status: str, remaining: Callable[[], float]) -> bool:
        self.buried.append((execution, status))
        return self.engine.end(execution, lambda _durable, _execution: Ending("failure", status), remaining)

    def accept(
        self,
        name: str,
        *,
        key: str | None = None,
        queue_timeout: float = 3600.0,
        body: bytes = b"{}",
        definition: str = "{}",
        at: float | None = None,
        known: bool = True,
    ) -> str:
        """Accept a run named like its automation, as the receiver does; return its execution.

        With `known` its definition is one that was deployed.
        """
        run_id = run_name(name)
        if known:
            self.know(definition, name)
        delivery = NewDelivery(
            "1",
            f"guid-{name}",
            "pull_request",
            "closed",
            "acme/shop",
            body,
            False,
            self.clock.now() if at is None else at,
            "github",
            17,
        )
        run = NewRun(run_id, name, key, definition, queue_timeout)
        items = layout.acceptance(
            delivery, [run], [], zlib.compress(body), int(self.clock.now()) + 30 * 86_400
        )
        refused = self.table.write([put(item, layout.NEW) for item in items])
        assert not refused
        return f"{run_id}-1"

    def know(self, definition: str, name: str = "a") -> None:
        """Record that a definition was deployed, as the stack's deployment does."""
        item = layout.known_item(definition_digest(definition), name, 3600.0)
        self.dynamo.put_item(TableName=self.name, Item=item)

    def drive(self, execution: str, seconds: float = 20.0) -> Ending:
        """Advance an execution until it is done, waiting as long as it asks for."""
        deadline = time.monotonic() + seconds
        for _ in range(MOST_INVOCATIONS):
            outcome = self.engine.advance(execution, lambda: FOREVER)
            if outcome == DONE:
                return self.ending(execution)
            assert time.monotonic() < deadline, f"{execution} did not end: {self.reports}"
            time.sleep(max(0.0, outcome["wake"] - time.time()))
        raise AssertionError(f"{execution} did not end within {MOST_INVOCATIONS} invocations")

    def ending(self, execution: str) -> Ending:
        """How an execution has ended, according to the ledger."""
        record = self.store.look(execution)
        assert record is not None
        assert record.run.state == "finished", record
        return Ending(str(record.run.verdict), str(record.run.summary))

    def state(self, execution: str) -> str:
        """An execution's state in the ledger."""
        record = self.store.look(execution)
        assert record is not None
        return record.run.state

    def operations(self, execution: str) -> dict[str, Operation]:
        """What a run has recorded, by name."""
        run_id, _, attempt = execution.rpartition("-")
        return {operation.name: operation for operation in self.store.recorded(run_id, int(attempt))[1]}


def run_name(name: str) -> str:
    """Return a run id (26 characters of base32) that begins with a name."""
    letters = "".join(
        char if char in "abcdefghijklmnopqrstuvwxyz234567" else "2345672345"[int(char)] for char in name
    )
    return (letters + "a" * 26)[:26]


class RemoteHarness:
    """`durable_suite.Harness` over the Lambda engine."""

    tick = 0.01

    def __init__(self, aws: StackAws) -> None:
        self.bench = RemoteBench(aws)
        self._count = 0

    def run(self, function: RunFunction, body: bytes = b"{}") -> Ending:
        """Run a function from acceptance to its end."""
        self._count += 1
        name = f"run{self._count}"
        self.bench.functions[name] = function
        return self.bench.drive(self.bench.accept(name, body=body))
