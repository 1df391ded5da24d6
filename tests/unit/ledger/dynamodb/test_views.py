"""What is specific to reading from DynamoDB: the listing, the bucket, CloudWatch Logs. The rest is LedgerSuite's."""

from __future__ import annotations

import io
import json
import time
import zlib

import pytest

from closeout.core.errors import LedgerError
from closeout.core.records import NewDelivery
from closeout.ledger.dynamodb.journal import LogJournal, to_stdout
from closeout.ledger.dynamodb.table import put
from closeout.stack import table as layout
from closeout.testing.durable import FakeClock
from tests.contract.remote_harness import BUCKET, GROUP, RemoteBench, client, run_name


def test_a_runs_listing_stays_small_however_long_its_definition(bench: RemoteBench) -> None:
    """Each change is written to the table and to the listing: a kilobyte is one unit of either."""
    bench.accept("a", key="acme/shop#17", definition=json.dumps({"steps": [], "filler": "x" * 50_000}))
    found = bench.dynamo.query(
        TableName=bench.name,
        IndexName=layout.LISTING,
        KeyConditionExpression="#list = :runs",
        ExpressionAttributeNames={"#list": "list"},
        ExpressionAttributeValues={":runs": {"S": layout.RUNS}},
    )["Items"]
    assert [0 < len(json.dumps(item)) < 1_024 for item in found] == [True]


def test_a_large_body_is_read_from_the_bucket(bench: RemoteBench) -> None:
    """Once the bucket has deleted it, that is an error and not an empty payload."""
    large = NewDelivery("1", "large", "push", None, None, b"[1]" * 200_000, False, 1.0, "github")
    for item in layout.acceptance(large, [], [], None, 2_000_000_000):
        bench.table.change(put(item))
    name = layout.delivery_id("1", "large")
    with pytest.raises(LedgerError, match="no longer in the bucket"):
        bench.views.body(name)
    client(bench.aws, "s3").put_object(
        Bucket=BUCKET, Key=layout.object_name(name), Body=zlib.compress(large.body)
    )
    assert bench.views.body(name) == large.body


def test_a_damaged_body_is_an_error(bench: RemoteBench) -> None:
    """And never a payload."""
    bench.accept("a")
    name = layout.delivery_id("1", "guid-a")
    bench.table.change(put(layout.body_key(name) | layout.to_item({"data": b"nonsense", "form": False})))
    with pytest.raises(LedgerError, match="damaged"):
        bench.views.body(name)


def test_a_log_consists_of_the_workers_lines(bench: RemoteBench) -> None:
    """From the log group, in order, of this attempt only; Lambda's own lines are left out."""
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


def test_a_line_is_written_before_lambda_freezes_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each at once, on a line of its own."""
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written))
    to_stdout("one")
    assert written.getvalue() == b"one\n"


def test_a_line_of_a_journal_is_one_json_object(bench: RemoteBench) -> None:
    """Whatever its text contains: limited, redacted, on one line."""
    printed: list[str] = []
    journal = LogJournal(bench.clock, lambda text: text.replace("hunter2", "***"), printed.append)
    journal.write(run_name("a") + "-1", "x", 'quote " \n \ud800 ☃ hunter2')
    journal.write(run_name("a") + "-1", None, "x" * 20_000)
    journal.report("hunter2 again")
    journal.gave_up("no recheck, hunter2")
    journal.about(run_name("a") + "-1", "it was interrupted, hunter2")
    for verdict in ("failure", "success"):
        journal.finished(run_name("a") + "-2", "tidy", verdict, "done, hunter2", 1.23456)
    assert all("\n" not in line and "hunter2" not in line for line in printed)
    first, second, third, fourth, about, failed, succeeded = map(json.loads, printed)
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
    assert (fourth["level"], fourth["recheck"]) == ("error", "given-up"), "which an alarm counts"
    assert (about["level"], about["run"], about["text"]) == (
        "warning",
        run_name("a"),
        "it was interrupted, ***",
    )
    assert failed == {
        "level": "error",
        "run": run_name("a"),
        "execution": run_name("a") + "-2",
        "automation": "tidy",
        "verdict": "failure",
        "seconds": 1.235,
        "text": "done, ***",
        "at": bench.clock.now(),
    }, "which an alarm counts"
    assert (succeeded["level"], succeeded["verdict"]) == ("info", "success")
