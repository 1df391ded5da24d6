"""What other processes ask of a server: reruns and replays follow today's file."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from closeout.actions.registry import builtin
from closeout.config.load import Loaded, load
from closeout.core import ids
from closeout.core.errors import ConfigError, StoreUnavailable
from closeout.core.problems import Notification
from closeout.core.records import NewDelivery, NewRun
from closeout.core.redact import Redactor
from closeout.ledger.sqlite import Requests
from closeout.ports import Ending, Request
from closeout.server.service import METRICS_TOKEN, metrics_token
from closeout.wiring.runtime import Report, Runtime, open_runtime, public_url
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
    return opened(load(file, builtin()), file)


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


def test_a_rerun_uses_todays_concurrency_key(runtime: Runtime) -> None:
    """The run was accepted without a key; its next attempt waits for the holder of today's key."""
    run_id = ids.run_id("g1", "tidy")
    delivery = NewDelivery("1", "g1", "push", None, "acme/shop", BODY, False, time.time(), "github")
    runtime.ledger.accept_wait(delivery, [NewRun(run_id, "tidy", None, "{}", 60.0)])
    (pending,) = runtime.ledger.pending(0)
    runtime.ledger.finish(pending.number, Ending("success", "done"), time.time())
    number = Requests(runtime.ledger.path).add_request("rerun", run_id, "ada", None)
    assert runtime._on_request(Request(number, "rerun", run_id, "ada", None)) == f"{run_id}-2"
    assert [again.key for again in runtime.ledger.pending(0)] == ["tidy|all-of-5"]
    runtime.close(1.0)


def test_after_a_restart_time_never_goes_back_while_runs_are_open(runtime: Runtime, tmp_path: Path) -> None:
    """If the system's clock was set back meanwhile, a stored wait would take that much longer."""
    hour = 3_600.0
    assert runtime.clock.go_on_from(time.time() + hour) > hour - 60.0
    run_id = ids.run_id("g1", "tidy")
    delivery = NewDelivery("1", "g1", "push", None, "acme/shop", BODY, False, time.time(), "github")
    runtime.ledger.accept_wait(delivery, [NewRun(run_id, "tidy", None, "{}", 60.0)])
    runtime.close(1.0)
    said: list[str] = []
    again = opened(runtime.loaded, tmp_path / "closeout.yaml", report=said.append)
    assert again.clock.now() > time.time() + hour - 60.0
    assert again.views.stats()["queue_age"] < 60.0, "every part of the server has the one clock"
    assert "behind the newest time in the ledger" in said[0]
    (pending,) = again.ledger.pending(0)
    again.ledger.finish(pending.number, Ending("success", "done"), again.clock.now())
    again.close(1.0)
    healed = opened(runtime.loaded, tmp_path / "closeout.yaml", report=said.append)
    assert healed.clock.now() < time.time() + 60.0, "no run is open that would wait longer"
    healed.close(1.0)
    assert len(said) == 1


def test_a_server_is_not_ready_while_a_run_cannot_be_resumed(runtime: Runtime) -> None:
    """The log says which and why; it is ready again once the run continues."""
    write = runtime.ledger._writer().run
    write(lambda connection: connection.execute("ALTER TABLE operation RENAME TO aside"))
    run_id = ids.run_id("g1", "tidy")
    delivery = NewDelivery("1", "g1", "push", None, "acme/shop", BODY, False, time.time(), "github")
    runtime.start()
    runtime.ready()
    runtime.ledger.accept_wait(delivery, [NewRun(run_id, "tidy", None, "{}", 60.0)])
    runtime.engine.wake()
    refused = eventually(lambda: not_ready(runtime))
    assert f"a run cannot be taken up now: {run_id}-1" in refused.message
    assert run_id not in (refused.public or "")
    write(lambda connection: connection.execute("ALTER TABLE aside RENAME TO operation"))
    eventually(lambda: not runtime.engine.counts())
    runtime.ready()
    runtime.close(1.0)


def not_ready(runtime: Runtime) -> StoreUnavailable | None:
    """Return why a server is not ready, None if it is."""
    try:
        runtime.ready()
    except StoreUnavailable as error:
        return error
    return None


@pytest.mark.parametrize(
    "address", ["https://a\\@b/", "https://b:0/", "https://u:p@b/", "https://bücher.example/", "b"]
)
def test_an_invalid_address_from_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """The same rules as for the file; nothing is started."""
    monkeypatch.setenv("WEBHOOK_SECRET", "a-secret-for-tests")
    monkeypatch.setenv("ADDRESS", address)
    file = tmp_path / "closeout.yaml"
    file.write_text(FILE + "github: { api-url: env:ADDRESS }\npublic-url: env:ADDRESS\n", encoding="utf-8")
    loaded = load(file, builtin())
    with pytest.raises(ConfigError, match=r"`github\.api-url` cannot be used"):
        opened(loaded, file)
    for given in (None, address):
        with pytest.raises(ConfigError, match="`public-url` cannot be used"):
            public_url(loaded, given)
    assert not (tmp_path / "closeout.db").exists()


def test_the_secrets_of_steps_are_known_before_a_step_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the server's own; after a rotation the old value stays known, and a missing one is logged."""
    monkeypatch.setenv("WEBHOOK_SECRET", "a-secret-for-tests")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-servers-own-session")
    monkeypatch.delenv("MISSING", raising=False)
    key, file = tmp_path / "key", tmp_path / "closeout.yaml"
    key.write_text("first-api-key\n", encoding="utf-8")
    key.chmod(0o600)
    headers = "{ X-Key: file:key, X-Other: env:MISSING }"
    call = f"{{ uses: http/request, with: {{ url: 'https://h/', secret-headers: {headers} }}, destructive: false }}"
    file.write_text(FILE + f"      - {call}\n", encoding="utf-8")
    redactor, lines = Redactor(), list[str]()
    runtime = opened(load(file, builtin()), file, redactor, lines.append)
    assert redactor.text("first-api-key, the-servers-own-session") == "***, ***"
    (sentence,) = lines
    assert sentence.startswith("env:MISSING is not set; ")
    assert sentence.endswith("; it cannot be taken out of logs until it can be read")
    key.write_text("second-api-key", encoding="utf-8")
    runtime.clients.secrets.read("file:key")
    assert redactor.text("first-api-key second-api-key") == "*** ***"
    runtime.close(1.0)


def test_the_metrics_token_is_redacted_from_the_start(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only after the first request with it."""
    monkeypatch.delenv(METRICS_TOKEN, raising=False)
    assert metrics_token(runtime.clients.secrets) is None
    monkeypatch.setenv(METRICS_TOKEN, "scrape-me-gently")
    assert metrics_token(runtime.clients.secrets) == "scrape-me-gently"
    assert runtime.redactor.text("x scrape-me-gently") == "x ***"
    runtime.close(1.0)


def test_an_invalid_notifier_is_reported_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not prevent the start, because deliveries matter more."""
    monkeypatch.setenv("WEBHOOK_SECRET", "a-secret-for-tests")
    monkeypatch.setenv("GOOD", "json://localhost/x")
    monkeypatch.setenv("WORD", "hooks.example.com/x")
    monkeypatch.setenv("TYPO", "slak://token-of-a-service/x")
    file = tmp_path / "closeout.yaml"
    file.write_text(
        FILE.replace(
            "automations:", "notify: { to: [env:GOOD, env:NOT_SET, env:WORD, env:TYPO] }\nautomations:"
        )
    )
    said: list[str] = []
    runtime = opened(load(file, builtin()), file, report=said.append)
    runtime.notifying.check(said.append)
    runtime.close(1.0)
    first, word, typo = said
    assert first.startswith("notifier env:NOT_SET cannot be read, so it gets no messages: ")
    assert word.startswith("warning: notifier env:WORD: the URL of a notifier begins with a scheme")
    assert typo.startswith("warning: notifier env:TYPO: slak:// is not a URL that messages can be sent to")
    assert "(notifier-unknown), so it gets no messages." in typo
    assert typo.endswith("try it with `closeout notify test`")
    assert "token-of-a-service" not in typo


def test_an_operator_dismisses_the_problem_of_a_run(runtime: Runtime) -> None:
    """It is no longer reported; who did it and why is kept. Without a problem there is nothing to dismiss."""
    run_id = ids.run_id("g1", "tidy")
    delivery = NewDelivery("1", "g1", "push", None, "acme/shop", BODY, False, time.time(), "github")
    runtime.ledger.accept_wait(delivery, [NewRun(run_id, "tidy", None, "{}", 60.0)])
    (pending,) = runtime.ledger.pending(0)
    runtime.ledger.finish(pending.number, Ending("failure", "no"), time.time())
    runtime.ledger.problems.record_notifications(
        [Notification("env:A", "tidy", run_id, 1.0, recovered=False)]
    )
    request = Request(1, "dismiss", run_id, "ada", "deleted by hand")
    assert runtime._on_request(request) == "done"
    (problem,) = runtime.ledger.problems.problems()
    assert (problem.closed_at is None, problem.closed_by) == (False, "dismissed by ada: deleted by hand")
    assert runtime._on_request(request) == "the run has no open problem"
    runtime.close(1.0)
