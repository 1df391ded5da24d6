"""One suite over every ledger: in memory, in SQLite, and in DynamoDB on an emulator."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from closeout.core import runs
from closeout.core.errors import BadFilter
from closeout.core.records import Accepted, NewDelivery, NewRun
from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.delivery_writer import DeliveryWriter
from closeout.lambdas.delivery_writer import Destination as Tables
from closeout.ledger import sqlite
from closeout.ledger.dynamodb.journal import LogJournal
from closeout.ledger.dynamodb.marks import DynamoMarks
from closeout.ledger.dynamodb.problems import Problems
from closeout.ledger.dynamodb.requests import Requests
from closeout.ledger.dynamodb.table import put
from closeout.ports import Ending, Execution, LedgerReader, Operation, PageReader, RunFilter, RunRecord
from closeout.ports import Requests as RequestsPort
from closeout.stack.problems import PROBLEM, PROBLEMS, problem_key
from closeout.stack.table import attempt_key, from_item
from closeout.testing.durable import FakeClock
from tests.contract.ledger_suite import DAY, SECRET, LedgerSuite, ServerLedgerSuite, run_id
from tests.contract.remote_harness import BUCKET, GROUP, WORKER, RemoteBench, client
from tests.memory_ledger import MemoryLedger
from tests.stack_aws import StackAws


def redact(text: str) -> str:
    """Take the secret out."""
    return text.replace(SECRET, "***")


class LocalLedger:
    """`ServerBench` over a server's ledger, with what its engine writes."""

    def __init__(
        self,
        ledger: sqlite.Ledger | MemoryLedger,
        reader: LedgerReader,
        pages: PageReader,
        requests: RequestsPort,
        clock: FakeClock,
    ) -> None:
        self.ledger = self.engine = self.switch = self.patrol = ledger
        self.attempts = ledger.attempts
        self.problems = ledger.problems
        self.reader = reader
        self.pages = pages
        self.requests = requests
        self.clock = clock

    def accept(self, delivery: NewDelivery, new_runs: list[NewRun]) -> Accepted:
        """Store a delivery."""
        return self.ledger.accept_wait(delivery, new_runs)

    def begin(self, execution: str) -> None:
        """Note that it runs."""
        self.ledger.begin(self._number(execution), "own", self.clock.now(), wait=True)

    def save(self, execution: str, operation: Operation, *outcomes: runs.Outcome) -> None:
        """Store an operation."""
        self.ledger.save(self._number(execution), operation, *outcomes)

    def finish(self, execution: str, ending: Ending) -> None:
        """Store its end."""
        self.ledger.finish(self._number(execution), ending, self.clock.now())

    def write(self, execution: str, step: str | None, text: str) -> None:
        """Write a log line, and wait for it."""
        self.ledger.write(execution, step, text)
        self.ledger.probe()

    def carry_out(self) -> None:
        """Take requests, and carry out cancels, as an engine does."""
        for request in self.ledger.take_requests():
            if request.kind == "cancel":
                execution = self.ledger.find(str(request.target))
                by = f"{request.by}: {request.reason}" if request.reason else request.by
                done = execution is not None and self.ledger.ask_cancel(execution, by)
                self.ledger.finish_request(request.id, "done" if done else "unknown or finished")

    def _number(self, execution: str) -> int:
        return next(one.number for one in self.ledger.pending(0) if one.execution == execution)


class TestMemory(ServerLedgerSuite):
    """Every test of the suite, in memory."""

    @pytest.fixture
    def bench(self) -> LocalLedger:
        """An empty ledger."""
        clock = FakeClock()
        ledger = MemoryLedger(clock, redact)
        return LocalLedger(ledger, ledger, ledger, ledger, clock)


class TestSqlite(ServerLedgerSuite):
    """Every test of the suite, on SQLite."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[LocalLedger]:
        """An empty ledger."""
        clock, path = FakeClock(), tmp_path / "ledger.db"
        with sqlite.Ledger(path, clock=clock, redact=redact) as ledger:
            views = sqlite.Views(path, clock=clock)
            yield LocalLedger(ledger, views, views, sqlite.Requests(path, clock=clock), clock)
            views.close()


class StackLedger:
    """`LedgerBench` over DynamoDB: what the receiver and the worker's invocations write."""

    def __init__(self, aws: StackAws) -> None:
        self.clock = FakeClock(float(int(time.time())))
        self._remote = RemoteBench(aws, clock=self.clock)
        client(aws, "s3").create_bucket(Bucket=BUCKET)
        self._logs = client(aws, "logs")
        self._logs.create_log_group(logGroupName=GROUP)
        self._logs.create_log_stream(logGroupName=GROUP, logStreamName="one")
        self.reader = self._remote.views
        self.attempts = self._remote.attempts
        self.switch = self._remote.switch
        self.patrol = DynamoMarks(self._remote.table)
        self.problems = Problems(self._remote.table)
        self.requests = Requests(
            self.attempts, self._remote.starts, self.switch, rerun=self._none, replay=self._none
        )
        receiver = AwsClient({**aws.environment(), "AWS_REGION": "us-east-1"}, pause=lambda _: None)
        tables = Tables(self._remote.name, BUCKET, WORKER, 90)
        self._deliveries = DeliveryWriter(receiver, tables, lambda _: None)
        self._journal = LogJournal(self.clock, redact, self._print)

    def accept(self, delivery: NewDelivery, new_runs: Sequence[NewRun]) -> Accepted:
        """Store a delivery, and start its runs."""
        return self._deliveries.accept(delivery, new_runs)

    def begin(self, execution: str) -> None:
        """Take it, with its key."""
        found = self._found(execution)
        taken = found._replace(
            run=runs.advance(found.run, runs.Taken("own", self.clock.now())), fencing_token="visit"
        )
        assert self._remote.store.take(found, taken, hold=True, leave=False)

    def save(self, execution: str, operation: Operation, *outcomes: runs.Outcome) -> None:
        """Store an operation, and the seal with the first."""
        found = self._found(execution)
        seal = self._remote.store.load(found).seal
        after = found.run
        for outcome in outcomes:
            after = runs.advance(after, outcome)
        assert self._remote.store.save(found, after, (operation,), seal)

    def finish(self, execution: str, ending: Ending, *, read: bool = True) -> None:
        """Store its end; unless `read`, as the end of a run that could not be read."""
        found = self._found(execution)
        assert self._remote.store.finish(
            found, self._ended(found, ending), *(self._loaded(found) if read else ())
        )

    def finish_as_another(self, execution: str, ending: Ending) -> bool:
        """Store its end as an invocation that has lost the run."""
        found = self._found(execution)
        lost = found._replace(fencing_token="another")
        return self._remote.store.finish(lost, self._ended(found, ending), *self._loaded(found))

    def _ended(self, found: RunRecord, ending: Ending) -> runs.RunState:
        return runs.advance(found.run, runs.Ended(ending.verdict, ending.summary, self.clock.now()))

    def _loaded(self, found: RunRecord) -> tuple[Execution, Sequence[Operation]]:
        loaded = self._remote.store.load(found)
        return loaded.execution, loaded.operations

    def add_to_problem(self, automation: str, key: str, more: Mapping[str, Any]) -> None:
        """Add attributes to a problem's item, as a later version may."""
        item = self._remote.table.get(problem_key(automation, key))
        assert item is not None
        item["problem"] = {"S": json.dumps(json.loads(item["problem"]["S"]) | more)}
        self._remote.table.change(put(item))

    def problem_expires(self, automation: str, key: str) -> Any:
        """Return when DynamoDB deletes a problem's item; None if it stays."""
        return from_item(self._remote.table.get(problem_key(automation, key)) or {}).get("expires")

    def write(self, execution: str, step: str | None, text: str) -> None:
        """Print a log line, which Lambda takes to CloudWatch Logs."""
        self._journal.write(execution, step, text)

    def carry_out(self) -> None:
        """Do nothing: a command carries its request out itself."""

    def _print(self, line: str) -> None:
        event = {"timestamp": int(self.clock.now() * 1000), "message": line}
        self._logs.put_log_events(logGroupName=GROUP, logStreamName="one", logEvents=[event])

    def _found(self, execution: str) -> RunRecord:
        found = self._remote.store.read(execution)
        assert found is not None
        return found

    def lifetimes(self, *names: str) -> list[float]:
        """Return the days for which the rows of runs are kept."""
        found = [self._remote.table.get(attempt_key(run_id(name), 1)) for name in names]
        return [(from_item(item)["expires"] - self.clock.now()) / DAY for item in found if item]

    def problem_items(self) -> list[str]:
        """Return the sort keys of the items of problems."""
        return [item["sk"]["S"] for item in self._remote.table.query(PROBLEMS, PROBLEM)]

    _none: Callable[[str, str], str] = staticmethod(lambda target, by: f"nobody reruns {target} for {by}")


class TestDynamodb(LedgerSuite):
    """Every test of the suite, on DynamoDB."""

    @pytest.fixture
    def bench(self, aws: StackAws) -> StackLedger:
        """An empty table."""
        aws.reset()
        return StackLedger(aws)

    def test_lists_cannot_be_searched_by_words(self, bench: StackLedger) -> None:
        """No index has them, so a search would read every run."""
        with pytest.raises(BadFilter, match="no index of words"):
            bench.reader.runs(wanted=RunFilter(search="stack"))

    def test_a_closing_outlives_the_retention_of_its_delivery(self, bench: StackLedger) -> None:
        """Its run's row stays for 400 days, so that no second run starts; lists show it as long as any other run."""
        for name, closing in (("r", "501001/1700017/2026-03-14T09:26:53Z"), ("s", None)):
            delivery = NewDelivery(
                "h1",
                name,
                "pull_request",
                "closed",
                "acme/shop",
                b"{}",
                False,
                bench.clock.now(),
                "github",
                17,
                closing,
            )
            bench.accept(delivery, [NewRun(run_id(name), name, None, "{}", 60.0)])
            bench.finish(f"{run_id(name)}-1", Ending("success", "done"))
        assert bench.lifetimes("r", "s") == [400.0, 30.0]
        assert {run.automation for run in bench.reader.runs()} == {"r", "s"}
        bench.clock.advance(30 * DAY + 60)
        assert [run.automation for run in bench.reader.runs()] == ["s"], (
            "DynamoDB has not yet removed what expired"
        )
