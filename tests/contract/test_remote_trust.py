"""What the receiver can write, and an invocation does not trust: docs/adr/0018."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

import pytest

from closeout.core.runs import RunState
from closeout.engine.invocation import LONGEST_WAIT, UNKNOWN
from closeout.engine.lambda_ import DONE
from closeout.ledger.dynamodb import rows
from closeout.ledger.dynamodb.executions import CHANGED, Executions
from closeout.ledger.dynamodb.table import Action, put
from closeout.ports import Durable, Ending, Execution, Operation, RunRecord
from closeout.stack import table as layout
from closeout.stack.deployed import definition_digest
from closeout.stack.invocation import EARLIER
from closeout.testing.durable import FakeClock
from tests.contract.remote_harness import FOREVER, RemoteBench, run_name
from tests.stack_aws import StackAws

RUN = run_name("a")
OTHER = '{"another": 1}'


class Log:
    """A run function that deletes what its payload names, after a wait; it notes each of its effects."""

    def __init__(self) -> None:
        self.effects: list[str] = []

    def __call__(self, durable: Durable, execution: Execution) -> Ending:
        if execution.unreadable is not None:
            return Ending("failure", f"unreadable: {execution.unreadable}")
        plan = durable.record("plan", lambda: json.loads(execution.body)["stack"])
        durable.sleep("grace", 100.0)
        durable.record("delete", lambda: self.effects.append(plan))
        return Ending("success", "done")


@pytest.fixture
def log() -> Log:
    """The run function of `bench`."""
    return Log()


@pytest.fixture
def bench(aws: StackAws, log: Log) -> RemoteBench:
    """An empty ledger, and a clock that the test moves."""
    return RemoteBench(aws, log, clock=FakeClock())


def accept(bench: RemoteBench, **options: Any) -> str:
    """Accept a run that should delete one stack."""
    return bench.accept("a", body=b'{"stack": "preview-17"}', **options)


def advance(bench: RemoteBench, execution: str) -> dict[str, Any]:
    """Advance in a new environment."""
    return bench.process().advance(execution, lambda: FOREVER)


def later(bench: RemoteBench, seconds: float) -> None:
    """Let time pass."""
    assert isinstance(bench.clock, FakeClock)
    bench.clock.advance(seconds)


def write(bench: RemoteBench, key: layout.Item, **values: Any) -> None:
    """Set attributes of an item, as an attacker with the receiver's rights could."""
    item = bench.table.get(key) or key
    bench.dynamo.put_item(TableName=bench.name, Item=item | layout.to_item(values))


def beside(name: str) -> layout.Item:
    """The key where releases until November 2026 kept an operation: in the run's own partition."""
    return {"pk": {"S": layout.run_partition(RUN)}, "sk": {"S": layout.operation_prefix(1) + name}}


def forged(name: str, result: object) -> dict[str, Any]:
    """The attributes of an operation that says it is done."""
    value = {"state": "ok", "result": json.dumps(result), "tries": 1, "started_at": 1.0, "ended_at": 1.0}
    return {"name": name, "position": 1, "kind": "record", **value}


# --- operations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [False, True])
def test_a_recorded_operation_in_the_runs_own_partition_is_ignored(
    bench: RemoteBench, log: Log, begun: bool
) -> None:
    """A forged plan could name any StackId. A run with its own record continues from that record alone."""
    a = accept(bench)
    if begun:
        advance(bench, a)
    write(bench, beside("plan"), **forged("plan", "production"))
    for _ in range(3):
        advance(bench, a)
        later(bench, 101)
    assert log.effects == (["preview-17"] if begun else [])
    assert bench.buried == ([] if begun else [(a, EARLIER)])


def test_a_runs_record_is_where_the_receiver_may_not_write(bench: RemoteBench) -> None:
    """The run's partition has only what was accepted."""
    a = accept(bench)
    advance(bench, a)
    query = {
        "TableName": bench.name,
        "KeyConditionExpression": "pk = :pk",
    }
    found = {
        partition: [
            row["sk"]["S"]
            for row in bench.dynamo.query(**query, ExpressionAttributeValues={":pk": {"S": partition}})[
                "Items"
            ]
        ]
        for partition in (layout.run_partition(RUN), layout.record_partition(RUN))
    }
    assert found[layout.run_partition(RUN)] == ["attempt#000001", "record#000001#definition"]
    assert [name.partition("#")[2] for name in found[layout.record_partition(RUN)]] == [
        "000001#accepted",
        "000001#operation#grace",
        "000001#operation#plan",
    ]


# --- what was accepted --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "values"),
    [
        (layout.definition_key(RUN, 1), {"definition": OTHER}),
        (layout.body_key(layout.delivery_id("1", "guid-a")), {"data": zlib.compress(b'{"stack": "x"}')}),
        (layout.attempt_key(RUN, 1), {"event": "delete"}),
        (layout.attempt_key(RUN, 1), {"automation": "b"}),
        (layout.attempt_key(RUN, 1), {"guid": "another"}),
    ],
    ids=["definition", "payload", "event", "automation", "guid"],
)
def test_a_run_that_has_begun_refuses_changed_input(
    bench: RemoteBench, log: Log, key: layout.Item, values: dict[str, Any]
) -> None:
    """Its plan was made from one payload; the live check would ask about another pull request."""
    bench.know(OTHER)
    bench.functions["b"] = log
    a = accept(bench)
    advance(bench, a)
    write(bench, key, **values)
    later(bench, 101)
    assert advance(bench, a) == DONE
    assert (log.effects, bench.ending(a)) == ([], Ending("failure", f"unreadable: {CHANGED}"))


def test_a_run_whose_row_is_reset_repeats_nothing(bench: RemoteBench, log: Log) -> None:
    """The receiver may write its row, but not its record."""
    a = accept(bench)
    row = bench.table.get(layout.attempt_key(RUN, 1))
    advance(bench, a)
    later(bench, 101)
    assert advance(bench, a) == DONE
    bench.dynamo.put_item(TableName=bench.name, Item=row)
    assert advance(bench, a) == DONE
    assert log.effects == ["preview-17"]


# --- definitions --------------------------------------------------------------------------------------------


def test_a_run_with_an_unknown_definition_waits_until_it_is_deployed(bench: RemoteBench, log: Log) -> None:
    """A deployment publishes definitions before the receiver uses them; until then the run says why it waits."""
    a = accept(bench, known=False)
    waits = []
    for _ in range(6):
        waits.append(advance(bench, a)["wake"] - bench.clock.now())
        later(bench, waits[-1])
    assert bench.state(a) == "waiting"
    assert bench.operations(a) == {}
    assert set(bench.reports) == {f"{a}: waiting: {UNKNOWN} (a)"}
    assert waits == sorted(waits)
    assert LONGEST_WAIT >= waits[-1] > waits[0]
    bench.know("{}")
    assert "wake" in advance(bench, a)
    later(bench, 101)
    assert advance(bench, a) == DONE
    assert log.effects == ["preview-17"]


def test_a_definition_that_stays_unknown_ends_the_run_at_its_time_limit(bench: RemoteBench, log: Log) -> None:
    """As a failure that says why."""
    a = accept(bench, known=False, queue_timeout=60.0)
    assert "wake" in advance(bench, a)
    later(bench, 60)
    assert advance(bench, a) == DONE
    assert bench.ending(a) == Ending("failure", f"unreadable: {UNKNOWN}")
    assert log.effects == []


def test_a_run_of_an_unknown_definition_can_be_cancelled(bench: RemoteBench, log: Log) -> None:
    """An operator need not wait for its time limit."""
    a = accept(bench, known=False)
    advance(bench, a)
    assert bench.attempts.cancel(a, "dev")
    assert advance(bench, a) == DONE
    assert bench.ending(a).verdict == "failure"


def test_a_run_with_an_unknown_definition_is_not_ended_from_outside(
    bench: RemoteBench,
) -> None:
    """The handler of failed executions does not trust it either: it is called again, or notifies the operator."""
    a = accept(bench, known=False)
    ended: list[str] = []

    def end(durable: Durable, execution: Execution) -> Ending:
        ended.append(str(execution.unreadable))
        return Ending("failure", "ended")

    engine = bench.process(pause=lambda seconds: later(bench, seconds))
    assert not engine.end(a, end, lambda: 61.0)
    assert ended == []
    later(bench, 3600)
    assert engine.end(a, end, lambda: FOREVER)
    assert ended == [UNKNOWN]


def test_an_expired_definition_is_unknown(bench: RemoteBench) -> None:
    """Even before DynamoDB has deleted it, which may take days."""
    bench.know("{}")
    item = layout.known_item(definition_digest("{}"), "a", 60.0, int(bench.clock.now()) + 10)
    bench.dynamo.put_item(TableName=bench.name, Item=item)
    a = accept(bench, known=False)
    later(bench, 10)
    advance(bench, a)
    assert bench.operations(a) == {}


def test_a_run_that_has_begun_outlives_its_definition(bench: RemoteBench, log: Log) -> None:
    """It was known when the run began, and the seal proves that it is unchanged."""
    a = accept(bench)
    advance(bench, a)
    bench.dynamo.delete_item(TableName=bench.name, Key=layout.known_key(definition_digest("{}")))
    later(bench, 101)
    assert advance(bench, a) == DONE
    assert log.effects == ["preview-17"]


# --- runs of the release before -----------------------------------------------------------------------------


class Before(Executions):
    """Reads and writes as releases until November 2026 did: operations are in the run's own partition."""

    def load(self, record: RunRecord) -> Any:
        """Trust what is stored there."""
        found = super().load(record)
        query = self._table.query(layout.run_partition(RUN), layout.operation_prefix(1))
        return found._replace(operations=rows.recorded(query).operations, seal=None, doubt=None)

    def save(
        self,
        record: RunRecord,
        after: RunState,
        operations: Sequence[Operation] = (),
        seal: str | None = None,
    ) -> bool:
        """Write it there."""
        actions: list[Action] = [rows.row_update(record, after)]
        for operation in operations:
            item = rows.operation_item(record.execution, operation, 2_000_000_000)
            actions.append(put(item | beside(operation.name)))
        return not self._table.write(actions)


@pytest.fixture
def old(bench: RemoteBench) -> RemoteBench:
    """The same ledger as the worker's version before the upgrade uses it; runs in progress stay on that version."""
    now, bench.store = bench.store, Before(bench.table, bench.bodies, bench.clock, retention_days=30)
    bench.engine = bench.process()
    bench.store = now
    return bench


def test_a_run_of_the_previous_release_continues_on_its_version(old: RemoteBench, log: Log) -> None:
    """Lambda keeps it there; the new release shows it, and no deployment has to migrate anything."""
    a = accept(old, known=False)
    assert "wake" in old.engine.advance(a, lambda: FOREVER)
    assert list(old.operations(a)) == ["plan", "grace"]
    later(old, 101)
    assert old.engine.advance(a, lambda: FOREVER) == DONE
    assert (log.effects, old.ending(a)) == (["preview-17"], Ending("success", "done"))
    shown = old.views.run(RUN)
    assert shown is not None
    assert shown.verdict == "success"
    assert [operation.name for operation in old.store.recorded(RUN, 1)[1]] == ["plan", "grace", "delete"]


def test_a_run_of_the_previous_release_whose_execution_is_over_ends(old: RemoteBench, log: Log) -> None:
    """By the next release's first invocation, without beginning again: its record could be forged."""
    a = accept(old)
    old.engine.advance(a, lambda: FOREVER)
    later(old, 101)
    assert advance(old, a) == DONE
    assert (old.buried, log.effects) == ([(a, EARLIER)], [])
    assert old.ending(a) == Ending("failure", EARLIER)


def test_a_run_of_the_previous_release_that_never_began_begins(old: RemoteBench, log: Log) -> None:
    """Accepted before the upgrade, started after it: the upgrade first learns what was deployed before."""
    a = accept(old)
    advance(old, a)
    later(old, 101)
    assert advance(old, a) == DONE
    assert log.effects == ["preview-17"]


def test_the_seal_covers_everything_that_was_accepted(bench: RemoteBench) -> None:
    """Even two fields that swap their values."""
    record = bench.store.read(accept(bench))
    assert record is not None
    execution = bench.store.load(record).execution
    others = [
        execution._replace(automation="guid-a "),
        execution._replace(event_name="guid-a "),
        execution._replace(delivery="guid-a "),
        execution._replace(guid="guid-a "),
        execution._replace(hook="guid-a "),
        execution._replace(definition="guid-a "),
        execution._replace(body=b"guid-a "),
    ]
    assert len({rows.seal_of(one) for one in (execution, *others)}) == 8
