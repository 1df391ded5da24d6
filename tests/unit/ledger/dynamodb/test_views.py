"""What people see of a ledger in DynamoDB: the same values as of one in SQLite."""

from __future__ import annotations

import json
import time
import zlib
from pathlib import Path
from typing import Any

import pytest

from closeout.core.errors import LedgerError, NotFound
from closeout.core.records import NewDelivery, NewRun
from closeout.engine.lambda_ import DONE
from closeout.ledger import sqlite
from closeout.ledger.dynamodb.journal import LogJournal
from closeout.ledger.dynamodb.table import put
from closeout.ports import DeliveryView, Durable, Ending, Execution, RunView
from closeout.stack import table as layout
from closeout.testing.durable import FakeClock
from tests.contract.remote_harness import BUCKET, FOREVER, GROUP, RemoteBench, client, run_name

DEFINITION = json.dumps({"steps": [{"id": "stack", "name": "delete the stack", "uses": "aws/x"}]})
CHANGE = {"verb": "delete", "resource": "stack preview-17", "reason": "the PR is closed"}


def tears_down(durable: Durable, execution: Execution) -> Ending:
    """A run function that leaves what the real one leaves."""
    durable.record("begin", lambda: {"at": 1.0})
    durable.record("stack/plan", lambda: {"changes": [CHANGE]})
    durable.record("stack/end", lambda: {"state": "success", "summary": "deleted", "left": []})
    durable.record("final", lambda: {"sent": True, "state": "success"})
    return Ending("success", "deleted")


def waits(durable: Durable, execution: Execution) -> Ending:
    """One that waits for ever."""
    durable.wait_until("stack/gone", lambda: None, 30.0, 86_400.0)
    return Ending("success", "never")


def shape(run: RunView) -> dict[str, Any]:
    """A run without what differs between two ledgers: the delivery's name."""
    value = run.to_json()
    del value["delivery"]
    return value


def test_a_run_looks_the_same_as_on_sqlite(bench: RemoteBench, tmp_path: Path) -> None:
    """Queued, waiting behind another, waiting for something, cancelled, finished: field for field."""
    assert isinstance(bench.clock, FakeClock)
    names = ["a", "b"]
    clock = bench.clock
    with sqlite.Ledger(tmp_path / "ledger.db", clock=clock) as local:
        views = sqlite.Views(tmp_path / "ledger.db", clock=clock)
        from closeout.engine import Engine
        from tests.contract.local_harness import eventually

        bench.functions |= {"a": tears_down, "b": waits}
        engine = Engine(
            local,
            lambda durable, execution: bench.functions[execution.automation](durable, execution),
            clock=clock,
            jitter=lambda: 0.0,
        )
        executions = {}
        for name in names:
            executions[name] = bench.accept(name, key="k", definition=DEFINITION)
            delivery = NewDelivery(
                "1",
                f"guid-{name}",
                "pull_request",
                "closed",
                "acme/shop",
                b"{}",
                False,
                clock.now(),
                "github",
                17,
            )
            local.accept_wait(delivery, [NewRun(run_name(name), name, "k", DEFINITION, 3600.0)])
        assert [shape(run) for run in bench.views.runs()] == [shape(run) for run in views.runs()]
        assert bench.engine.advance(executions["a"], lambda: FOREVER) == DONE
        assert "wake" in bench.engine.advance(executions["b"], lambda: FOREVER)
        engine.start()
        eventually(lambda: [run.state for run in views.runs()] == ["waiting", "finished"])
        engine.stop(2)
        for name in names:
            ours, theirs = bench.views.run(run_name(name)), views.run(run_name(name))
            assert ours is not None
            assert theirs is not None
            assert shape(ours) == shape(theirs)
        assert [shape(run) for run in bench.views.runs()] == [shape(run) for run in views.runs()]
        assert bench.views.stats() == {
            **views.stats(),
            "step_durations": bench.views.stats()["step_durations"],
        }
        assert bench.views.stats()["step_durations"] == {("a", "stack"): (1, 0.0)}
        assert [op.name for op in bench.views.operations(run_name("a"))] == [
            op.name for op in views.operations(run_name("a"))
        ]
        views.close()


def test_what_is_listed_of_a_run_stays_small_however_long_its_definition(bench: RemoteBench) -> None:
    """Each change of it is written to the table and to the listing: a kilobyte is one unit of either."""
    bench.accept("a", key="acme/shop#17", definition=json.dumps({"steps": [], "filler": "x" * 50_000}))
    found = bench.dynamo.query(
        TableName=bench.name,
        IndexName=layout.LISTING,
        KeyConditionExpression="#list = :runs",
        ExpressionAttributeNames={"#list": "list"},
        ExpressionAttributeValues={":runs": {"S": layout.RUNS}},
    )["Items"]
    assert [0 < len(json.dumps(item)) < 1_024 for item in found] == [True]


def test_a_queued_run_says_whom_it_waits_for(bench: RemoteBench) -> None:
    """The holder; before anybody holds the key, the first ticket."""
    a, b = bench.accept("a", key="k"), bench.accept("b", key="k")
    seen = {run.automation: run.reason for run in bench.views.runs()}
    assert seen == {"a": None, "b": f"waits for its turn on k, behind {a}"}
    bench.functions["a"] = waits
    bench.engine.advance(a, lambda: FOREVER)
    run = bench.views.run(b)
    assert run is not None
    assert run.reason == f"waits for its turn on k, behind {a}"
    bench.attempts.cancel(b, "dev")
    run = bench.views.run(b)
    assert run is not None
    assert run.reason == "dev asked to cancel it"


def test_the_beginning_of_an_id_finds_its_runs(bench: RemoteBench) -> None:
    """As on SQLite: in order, each run once however many attempts it had, and no more than asked for."""
    for name in ("pa", "pb", "q"):
        bench.accept(name)
    ids = sorted(run_name(name) for name in ("pa", "pb", "q"))
    for run in ids:
        alike = [one for one in ids if one.startswith(run[:5])]
        assert bench.views.run_ids(run[:5], 10) == alike
        assert bench.views.run_ids(run, 10) == [run]
    assert len(bench.views.run_ids("", 2)) == 2
    assert bench.views.run_ids("nothing", 10) == []


def test_lists_are_newest_first_cut_and_narrowed(bench: RemoteBench) -> None:
    """By automation, state, verdict and repository, over all pages."""
    assert isinstance(bench.clock, FakeClock)
    bench.functions["b"] = tears_down
    for name in "abcde":
        execution = bench.accept(name)
        if name == "b":
            bench.engine.advance(execution, lambda: FOREVER)
        bench.clock.advance(1)
    listed = [run.automation for run in bench.views.runs()]
    assert listed == list("edcba")
    assert [run.automation for run in bench.views.runs(2)] == ["e", "d"]
    assert [run.automation for run in bench.views.runs(automation="c")] == ["c"]
    assert [run.automation for run in bench.views.runs(state="queued", limit=3)] == ["e", "d", "c"]
    assert [run.automation for run in bench.views.runs(verdict="success")] == ["b"]
    assert bench.views.runs(repository="acme/other") == []
    assert [view.guid for view in bench.views.deliveries(2)] == ["guid-e", "guid-d"]
    assert len(bench.views.deliveries()) == 5


def test_only_the_latest_attempt_is_listed(bench: RemoteBench) -> None:
    """Earlier ones are there by their numbers."""
    bench.functions["a"] = tears_down
    execution = bench.accept("a")
    bench.engine.advance(execution, lambda: FOREVER)
    run_id = run_name("a")
    second = bench.attempts.new_attempt(run_id, DEFINITION, "ada", key=None, queue_timeout=60.0)
    assert second == f"{run_id}-2"
    (listed,) = bench.views.runs()
    assert (listed.execution, listed.state, listed.requested_by) == (second, "queued", "ada")
    first = bench.views.run(run_id, 1)
    latest = bench.views.run(run_id)
    named = bench.views.run(execution)
    assert first is not None
    assert latest is not None
    assert named == first
    assert (first.state, first.attempt, latest.attempt) == ("finished", 1, 2)
    assert bench.views.run(run_id, 3) is None
    assert bench.views.run(run_name("zzz")) is None


def test_a_delivery_and_its_body(bench: RemoteBench) -> None:
    """A form stays a form in the ledger, and is JSON when it is read; a large body comes out of the bucket."""
    body = b'{"number": 17}'
    bench.accept("a", body=body)
    name = layout.delivery_id("1", "guid-a")
    assert bench.views.delivery(name) == DeliveryView(
        name, "guid-a", "1", "pull_request", "closed", "acme/shop", 17, len(body), "github",
        bench.clock.now(), (run_name("a"),),
    )  # fmt: skip
    assert bench.views.body(name) == body
    form = NewDelivery("1", "form", "push", None, None, b"payload=%7B%7D", True, 1.0, "github")
    for item in layout.acceptance(form, [], [], zlib.compress(form.body), 2_000_000_000):
        bench.table.change(put(item))
    assert bench.views.body(layout.delivery_id("1", "form")) == b"{}"
    large = NewDelivery("1", "large", "push", None, None, b"[1]" * 200_000, False, 1.0, "github")
    for item in layout.acceptance(large, [], [], None, 2_000_000_000):
        bench.table.change(put(item))
    large_name = layout.delivery_id("1", "large")
    with pytest.raises(LedgerError, match="no longer in the bucket"):
        bench.views.body(large_name)
    client(bench.aws, "s3").put_object(
        Bucket=BUCKET, Key=layout.object_name(large_name), Body=zlib.compress(large.body)
    )
    assert bench.views.body(large_name) == large.body
    assert bench.views.delivery("nothing") is None
    with pytest.raises(NotFound):
        bench.views.body("nothing")


def test_a_body_that_is_damaged_is_said_to_be(bench: RemoteBench) -> None:
    """And is no payload."""
    bench.accept("a")
    name = layout.delivery_id("1", "guid-a")
    bench.table.change(put(layout.body_key(name) | layout.to_item({"data": b"nonsense", "form": False})))
    with pytest.raises(LedgerError, match="damaged"):
        bench.views.body(name)


def test_a_log_is_what_the_worker_printed(bench: RemoteBench) -> None:
    """Out of the log group, in order, of this attempt alone; other lines there are Lambda's own."""
    assert isinstance(bench.clock, FakeClock)
    bench.clock.advance(time.time() - bench.clock.now())
    a, b = bench.accept("a"), bench.accept("b")
    printed: list[str] = ["START RequestId: 1", '{"level": "info"}']
    journal = LogJournal(bench.clock, lambda text: text.replace("hunter2", "***"), printed.append)
    journal.write(a, None, "run a")
    journal.write(b, None, "run b")
    journal.write(a, "stack", "the password is hunter2\nsecond line")
    journal.write(a[:-1] + "2", None, "another attempt")
    journal.finished(a, "a", "success", "done", 1.0)
    bench.clock.advance(1)
    journal.write(a, "stack", "later")
    logs = client(bench.aws, "logs")
    logs.create_log_stream(logGroupName=GROUP, logStreamName="one")
    at = int(bench.clock.now() * 1000)
    logs.put_log_events(
        logGroupName=GROUP,
        logStreamName="one",
        logEvents=[{"timestamp": at, "message": line} for line in printed],
    )
    lines = bench.views.logs(run_name("a"), 1)
    assert [(line.step, line.text) for line in lines] == [
        (None, "run a"),
        ("stack", "the password is ***\nsecond line"),
        ("stack", "later"),
    ]
    assert lines[0].id < lines[1].id < lines[2].id
    assert [line.text for line in bench.views.logs(run_name("a"), 1, after=lines[1].id)] == ["later"]
    assert len(bench.views.logs(run_name("a"), 1, limit=2)) == 2
    assert bench.views.logs(run_name("zzz")) == []


def test_a_line_of_a_journal_is_one_json_object(bench: RemoteBench) -> None:
    """Whatever its text is: bounded, redacted, on one line."""
    printed: list[str] = []
    journal = LogJournal(bench.clock, lambda text: text.replace("hunter2", "***"), printed.append)
    journal.write(run_name("a") + "-1", "x", 'quote " \n \ud800 ☃ hunter2')
    journal.write(run_name("a") + "-1", None, "x" * 20_000)
    journal.report("hunter2 again")
    assert all("\n" not in line and "hunter2" not in line for line in printed)
    first, second, third = map(json.loads, printed)
    assert first == {
        "level": "info",
        "run": run_name("a"),
        "execution": run_name("a") + "-1",
        "step": "x",
        "text": 'quote " \n \\ud800 ☃ ***',
        "at": bench.clock.now(),
    }
    assert len(second["text"]) < 9_000
    assert (third["level"], "run" in third) == ("warning", False)
