"""The model on AWS: the receiver's writer, the ledger in DynamoDB and the engine of the worker, over an emulated table.

Lambda is a list of what was started: an execution that is stored and was not started goes on only when somebody starts it.
A process may be killed before and after each write to the table, and before each start.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.message import Message
from functools import cache
from typing import Any

import boto3

from closeout.core.automation import Automation
from closeout.core.errors import CloseoutError
from closeout.core.ids import parse_execution
from closeout.core.records import Accepted, NewDelivery, NewRun
from closeout.engine.lambda_ import DONE, LambdaEngine
from closeout.lambdas.aws_client import AwsClient, Call, Response
from closeout.lambdas.delivery_writer import DeliveryWriter, Destination
from closeout.patrol.report import Report
from closeout.ports import Ending, Incoming
from closeout.run.finalize import make_finalizer
from closeout.stack.table import delivery_id
from closeout.testing.aws import FakeAws
from closeout.testing.durable import FakeClock
from closeout.testing.dynamo import create_ledger, deploy
from closeout.wiring.stack_ledger import Place, StackLedger
from tests.direct import pass_over_sockets, post
from tests.model.machine import Closings
from tests.model.outside import Died, Fate
from tests.model.process import Process, Store

WORKER = "arn:aws:lambda:us-east-1:123456789012:function:worker:live"
WRITES = ("put_item", "update_item", "delete_item", "transact_write_items")
INVOCATION = 840.0
"""Seconds that an invocation has."""


class Lambda:
    """What was started, by its execution, and when it is invoked next; None: it is over. It has boto3's methods."""

    def __init__(self, fate: Fate) -> None:
        self._fate = fate
        self.wakes: dict[str, float | None] = {}

    def invoke(self, *, Payload: bytes, **_: Any) -> dict[str, str]:  # noqa: N803 - boto3's name
        """Start an execution; a second start of it does nothing."""
        self._fate.step()
        execution = str(json.loads(Payload)["execution"])
        self.wakes.setdefault(execution, 0.0)
        return {"DurableExecutionArn": f"{WORKER}/durable-execution/{execution}"}

    def get_durable_execution(self, *, DurableExecutionArn: str) -> dict[str, str]:  # noqa: N803 - boto3's name
        """Tell whether it is over."""
        execution = DurableExecutionArn.rpartition("/")[2]
        return {"Status": "SUCCEEDED" if self.wakes[execution] is None else "RUNNING"}

    def send_durable_execution_callback_success(self, *, CallbackId: str) -> None:  # noqa: N803 - boto3's name
        """Wake an execution that waits for its turn."""
        if self.wakes[CallbackId] is not None:
            self.wakes[CallbackId] = 0.0


class _Mortal:
    """boto3's client of DynamoDB, whose process may be killed around each write."""

    def __init__(self, client: Any, fate: Fate) -> None:
        self._client, self._fate = client, fate

    def __getattr__(self, name: str) -> Any:
        if name not in WRITES:
            return getattr(self._client, name)

        def write(**arguments: Any) -> Any:
            self._fate.step()
            answer = getattr(self._client, name)(**arguments)
            self._fate.step()
            return answer

        return write


class _Sender(AwsClient):
    """The receiver's client of AWS, without a socket. It sends to the table and to Lambda alone."""

    def __init__(self, aws: FakeAws, fate: Fate, service: Lambda, clock: FakeClock) -> None:
        super().__init__({**aws.environment(), "AWS_REGION": "us-east-1"}, now=clock.now, pause=clock.advance)
        self._aws, self._fate, self._service = aws, fate, service

    def invoke(self, function: str, payload: bytes, execution: str) -> str | None:
        """Start an execution."""
        return self._service.invoke(FunctionName=function, Payload=payload, Name=execution)[
            "DurableExecutionArn"
        ]

    def _exchange(self, call: Call, headers: Mapping[str, str], deadline: float) -> Response:
        writes = not call.headers["x-amz-target"].endswith("GetItem")
        if writes:
            self._fate.step()
        status, found, body = post(self._aws, f"http://{call.host}/", headers, call.body)
        if writes:
            self._fate.step()
        told = Message()
        for name, value in found.items():
            told[name] = value
        return Response(status, body, told)


class TableLedger:
    """What the model's process asks of its ledger, over the stack's table. Marks are in memory."""

    def __init__(self, aws: FakeAws, name: str, fate: Fate, clock: FakeClock) -> None:
        self.name = name
        self.dynamo = dynamo(aws)
        self.service = Lambda(fate)
        create_ledger(self.dynamo, name)
        clients = {"dynamodb": _Mortal(self.dynamo, fate), "lambda": self.service}
        self.stack = StackLedger(Place(name, "no-bucket", WORKER, "no-logs"), clients.get, clock)
        self.attempts = self.stack.attempts
        self._clock = clock
        self._writer = DeliveryWriter(
            _Sender(aws, fate, self.service, clock), Destination(name, "no-bucket", WORKER, 90), clock.advance
        )
        self._marks: dict[tuple[str, str], dict[str, Any]] = {}

    def accept_wait(self, delivery: NewDelivery, runs: Sequence[NewRun]) -> Accepted:
        """Store a delivery as the receiver does, and start its runs."""
        return self._writer.accept(delivery, runs)

    def accept_group(self, group: Sequence[Incoming]) -> None:
        """Store each delivery, then call its callback."""
        for delivery, runs, done in group:
            try:
                done(self._writer.accept(delivery, runs))
            except CloseoutError as error:
                done(error)

    def has_delivery(self, hook: str, guid: str) -> bool:
        """Whether a delivery is stored."""
        return self.stack.views.delivery(delivery_id(hook, guid)) is not None

    def marks(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return patrol's marks of a kind."""
        return {key: value for (of, key), value in self._marks.items() if of == kind}

    def save_mark(self, kind: str, key: str, value: Mapping[str, Any]) -> None:
        """Keep a mark."""
        self._marks[kind, key] = dict(value)

    def claim_closing(self, closing: str, run_id: str, owner: str) -> str:
        """Give a closing to a run that learned it while it runs."""
        return self.attempts.claim_closing(closing, run_id, owner)

    def recover(self) -> None:
        """Do nothing: each invocation finds out by itself."""

    def prune(self, _seconds: float) -> None:
        """Let DynamoDB remove what has expired, which is all that ever goes."""
        for item in self.dynamo.scan(TableName=self.name)["Items"]:
            if float(item.get("expires", {}).get("N", "inf")) < self._clock.now():
                self.dynamo.delete_item(TableName=self.name, Key={"pk": item["pk"], "sk": item["sk"]})


class StackStore(Store):
    """The stack's ledger, and the endings of its runs."""

    ledger: TableLedger

    def start(self, executions: Iterable[str]) -> None:
        """Start what was stored."""
        for execution in executions:
            self.ledger.stack.starts.start(execution)

    def look(self, execution: str) -> None:
        """Remember the ending of an execution that is over."""
        run = self.ledger.stack.store.look(execution)
        assert run is not None
        assert run.run.state == "finished", f"Lambda is done with {execution}, and it is {run.run.state}"
        run_id, attempt = parse_execution(execution)
        operations = self.ledger.stack.store.recorded(run_id, attempt)[1]
        self.note(execution, operations, Ending(str(run.run.verdict), str(run.run.summary)))


class StackProcess(Process):
    """The receiver, the patrol and the worker of a stack, which has just been deployed."""

    _store: StackStore

    def __init__(self, github: Any, cloud: Any, store: StackStore, automations: Sequence[Automation]) -> None:
        super().__init__(github, cloud, store, automations)
        table = store.ledger
        deploy(table.dynamo, table.name, automations)
        tokens = itertools.count(github.number())
        deps = self._deps()

        def finalize(execution: str, status: str, remaining: Callable[[], float]) -> bool:
            return self._engine.end(execution, make_finalizer(deps, status), remaining)

        self._engine = LambdaEngine(
            table.stack.store,
            self._run,
            starts=table.stack.starts,
            finalize=finalize,
            clock=self._clock,
            token=lambda: f"token-{next(tokens)}",
            jitter=lambda: 0.0,
            redact=str,
            report=lambda _execution, _text: None,
            pause=self._clock.advance,
        )

    def patrol(self, *, deliveries: bool = True, closings: bool = True) -> Report:
        """Make one round, and start what was stored and never started."""
        report = super().patrol(deliveries=deliveries, closings=closings)
        for run in self._store.ledger.stack.views.runs(state="queued"):
            if not self._store.ledger.attempts.is_started(run.execution):
                self._store.start([run.execution])
        return report

    def work(self) -> float | None:
        """Let Lambda invoke what is due."""
        service = self._store.ledger.service
        for execution, wake in list(service.wakes.items()):
            if wake is not None and wake <= self._clock.now():
                service.wakes[execution] = self._invoke(execution)
        return min((wake for wake in service.wakes.values() if wake is not None), default=None)

    def _invoke(self, execution: str) -> float | None:
        """Invoke the worker as its durable function does; return when to invoke it again."""
        deaths = self._fate.deaths
        outcome = self._engine.advance(execution, lambda: INVOCATION)
        if "queued" in outcome:
            outcome = self._engine.advance(execution, lambda: INVOCATION, execution)
        if self._fate.deaths > deaths:  # the engine takes it for an invocation that another one has replaced
            raise Died
        if outcome == DONE:
            self._store.look(execution)
            return None
        return float(outcome["wake"])


class ClosingsOnDynamodb(Closings):
    """The same histories on AWS."""

    def __init__(self, aws: FakeAws) -> None:
        self._aws = aws
        super().__init__()

    def make_store(self) -> Store:
        """Return an empty table."""
        ledger = TableLedger(self._aws, f"ledger-{next(_TABLES)}", self.fate, self.clock)
        return StackStore(ledger, ledger.stack.views)

    def start(self) -> Process:
        """Deploy."""
        assert isinstance(self.store, StackStore)
        return StackProcess(self.github, self.cloud, self.store, self.automations)

    def teardown(self) -> None:
        """Remove the table in the end."""
        try:
            super().teardown()
        finally:
            self.store.ledger.dynamo.delete_table(TableName=self.store.ledger.name)


_TABLES = itertools.count(1)


@cache
def dynamo(aws: FakeAws) -> Any:
    """Return a client of an emulator's DynamoDB."""
    made = boto3.client(
        "dynamodb",
        endpoint_url=aws.url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    return pass_over_sockets(made, aws)
