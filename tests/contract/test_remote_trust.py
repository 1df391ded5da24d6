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
    """A run function that deletes what it was told of, after a wait; it notes each of its effects."""

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
    """An empty ledger, and a clock that is moved by hand."""
    return RemoteBench(aws, log, clock=FakeClock())


def accept(bench: RemoteBench, **options: Any) -> str:
    """Accept a run that is to delete one stack."""
    return bench.accept("a", body=b'{"stack": "preview-17"}', **options)


def advance(bench: RemoteBench, execution: str) -> dict[str, Any]:
    """Advance in an environment of its own."""
    return bench.process().advance(execution, lambda: FOREVER)


def later(bench: RemoteBench, seconds: float) -> None:
    """Let time pass."""
    assert isinstance(bench.clock, FakeClock)
    bench.clock.advance(seconds)


def write(bench: RemoteBench, key: layout.Item, **values: Any) -> None:
    """Set attributes of an item, as whoever has the receiver's rights can."""
    item = bench.table.get(key) or key
    bench.dynamo.put_item(TableName=bench.name, Item=item | layout.to_item(values))


def beside(name: str) -> layout.Item:
    """The key under which releases until November 2026 kept an operation: in the run's own partition."""
    return {"pk": {"S": layout.run_partition(RUN)}, "sk": {"S": layout.operation_prefix(1) + name}}


def forged(name: str, result: object) -> dict[str, Any]:
    """The attributes of an operation that says it is done."""
    value = {"state": "ok", "result": json.dumps(result), "tries": 1, "started_at": 1.0, "ended_at": 1.0}
    return {"name": name, "position": 1, "kind": "record", **value}


# --- operations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [False, True])
def test_a_recorded_operation_in_the_runs_own_partition_is_not_believed(
    bench: RemoteBench, log: Log, begun: bool
) -> None:
    """A forged plan would name any StackId. A run that recorded something itself goes on by that alone."""
    a = accept(bench)
    if begun:
        advance(bench, a)
    write(bench, beside("plan"), **forged("plan", "production"))
    for _ in range(3):
        advance(bench, a)
        later(bench, 101)
    assert log.effects == (["preview-17"] if begun else [])
    assert bench.buried == ([] if begun else [(a, EARLIER)])


def test_what_a_run_recorded_stands_where_the_receiver_may_not_write(bench: RemoteBench) -> None:
    """Nothing but what was accepted stands in the run's partition."""
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
def test_a_run_that_has_begun_does_not_go_on_with_anything_else(
    bench: RemoteBench, log: Log, key: layout.Item, values: dict[str, Any]
) -> None:
    """Its plan was made from one payload; the live check would ask about the pull request of another."""
    bench.know(OTHER)
    bench.functions["b"] = log
    a = accept(bench)
    advance(bench, a)
    write(bench, key, **values)
    later(bench, 101)
    assert advance(bench, a) == DONE
    assert (log.effects, bench.ending(a)) == ([], Ending("failure", f"unreadable: {CHANGED}"))


def test_a_run_that_is_set_back_to_its_beginning_repeats_nothing(bench: RemoteBench, log: Log) -> None:
    """Its row is the receiver's to write; what it has recorded is not."""
    a = accept(bench)
    row = bench.table.get(layout.attempt_key(RUN, 1))
    advance(bench, a)
    later(bench, 101)
    assert advance(bench, a) == DONE
    bench.dynamo.put_item(TableName=bench.name, Item=row)
    assert advance(bench, a) == DONE
    assert log.effects == ["preview-17"]


# --- definitions --------------------------------------------------------------------------------------------


def test_a_definition_that_was_never_deployed_waits_says_so_and_runs_once_it_is_known(
    bench: RemoteBench, log: Log
) -> None:
    """A deployment publishes what it brings before the receiver uses it; until then nothing is begun."""
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


def test_a_definition_that_stays_unknown_ends_the_run_when_its_time_is_up(
    bench: RemoteBench, log: Log
) -> None:
    """As a failure that says why."""
    a = accept(bench, known=False, queue_timeout=60.0)
    assert "wake" in advance(bench, a)
    later(bench, 60)
    assert advance(bench, a) == DONE
    assert bench.ending(a) == Ending("failure", f"unreadable: {UNKNOWN}")
    assert log.effects == []


def test_a_run_of_an_unknown_definition_can_be_cancelled(bench: RemoteBench, log: Log) -> None:
    """Nobody has to wait for its time."""
    a = accept(bench, known=False)
    advance(bench, a)
    assert bench.attempts.cancel(a, "dev")
    assert advance(bench, a) == DONE
    assert bench.ending(a).verdict == "failure"


def test_a_run_that_cannot_be_ended_because_its_definition_is_unknown_is_left_for_later(
    bench: RemoteBench,
) -> None:
    """Whoever ends failed executions believes it no more than the worker does: it is called again, or tells somebody."""
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


def test_a_definition_whose_time_is_over_is_unknown(bench: RemoteBench) -> None:
    """Also before DynamoDB has removed it: that may take days."""
    bench.know("{}")
    item = layout.known_item(definition_digest("{}"), "a", 60.0, int(bench.clock.now()) + 10)
    bench.dynamo.put_item(TableName=bench.name, Item=item)
    a = accept(bench, known=False)
    later(bench, 10)
    advance(bench, a)
    assert bench.operations(a) == {}


def test_a_run_that_has_begun_outlasts_its_definitions_time(bench: RemoteBench, log: Log) -> None:
    """It was known when the run began, and the seal says that it is still the same."""
    a = accept(bench)
    advance(bench, a)
    bench.dynamo.delete_item(TableName=bench.name, Key=layout.known_key(definition_digest("{}")))
    later(bench, 101)
    assert advance(bench, a) == DONE
    assert log.effects == ["preview-17"]


# --- runs of the release before -----------------------------------------------------------------------------


class Before(Executions):
    """Reads and writes as releases until November 2026 do: operations stand in the run's own partition."""

    def load(self, record: RunRecord) -> Any:
        """Believe what stands there."""
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
        """Write there."""
        actions: list[Action] = [rows.row_update(record, after)]
        for operation in operations:
            item = rows.operation_item(record.execution, operation, 2_000_000_000)
            actions.append(put(item | beside(operation.name)))
        return not self._table.write(actions)


@pytest.fixture
def old(bench: RemoteBench) -> RemoteBench:
    """The same ledger as the worker's version before an upgrade works on it: what runs in flight are pinned to."""
    now, bench.store = bench.store, Before(bench.table, bench.bodies, bench.clock, retention_days=30)
    bench.engine = bench.process()
    bench.store = now
    return bench


def test_a_run_of_the_release_before_goes_on_where_it_began(old: RemoteBench, log: Log) -> None:
    """Lambda keeps it on its version; the release after shows it, and no deployment has to move anything."""
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


def test_a_run_of_the_release_before_whose_execution_is_over_is_ended_and_not_begun_again(
    old: RemoteBench, log: Log
) -> None:
    """By the first invocation of the next release: what it had recorded cannot be told from what was forged."""
    a = accept(old)
    old.engine.advance(a, lambda: FOREVER)
    later(old, 101)
    assert advance(old, a) == DONE
    assert (old.buried, log.effects) == ([(a, EARLIER)], [])
    assert old.ending(a) == Ending("failure", EARLIER)


def test_a_run_of_the_release_before_that_never_began_is_begun(old: RemoteBench, log: Log) -> None:
    """Accepted before the upgrade, started after it: the upgrade's first chore knows what was deployed before."""
    a = accept(old)
    advance(old, a)
    later(old, 101)
    assert advance(old, a) == DONE
    assert log.effects == ["preview-17"]


def test_the_seal_differs_with_everything_that_was_accepted(bench: RemoteBench) -> None:
    """Two fields that trade places, too."""
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
