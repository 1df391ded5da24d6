"""The model on AWS: the receiver's writer, the ledger in DynamoDB and the engine of the worker, over an emulated table.

Lambda is a list of what was started: an execution that is stored and was not started goes on only when somebody starts it.
A process may be killed before and after each write to the table, and before each start.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import boto3

from closeout.config.patrol import PatrolSettings
from closeout.core.automation import Automation
from closeout.core.ids import parse_execution
from closeout.core.redact import Redactor
from closeout.engine.lambda_ import DONE, LambdaEngine
from closeout.lambdas.aws_client import Call, Response
from closeout.lambdas.delivery_writer import DeliveryWriter, Destination
from closeout.ledger.dynamodb.marks import DynamoMarks
from closeout.patrol.report import Report
from closeout.ports import Ending, Incoming
from closeout.run.finalize import make_finalizer
from closeout.stack.patrol import mark_key
from closeout.testing.aws import FakeAws
from closeout.testing.durable import FakeClock
from closeout.testing.github.world import Pull, Repository
from closeout.wiring.stack_ledger import LedgerResources, StackLedger
from closeout.wiring.stack_patrols import StackPatrols, StartingAttempts
from tests.direct import DirectClient, pass_over_sockets
from tests.ledger_table import create_ledger, deploy
from tests.model.machine import Closings
from tests.model.outside import HOOK_URL, Died, Fate, GitHub
from tests.model.process import Ended, Process, Store

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


class _Sender(DirectClient):
    """The receiver's client of AWS, without a socket. It sends to the table and to Lambda alone."""

    def __init__(self, aws: FakeAws, fate: Fate, service: Lambda, clock: FakeClock) -> None:
        environment = {**aws.environment(), "AWS_REGION": "us-east-1"}
        super().__init__(aws, environment, now=clock.now, pause=clock.advance)
        self._fate, self._service = fate, service

    def invoke(self, function: str, payload: bytes, execution: str) -> str | None:
        """Start an execution."""
        return self._service.invoke(FunctionName=function, Payload=payload, Name=execution)[
            "DurableExecutionArn"
        ]

    def _exchange(self, call: Call, headers: Mapping[str, str], deadline: float) -> Response:
        writes = not call.headers["x-amz-target"].endswith("GetItem")
        if writes:
            self._fate.step()
        response = super()._exchange(call, headers, deadline)
        if writes:
            self._fate.step()
        return response


class TableLedger:
    """What the model's process asks of its ledger, over the stack's table."""

    def __init__(self, aws: FakeAws, name: str, fate: Fate, clock: FakeClock) -> None:
        self.name = name
        self.dynamo = dynamo(aws)
        self.service = Lambda(fate)
        create_ledger(self.dynamo, name)
        clients = {"dynamodb": _Mortal(self.dynamo, fate), "lambda": self.service}
        self.stack = StackLedger(LedgerResources(name, "no-bucket", WORKER, "no-logs"), clients.get, clock)
        self.attempts = StartingAttempts(self.stack)
        self._clock = clock
        writer = DeliveryWriter(
            _Sender(aws, fate, self.service, clock), Destination(name, "no-bucket", WORKER, 90), clock.advance
        )
        self.accept_wait = writer.accept
        marks = DynamoMarks(self.stack.table)
        self.marks, self.save_mark, self.has_delivery = marks.marks, marks.save_mark, marks.has_delivery

    def accept_group(self, group: Sequence[Incoming]) -> None:
        """Never called: patrol on AWS has its own way to the receiver's writer."""
        raise NotImplementedError

    def recover(self) -> None:
        """Do nothing: each invocation finds out by itself."""

    def prune(self, _seconds: float) -> None:
        """Let DynamoDB remove what has expired, which is all that ever goes."""
        for item in self.dynamo.scan(TableName=self.name)["Items"]:
            if float(item.get("expires", {}).get("N", "inf")) < self._clock.now():
                self.remove({"pk": item["pk"], "sk": item["sk"]})

    def remove(self, key: Any) -> None:
        """Remove an item."""
        self.dynamo.delete_item(TableName=self.name, Key=key)


class StackStore(Store):
    """The stack's ledger, and the endings of its runs."""

    ledger: TableLedger

    def lose_marks(self) -> None:
        """Lose how far patrol has read."""
        for kind in ("repository", "hook"):
            for key in self.ledger.marks(kind):
                self.ledger.remove(mark_key(kind, key))

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
        clients: Any = GitHubAlone(github)
        self._patrols = StackPatrols(
            table.stack,
            clients,
            table.accept_wait,
            PatrolSettings(),
            name="stack",
            webhook=HOOK_URL,
            redactor=Redactor([]),
            clock=self._clock,
            pause=self._clock.advance,
        )

    def make_rechecks(self, attempts: Any, deps: Any) -> Any:
        """Return nothing that looks again: on AWS that is another function's work, which this model does not have."""
        return NoRechecks()

    def patrol(self, *, deliveries: bool = True, closings: bool = True) -> Report:
        """Make the round that patrol's function makes when it is asked for everything, or of what is due."""
        del deliveries
        made = self._patrols.patrol("a-patrol", lambda: INVOCATION, everything=closings)
        return Report(errors=["another patrol is under way"]) if made is None else made.report

    def work(self) -> float | None:
        """Let Lambda invoke what is due."""
        service = self._store.ledger.service
        for execution, wake in list(service.wakes.items()):
            if wake is not None and wake <= self._clock.now():
                service.wakes[execution] = self._invoke(execution)
        return min((wake for wake in service.wakes.values() if wake is not None), default=None)

    def _invoke(self, execution: str) -> float | None:
        """Invoke the worker as its durable function does; return when to invoke it again."""
        outcome = self._engine.advance(execution, lambda: INVOCATION)
        if "queued" in outcome:
            outcome = self._engine.advance(execution, lambda: INVOCATION, execution)
        if self._fate.dead:  # the engine takes it for an invocation that another one has replaced
            raise Died
        if outcome == DONE:
            self._store.look(execution)
            return None
        return float(outcome["wake"])


class GitHubAlone(NamedTuple):
    """`SharedClients`, of which patrol needs GitHub."""

    github: GitHub


class NoRechecks:
    """Looks at nothing again."""

    def recover(self) -> None:
        """Do nothing."""

    def recheck_now(self, _repository: str, _number: int) -> None:
        """Do nothing."""

    def next_at(self) -> None:
        """Return that nothing is due."""


class ClosingsOnDynamodb(Closings):
    """The same histories on AWS."""

    store: StackStore

    def __init__(self, aws: FakeAws) -> None:
        self._aws = aws
        super().__init__()

    def make_store(self) -> StackStore:
        """Return an empty table."""
        ledger = TableLedger(self._aws, f"ledger-{next(_TABLES)}", self.fate, self.clock)
        return StackStore(ledger, ledger.stack.views)

    def start(self) -> Process:
        """Deploy."""
        assert isinstance(self.store, StackStore)
        return StackProcess(self.github, self.cloud, self.store, self.automations)

    def ask_guard(self, repository: Repository, pull: Pull, name: str | None = None) -> None:
        """Do nothing: the guard is another function."""

    def check_late_deploy(self, name: str, ends: list[Ended]) -> None:
        """Do nothing: the rechecks are another function's."""

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
