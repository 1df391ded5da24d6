"""What other processes ask of a server: reruns and replays are held to today's file."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from closeout import wiring
from closeout.config.load import Loaded
from closeout.core import ids
from closeout.core.errors import ConfigError
from closeout.core.records import NewDelivery, NewRun
from closeout.core.redact import Redactor
from closeout.ports import Ending, Request
from closeout.wiring.runtime import Report, Runtime, open_runtime, public_url

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
    return opened(wiring.load(file), file)


def opened(loaded: Loaded, file: Path, redactor: Redactor | None = None, report: Report = print) -> Runtime:
    """Open a runtime beside its file."""
    return open_runtime(
        loaded,
        file,
        file.parent / "closeout.db",
        redactor=redactor or Redactor(),
        report=report,
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


@pytest.mark.parametrize(
    "address", ["https://a\\@b/", "https://b:0/", "https://u:p@b/", "https://bücher.example/", "b"]
)
def test_an_address_from_the_environment_must_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """What the file may not say, the environment and the command line may not either; nothing is started."""
    monkeypatch.setenv("WEBHOOK_SECRET", "a-secret-for-tests")
    monkeypatch.setenv("ADDRESS", address)
    file = tmp_path / "closeout.yaml"
    file.write_text(FILE + "github: { api-url: env:ADDRESS }\npublic-url: env:ADDRESS\n", encoding="utf-8")
    loaded = wiring.load(file)
    with pytest.raises(ConfigError, match=r"`github\.api-url` cannot be used"):
        opened(loaded, file)
    for given in (None, address):
        with pytest.raises(ConfigError, match="`public-url` cannot be used"):
            public_url(loaded, given)
    assert not (tmp_path / "closeout.db").exists()
