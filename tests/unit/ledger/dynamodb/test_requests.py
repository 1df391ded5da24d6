"""What a command requests of a stack's ledger, done at once: cancel, rerun, replay, pause."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.core.errors import LedgerError, RunCancelled
from closeout.core.ids import run_id
from closeout.engine.lambda_ import DONE
from closeout.ports import Durable, Ending, Execution
from closeout.stack import table as layout
from closeout.testing.durable import FakeClock
from closeout.wiring.stack_ledger import LedgerResources, StackLedger
from tests.contract.remote_harness import BUCKET, FOREVER, GROUP, WORKER, RemoteBench, client
from tests.ledger_table import deploy

FILE = """\
version: 1
automations:
  tidy:
    on: { push: {} }
    status: false
    concurrency: 'all-of-${{ event.repository.id }}'
    steps: [{ uses: shell, destructive: false, with: { argv: ['true'] } }]
  second:
    on: { push: { branches: [main] } }
    status: false
    steps: [{ uses: shell, destructive: false, with: { argv: ['true'] } }]
"""
BODY = json.dumps({"ref": "refs/heads/x", "repository": {"id": 5, "full_name": "acme/shop"}}).encode()


class Desk:
    """A command line with a bench."""

    def __init__(self, bench: RemoteBench, folder: Path) -> None:
        self.bench = bench
        (folder / "closeout.yaml").write_text(FILE, encoding="utf-8")
        resources = LedgerResources(bench.name, BUCKET, WORKER, GROUP)
        ledger = StackLedger(resources, lambda service: client(bench.aws, service), bench.clock)
        loaded = load(folder / "closeout.yaml", builtin())
        deploy(bench.dynamo, bench.name, loaded.automations)
        self.requests = ledger.requests(loaded)
        self.without_file = ledger.requests(None)

    def ask(self, kind: str, target: str | None = None, reason: str | None = None) -> str | None:
        """Send a request as a command does."""
        return self.requests.outcome(self.requests.add_request(kind, target, "ada", reason))

    def started(self) -> list[str]:
        """The executions that were started in Lambda."""
        return [entry["name"].partition("-")[2] for entry in self.bench.aws.executions()]


@pytest.fixture
def desk(bench: RemoteBench, tmp_path: Path) -> Desk:
    """A command line."""
    return Desk(bench, tmp_path)


def keep_push(bench: RemoteBench, guid: str = "guid-push", runs: tuple[Any, ...] = ()) -> str:
    """Store a push without the runs of today's file; return the delivery."""
    import zlib

    from closeout.core.records import NewDelivery
    from closeout.ledger.dynamodb.table import put

    delivery = NewDelivery("1", guid, "push", None, "acme/shop", BODY, False, bench.clock.now(), "github")
    expires = int(bench.clock.now()) + 60 * 86_400
    items = layout.acceptance(delivery, runs, [], zlib.compress(BODY), expires)
    assert not bench.table.write([put(item, layout.NEW) for item in items])
    return layout.delivery_id("1", guid)


def done(durable: Durable, execution: Execution) -> Ending:
    """A run function with nothing to do."""
    return Ending("success", "done")


def test_a_cancel_starts_a_run_that_was_never_started(desk: Desk) -> None:
    """It is stored with who and why, and only an invocation can carry it out."""
    execution = desk.bench.accept("a")
    assert desk.ask("cancel", execution, "wrong stack") == "done"
    row = desk.bench.store.look(execution)
    assert row is not None
    assert row.run.cancel == "ada: wrong stack"
    assert desk.started() == [execution]
    assert desk.ask("cancel", execution.rpartition("-")[0]) == "done"
    assert desk.started() == [execution]
    desk.bench.functions["a"] = done
    assert desk.bench.engine.advance(execution, lambda: FOREVER) == DONE
    assert desk.ask("cancel", execution) == "unknown or finished"
    assert desk.ask("cancel", "nonsense") == "unknown or finished"


@pytest.mark.parametrize("status", ["FAILED", "STOPPED"])
def test_a_cancel_ends_a_run_that_lambda_gave_up(desk: Desk, status: str) -> None:
    """Lambda no longer invokes it, and its failure event is lost: it is started under another name."""

    def waits(durable: Durable, execution: Execution) -> Ending:
        try:
            durable.sleep("long", 86_400.0)
        except RunCancelled as error:
            return Ending("cancelled", error.message)
        return Ending("success", "?")

    desk.bench.functions["a"] = waits
    execution = desk.bench.accept("a")
    desk.bench.starts.start(execution)
    assert "wake" in desk.bench.engine.advance(execution, lambda: FOREVER)
    desk.bench.aws.execution_status(execution, status)
    assert desk.ask("cancel", execution) == "done"
    first, second = desk.bench.aws.executions()
    assert [layout.without_stack(one["name"]) for one in (first, second)] == [execution, f"{execution}_1"]
    assert (second["payload"].encode(), second["status"]) == (layout.worker_event(execution, 1), "RUNNING")
    assert desk.ask("cancel", execution) == "done"  # the new one is alive: nothing more starts
    assert len(desk.bench.aws.executions()) == 2
    assert desk.bench.engine.advance(execution, lambda: FOREVER) == DONE
    assert desk.bench.ending(execution).verdict == "cancelled"


def test_a_cancel_is_kept_if_lambda_cannot_be_called(desk: Desk) -> None:
    """It is written first, and what is unknown is reported."""
    execution = desk.bench.accept("a")
    desk.bench.starts.start(execution)
    desk.bench.aws.fault(
        service="lambda", operation="GetDurableExecution", code="AccessDeniedException", status=403, times=1
    )
    assert str(desk.ask("cancel", execution)).startswith("the cancel is stored, but Lambda did not confirm")
    row = desk.bench.store.look(execution)
    assert row is not None
    assert row.run.cancel == "ada"


def test_a_replay_starts_what_todays_file_matches_and_a_rerun_the_next_attempt(desk: Desk) -> None:
    """Each is stored with its requester, has its ticket, and is started by name; nothing else is."""
    delivery = keep_push(desk.bench)
    run = run_id("guid-push", "tidy")
    assert desk.ask("replay", delivery) == f"{run}-1"
    assert desk.started() == [f"{run}-1"]
    shown = desk.bench.views.delivery(delivery)
    assert shown is not None
    assert shown.runs == (run,)
    assert (
        desk.ask("replay", delivery) == "nothing to start: no automation matches, or its run has not finished"
    )
    assert desk.ask("rerun", run) == f"run {run} has not finished; cancel it first"
    desk.bench.functions["tidy"] = done
    assert desk.bench.engine.advance(f"{run}-1", lambda: FOREVER) == DONE
    assert desk.ask("rerun", run) == f"{run}-2"
    view = desk.bench.views.run(run)
    assert view is not None
    assert (view.key, view.requested_by, view.attempt, view.state) == ("tidy|all-of-5", "ada", 2, "queued")
    assert desk.bench.store.first("tidy|all-of-5") == f"{run}-2"
    assert desk.started() == [f"{run}-1", f"{run}-2"]
    assert desk.bench.engine.advance(f"{run}-2", lambda: FOREVER) == DONE
    assert desk.ask("replay", delivery) == f"{run}-3"


def test_a_rerun_takes_todays_concurrency_key(desk: Desk) -> None:
    """With yesterday's it could run at the same time as a run that holds today's key."""
    from closeout.core.records import NewRun

    run = run_id("guid-push", "tidy")
    keep_push(desk.bench, runs=(NewRun(run, "tidy", None, "{}", 60.0),))
    desk.bench.know("{}")
    desk.bench.functions["tidy"] = done
    desk.bench.engine.advance(f"{run}-1", lambda: FOREVER)
    desk.ask("rerun", run)
    view = desk.bench.views.run(run)
    assert view is not None
    assert view.key == "tidy|all-of-5"


def test_an_unknown_run_or_delivery_is_reported(desk: Desk) -> None:
    """Nothing is stored."""
    execution = desk.bench.accept("gone")
    desk.bench.functions["gone"] = done
    desk.bench.engine.advance(execution, lambda: FOREVER)
    run = execution.rpartition("-")[0]
    assert desk.ask("rerun", "nothing") == "there is no run nothing"
    assert desk.ask("rerun", run) == "the configuration no longer has the automation gone"
    assert desk.ask("replay", "nothing") == "there is no delivery nothing"
    assert desk.ask("dance") == "unknown request 'dance'"
    number = desk.without_file.add_request("rerun", run, "ada", None)
    assert "needs the deployed configuration" in str(desk.without_file.outcome(number))
    assert [view.attempt for view in desk.bench.views.runs()] == [1]


def test_a_delivery_lives_as_long_as_its_runs(desk: Desk) -> None:
    """A rerun or replay in its last days extends it like a new one; nothing brings back a deleted one."""
    bench = desk.bench
    assert isinstance(bench.clock, FakeClock)
    delivery = keep_push(bench)
    run = run_id("guid-push", "tidy")
    bench.functions["tidy"] = done

    def expiries() -> set[float]:
        keys = (layout.delivery_key(delivery), layout.body_key(delivery))
        found = [bench.table.get(key) for key in keys]
        return {layout.from_item(item)["expires"] - bench.clock.now() for item in found if item is not None}

    (lives,) = expiries()
    bench.clock.advance(lives - 10)
    desk.ask("replay", delivery)
    assert min(expiries()) >= lives
    definition = bench.table.get(layout.definition_key(run, 1))
    assert definition is not None
    assert layout.from_item(definition)["expires"] - bench.clock.now() >= lives
    bench.engine.advance(f"{run}-1", lambda: FOREVER)
    bench.clock.advance(2 * lives - 10)
    assert max(expiries()) < 30 * 86_400
    desk.ask("rerun", run)
    assert 30 * 86_400 - 1 <= min(expiries()) <= max(expiries()) <= 30 * 86_400
    bench.engine.advance(f"{run}-2", lambda: FOREVER)
    for key in (layout.delivery_key(delivery), layout.body_key(delivery)):
        bench.dynamo.delete_item(TableName=bench.name, Key=key)
    assert "has no delivery" in str(desk.ask("rerun", run))
    assert expiries() == set()


def test_a_body_in_the_bucket_lives_on_with_its_delivery(desk: Desk) -> None:
    """The bucket counts days from when an object was written: a replay writes it again, or does not begin."""
    import time
    import zlib

    from tests.contract.remote_harness import BUCKET, client

    bench, s3 = desk.bench, client(desk.bench.aws, "s3")
    s3.create_bucket(Bucket=BUCKET)
    delivery = keep_push(bench)
    resources = {"Bucket": BUCKET, "Key": layout.object_name(delivery)}
    s3.put_object(**resources, Body=zlib.compress(BODY))
    body = layout.body_key(delivery) | layout.to_item({"object": resources["Key"], "expires": 2_000_000_000})
    bench.dynamo.put_item(TableName=bench.name, Item=body)
    written = s3.head_object(**resources)["LastModified"]
    time.sleep(1.1)
    desk.ask("replay", delivery)
    assert s3.head_object(**resources)["LastModified"] > written
    assert desk.bench.bodies.text(delivery) == BODY
    assert len(desk.started()) == 1
    s3.delete_object(**resources)
    bench.functions["tidy"] = done
    bench.engine.advance(desk.started()[0], lambda: FOREVER)
    assert "no longer in the bucket" in str(desk.ask("rerun", run_id("guid-push", "tidy")))
    assert len(desk.started()) == 1


def test_two_concurrent_reruns_make_one_attempt(desk: Desk) -> None:
    """The second finds the first one unfinished, or loses the write."""
    execution = desk.bench.accept("a")
    desk.bench.functions["a"] = done
    desk.bench.engine.advance(execution, lambda: FOREVER)
    run = execution.rpartition("-")[0]
    attempts = desk.bench.attempts
    assert attempts.new_attempt(run, "{}", "ada", key="k", queue_timeout=1.0) == f"{run}-2"
    with pytest.raises(LedgerError, match="has not finished"):
        attempts.new_attempt(run, "{}", "bob", key="k", queue_timeout=1.0)
    with pytest.raises(LedgerError, match="no run"):
        attempts.new_attempt("nothing", "{}", "bob", key="k", queue_timeout=1.0)


def test_a_stored_delivery_gets_no_run_twice(desk: Desk) -> None:
    """Existing runs are left alone; an unknown delivery has none."""
    from closeout.core.records import NewRun

    delivery = keep_push(desk.bench)
    new = [NewRun(run_id("guid-push", name), name, None, "{}", 1.0) for name in ("x", "y")]
    attempts = desk.bench.attempts
    assert attempts.add_runs(delivery, new[:1], "ada") == (f"{new[0].run_id}-1",)
    assert attempts.add_runs(delivery, new, "ada") == (f"{new[1].run_id}-1",)
    with pytest.raises(LedgerError, match="no delivery"):
        attempts.add_runs("nothing", new, "ada")


def test_requests_are_carried_out_without_a_server(desk: Desk) -> None:
    """There is none to wait for."""
    assert desk.requests.server_running()
