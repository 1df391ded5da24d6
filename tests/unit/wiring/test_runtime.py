"""What other processes ask of a server: reruns and replays are held to today's file."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from closeout import wiring
from closeout.core import ids
from closeout.core.errors import StoreUnavailable
from closeout.core.records import NewDelivery, NewRun
from closeout.core.redact import Redactor
from closeout.ports import Ending, Request
from closeout.wiring.runtime import Runtime, open_runtime
from tests.contract.local_harness import eventually

FILE = """\
version: 1
secrets: { webhook: env:WEBHOOK_SECRET }
automations:
  tidy:
    on: { push: {} }
    status: false
    concurrency: 'all-of-${{ event.repository.id }}'
    steps:
      - uses: shell
        destructive: false
        with: { argv: ['true'] }
"""
BODY = json.dumps({"ref": "refs/heads/x", "repository": {"id": 5, "full_name": "acme/shop"}}).encode()


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """A server's objects, its engine not started."""
    monkeypatch.setenv("WEBHOOK_SECRET", "a-secret-for-tests")
    file = tmp_path / "closeout.yaml"
    file.write_text(FILE, encoding="utf-8")
    return open_runtime(
        wiring.load(file),
        file,
        tmp_path / "closeout.db",
        redactor=Redactor(),
        report=lambda _text: None,
        on_finish=lambda _finished: None,
    )


def test_a_rerun_takes_todays_concurrency_key(runtime: Runtime) -> None:
    """The run was accepted without a key; its next attempt waits for whoever holds the key of today."""
    run_id = ids.run_id("g1", "tidy")
    delivery = NewDelivery("1", "g1", "push", None, "acme/shop", BODY, False, time.time(), "github")
    runtime.ledger.accept_wait(delivery, [NewRun(run_id, "tidy", None, "{}", 60.0)])
    (pending,) = runtime.ledger.pending(0)
    runtime.ledger.finish(pending.number, Ending("success", "done"), time.time())
    number = runtime.ledger.add_request("rerun", run_id, "ada", None)
    assert runtime._on_request(Request(number, "rerun", run_id, "ada", None)) == f"{run_id}-2"
    assert [again.key for again in runtime.ledger.pending(0)] == ["tidy|all-of-5"]
    runtime.close(1.0)


def test_a_server_is_not_ready_while_a_run_cannot_be_taken_up(runtime: Runtime) -> None:
    """It says which and why in the log, and is ready again as soon as the run goes on."""
    write = runtime.ledger._writer().run
    write(lambda connection: connection.execute("ALTER TABLE operation RENAME TO aside"))
    run_id = ids.run_id("g1", "tidy")
    delivery = NewDelivery("1", "g1", "push", None, "acme/shop", BODY, False, time.time(), "github")
    runtime.start()
    runtime.ready()
    runtime.ledger.accept_wait(delivery, [NewRun(run_id, "tidy", None, "{}", 60.0)])
    runtime.engine.enqueue()
    refused = eventually(lambda: not_ready(runtime))
    assert f"a run cannot be taken up now: {run_id}-1" in refused.message
    assert run_id not in (refused.public or "")
    write(lambda connection: connection.execute("ALTER TABLE aside RENAME TO operation"))
    eventually(lambda: runtime.engine.counts()[:3] == (0, 0, 0))
    runtime.ready()
    runtime.close(1.0)


def not_ready(runtime: Runtime) -> StoreUnavailable | None:
    """Return why a server is not ready, None if it is."""
    try:
        runtime.ready()
    except StoreUnavailable as error:
        return error
    return None
