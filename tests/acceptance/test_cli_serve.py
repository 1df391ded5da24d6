"""The commands around a real `closeout serve`: deliver, list, show, follow, cancel, rerun, replay, pause."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from closeout.cli import exits
from closeout.server.service import YOUNG
from closeout.testing import deliveries
from tests.acceptance.cli_process import Result, closeout, environment
from tests.acceptance.forked import Forked, Main, closeout_executed, closeout_main
from tests.until import until

SECRET = {"CLOSEOUT_WEBHOOK_SECRET": "s3cret"}
CONFIG = """\
version: 1
secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET }
modules: [hooks]
automations:
  guarded:
    on: { push: { branches: [never] } }
    status: false
    steps: [{ uses: shell, destructive: false, with: { run: 'true' } }]
"""
HOOKS = """\
from closeout import on

@on("push", name="hello", branches=["main"], repositories=["acme/shop"], status=False, destructive=False)
def hello(run):
    run.record("greet", lambda: run.log("hello from " + run.event["ref"]))
    return "greeted"

@on("push", name="sleeper", branches=["slow"], repositories=["acme/shop"], status=False, destructive=False)
def sleeper(run):
    run.record("before", lambda: run.log("going to sleep"))
    run.sleep("nap", 600)

@on("push", name="broken", branches=["broken"], repositories=["acme/shop"], status=False, destructive=False)
def broken(run):
    run.record("fail", lambda: 1 / 0)

@on("push", name="asks", branches=["garbage"], repositories=["acme/shop"], status=False, destructive=False)
def asks(run):
    import gc
    return f"{gc.get_threshold()[0]} young, kept out: {gc.get_freeze_count() > 10_000}"
"""


class Serving:
    """`closeout serve` in a folder, and the commands that are used beside it."""

    variables = SECRET
    main: Main = staticmethod(closeout_main)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "closeout.yaml").write_text(CONFIG)
        (folder / "hooks.py").write_text(HOOKS)
        self.start()

    def start(self) -> None:
        """Start it and wait for the line that says where it listens; its log begins anew."""
        with (self.folder / "serve.log").open("wb") as output:
            self.process = Forked(
                ["serve", "--config", "closeout.yaml", "--port", "0"],
                folder=self.folder, environment=environment(self.variables), output=output, errors=output,
                main=self.main,
            )  # fmt: skip
        self.url = until("its address", self._address)

    def log(self) -> str:
        """Return what it has written."""
        return (self.folder / "serve.log").read_text("utf-8")

    def _address(self) -> str | None:
        found = re.search(r"listens on (http://127\.0\.0\.1:\d+)", self.log())
        assert found or self.process.poll() is None, self.log()
        return found[1] if found else None

    def end(self) -> int:
        """Ask it to end with SIGTERM; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def cli(self, *arguments: str, stdin: str = "") -> Result:
        """Run a command in the server's folder, where its ledger is the default."""
        return closeout(*arguments, cwd=self.folder, env=SECRET, stdin=stdin)

    def deliver(self, branch: str, **options: str) -> dict[str, Any]:
        """Deliver a push to a branch; return the server's answer."""
        extra = [part for name, value in options.items() for part in (f"--{name}", value)]
        sent = self.cli(
            "deliver", "--url", f"{self.url}/webhook", "--event", "push", "--payload", "-",
            "--secret", "env:CLOSEOUT_WEBHOOK_SECRET", "--json", *extra, stdin=json.dumps(push(branch)),
        )  # fmt: skip
        assert sent.code == exits.OK, sent
        answer: dict[str, Any] = sent.json["answer"]
        return answer

    def until(self, run: str, state: str) -> dict[str, Any]:
        """Wait until a run has this state; return the run."""

        def shown() -> dict[str, Any] | None:
            told: dict[str, Any] = self.cli("runs", "show", run, "--json").json
            return told if told["state"] == state else None

        found: dict[str, Any] = until(f"{state} of run {run}", shown)
        return found


class Executed(Serving):
    """The same in a process that is no fork: what it imports, reads and freezes is its own."""

    main = staticmethod(closeout_executed)


def push(branch: str) -> dict[str, Any]:
    """A push to a branch of acme/shop."""
    return {
        "ref": f"refs/heads/{branch}",
        "before": "0" * 40,
        "after": "1" * 40,
        "created": False,
        "deleted": False,
        "commits": [],
        "repository": {"id": 1, "full_name": "acme/shop", "private": True},
        "sender": {"login": "somebody"},
    }


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One server for the tests of this module, begun as a shell does; each test makes runs of its own."""
    server = Executed(tmp_path_factory.mktemp("serve"))
    yield server
    server.end()


def test_a_delivery_becomes_a_run_that_can_be_read(serving: Serving) -> None:
    """Deliver → runs list, show, logs and deliveries list, show: each tells the same story, to programs and people."""
    answer = serving.deliver("main", guid="g-read")
    (run,) = answer["runs"]
    shown = serving.until(run, "finished")
    assert shown["verdict"] == "success"
    assert shown["id"] == run
    assert shown["attempt"] == 1
    assert shown["delivery"] == answer["delivery"]
    listed = {one["id"]: one for one in serving.cli("runs", "list", "--json").json}
    assert listed[run]["automation"] == "hello"
    assert all({"id", "state", "attempts"} <= set(step) for step in listed[run]["steps"])
    assert "hello from refs/heads/main" in serving.cli("runs", "logs", run).out
    deliveries = {one["guid"]: one for one in serving.cli("deliveries", "list", "--json").json}
    kept = deliveries["g-read"]
    assert (kept["event"], kept["action"], kept["runs"]) == ("push", None, [run])
    assert {"id", "hook"} <= set(kept)
    assert run[:8] in serving.cli("runs", "list").out
    assert "success" in serving.cli("runs", "show", run).out
    assert run in serving.cli("deliveries", "show", str(kept["id"])).out
    carried = serving.cli("deliveries", "show", str(kept["id"]), "--payload")
    assert carried.json == push("main")


def test_lists_are_whole_unless_limited(serving: Serving) -> None:
    """--limit cuts to the newest; the filters choose."""
    newest = serving.deliver("main")["runs"][0]
    serving.until(newest, "finished")
    assert [one["id"] for one in serving.cli("runs", "list", "--json", "--limit", "1").json] == [newest]
    assert serving.cli("runs", "list", "--json", "--automation", "nothing").json == []
    assert len(serving.cli("deliveries", "list", "--json", "--limit", "1").json) == 1


def test_a_delivery_that_matches_nothing_is_kept(serving: Serving) -> None:
    """No run is started, and the delivery can be listed."""
    answer = serving.deliver("elsewhere", guid="g-none")
    assert answer["runs"] == []
    assert any(
        one["guid"] == "g-none" and one["runs"] == []
        for one in serving.cli("deliveries", "list", "--json").json
    )


def test_logs_can_be_followed_to_the_end(serving: Serving) -> None:
    """--follow ends with the run; its exit code says how the run ended."""
    (good,) = serving.deliver("main")["runs"]
    followed = serving.cli("runs", "logs", good, "--follow")
    assert followed.code == exits.OK
    assert "hello from refs/heads/main" in followed.out
    (bad,) = serving.deliver("broken")["runs"]
    failed = serving.cli("runs", "logs", bad, "--follow", "--json")
    assert failed.code == exits.FAILED
    assert "division by zero" in failed.err
    lines = [json.loads(line) for line in failed.out.splitlines()]
    assert all({"id", "step", "at", "text"} == set(line) for line in lines)


def test_a_waiting_run_can_be_cancelled(serving: Serving) -> None:
    """Cancel reaches a run in its wait within a second, and records who asked."""
    (run,) = serving.deliver("slow")["runs"]
    serving.until(run, "waiting")
    shown = serving.cli("runs", "show", run[:12])
    assert re.search(
        r"^  waits     until \d\d:\d\d:\d\d \S+ \(function\)$|until \d{4}-", shown.out, re.MULTILINE
    ), shown
    asked = serving.cli("runs", "cancel", run, "--reason", "enough", "--json")
    assert asked.code == exits.OK, asked.err
    assert asked.json["server_running"] is True
    assert "@" in asked.json["by"]
    ended = serving.until(run, "finished")
    assert ended["verdict"] == "cancelled"
    again = serving.cli("runs", "cancel", run)
    assert again.code == exits.FAILED
    assert "nothing to cancel" in again.err


def test_a_rerun_shows_what_it_would_do_and_needs_a_yes(serving: Serving) -> None:
    """Without a terminal nothing is done (exit code 3); with --yes the next attempt runs and names who asked."""
    (run,) = serving.deliver("main")["runs"]
    serving.until(run, "finished")
    refused = serving.cli("runs", "rerun", run)
    assert refused.code == exits.REFUSED
    assert "Attempt 2 of hello on acme/shop would do:" in refused.err
    assert "Add --yes" in refused.err
    assert serving.cli("runs", "show", run, "--json").json["attempt"] == 1
    done = serving.cli("runs", "rerun", run, "--yes")
    assert done.code == exits.OK, done.err
    for _ in range(100):
        shown = serving.cli("runs", "show", run, "--json").json
        if shown["attempt"] == 2 and shown["state"] == "finished":
            break
        time.sleep(0.05)
    assert (shown["attempt"], shown["verdict"]) == (2, "success")
    assert "@" in shown["requested_by"]
    assert serving.cli("runs", "show", run, "--attempt", "1", "--json").json["attempt"] == 1


def test_a_replay_shows_what_it_would_do_and_needs_a_yes(serving: Serving) -> None:
    """A kept delivery is matched again, behind the same question."""
    answer = serving.deliver("main")
    (run,) = answer["runs"]
    serving.until(run, "finished")
    refused = serving.cli("deliveries", "replay", str(answer["delivery"]))
    assert refused.code == exits.REFUSED
    assert "would do:" in refused.err
    done = serving.cli("deliveries", "replay", str(answer["delivery"]), "--yes", "--json")
    assert done.code == exits.OK, done.err
    assert f"{run}-2" in (done.json["outcome"] or ""), done.json


def test_pause_and_resume_are_said_and_recorded(serving: Serving) -> None:
    """Pause takes a reason and holds from the moment it is written; resume lifts it."""
    paused = serving.cli("pause", "--reason", "moving house")
    assert paused.code == exits.OK
    assert paused.out.startswith("Paused")
    assert paused.err == ""
    assert serving.cli("resume").out.startswith("Resumed")


def test_what_does_not_exist_is_said(serving: Serving) -> None:
    """An unknown run or delivery is one sentence and exit code 1."""
    for arguments in (("runs", "show", "nope"), ("runs", "logs", "nope"), ("runs", "cancel", "nope"),
                      ("runs", "rerun", "nope"), ("deliveries", "show", "999999"), ("deliveries", "replay", "999999")):  # fmt: skip
        told = serving.cli(*arguments)
        assert told.code == exits.FAILED, arguments
        assert re.fullmatch(r"closeout: The ledger has no .*\n", told.err)


def test_prune_says_what_it_removed(serving: Serving) -> None:
    """Prune works beside a server, which does it, and without one; nothing that is young goes."""
    told = serving.cli("prune", "--older-than", "90d", "--json")
    assert told.code == exits.OK, told.err
    assert told.json["runs"] == told.json["deliveries"] == 0
    assert serving.cli("prune", "--older-than", "90d").out.startswith("Removed 0 deliveries, 0 runs")
    assert serving.cli("prune", "--older-than", "soon").code == exits.USAGE


def test_a_second_server_on_the_ledger_is_refused(serving: Serving) -> None:
    """One engine process per ledger: the second one says so and ends with 4."""
    told = serving.cli("serve", "--port", "0")
    assert told.code == exits.UNAVAILABLE
    assert "in use" in told.err


def test_sigterm_drains_and_the_next_start_goes_on(tmp_path: Path) -> None:
    """SIGTERM ends the server with 0; requests made meanwhile are carried out by the next start."""
    server = Serving(tmp_path)
    try:
        (run,) = server.deliver("slow")["runs"]
        server.until(run, "waiting")
        assert server.end() == exits.OK
        asked = server.cli("runs", "cancel", run)
        assert asked.code == exits.OK
        assert (
            asked.err == "No server is running on this ledger; the next one that starts takes the request.\n"
        )
        server.start()
        assert server.until(run, "finished")["verdict"] == "cancelled"
    finally:
        server.end()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the configuration, where no server runs."""
    (tmp_path / "closeout.yaml").write_text(CONFIG)
    (tmp_path / "hooks.py").write_text(HOOKS)
    return tmp_path


Change = Callable[[Path], tuple[str, ...]]


def no_secret(folder: Path) -> tuple[str, ...]:
    """A configuration that names no webhook secret."""
    (folder / "closeout.yaml").write_text(
        CONFIG.replace("secrets: { webhook: env:CLOSEOUT_WEBHOOK_SECRET }\n", "")
    )
    return ()


def no_folder(folder: Path) -> tuple[str, ...]:
    """A ledger in a folder that does not exist."""
    return ("--db", str(folder / "none" / "closeout.db"))


def bad_config(folder: Path) -> tuple[str, ...]:
    """A configuration with a mistake."""
    (folder / "closeout.yaml").write_text(CONFIG.replace("steps:", "stpes:"))
    return ()


def no_config(folder: Path) -> tuple[str, ...]:
    """A configuration that is not there."""
    return ("--config", str(folder / "other.yaml"))


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (no_secret, None, "no webhook secret is configured"),
        (no_folder, exits.UNAVAILABLE, "does not exist"),
        (bad_config, exits.FAILED, "closeout.yaml:"),
        (no_config, exits.FAILED, "other.yaml"),
    ],
)
def test_serve_says_why_it_does_not_start(folder: Path, change: Change, code: int | None, said: str) -> None:
    """Each reason is said before anything listens."""
    told = closeout("serve", "--port", "0", *change(folder), cwd=folder, env=SECRET)
    assert told.code in ((code,) if code is not None else (exits.FAILED, exits.UNAVAILABLE))
    assert said in told.err
    assert "Traceback" not in told.err


def test_a_secret_that_is_not_set_stops_the_start(folder: Path) -> None:
    """The variable that is missing is named; no ledger is left that would look like one without runs."""
    told = closeout("serve", "--port", "0", "--db", "new.db", cwd=folder)
    assert told.code == exits.UNAVAILABLE
    assert "CLOSEOUT_WEBHOOK_SECRET" in told.err
    assert list(folder.glob("new.db*")) == []


def test_a_server_looks_for_garbage_less_often(serving: Serving) -> None:
    """Its own code is no garbage, and answers do not wait while it is searched for some."""
    (run,) = serving.deliver("garbage", guid="g-garbage")["runs"]
    assert serving.until(run, "finished")["summary"] == f"{YOUNG} young, kept out: True"


def test_a_server_without_a_token_says_what_it_cannot_do(tmp_path: Path) -> None:
    """It serves, but no commit will ever get a status: said at its start, not found out weeks later."""
    server = Serving(tmp_path)
    until("the line", lambda: "no `secrets.github` is configured" in server.log())
    assert server.end() == exits.OK


def test_a_port_in_use_is_said(folder: Path) -> None:
    """Another program on the port: one sentence and exit code 4, and no new ledger where there was none."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = closeout("serve", "--port", str(port), "--db", "new.db", cwd=folder, env=SECRET)
    assert told.code == exits.UNAVAILABLE
    assert list(folder.glob("new.db*")) == []
    assert (
        told.err
        == f"closeout: Port {port} on 127.0.0.1 is in use by another program; choose another one with --port.\n"
    )


def test_a_secret_beyond_ascii_works_in_any_locale(tmp_path: Path) -> None:
    """A secret is its bytes: Python decodes the environment by the locale, which knew no such character."""
    secret = "grüße-€"

    there = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    class Abroad(Executed):
        variables = there | {"CLOSEOUT_WEBHOOK_SECRET": secret, "CLOSEOUT_METRICS_TOKEN": secret}

    server = Abroad(tmp_path)
    try:
        body = json.dumps(push("never-mind")).encode()
        headers = deliveries.signed_headers("push", body, secret, "beyond-ascii")
        with urlopen(Request(f"{server.url}/webhook", body, headers)) as answer:
            assert answer.status == 202
        wanted = {"Authorization": f"Bearer {secret}".encode().decode("latin-1"), "Via": "a proxy"}
        with urlopen(Request(f"{server.url}/metrics", headers=wanted)) as answer:
            assert answer.status == 200
    finally:
        ended = server.end()
    assert ended == exits.OK


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example", "bücher..example"])
def test_a_host_that_cannot_be_a_name_is_said(folder: Path, host: str) -> None:
    """Not by the codec that would encode it: one sentence, and exit code 4."""
    told = closeout("serve", "--host", host, "--db", "new.db", cwd=folder, env=SECRET)
    assert told.code == exits.UNAVAILABLE
    assert told.err.endswith(
        "is neither an address nor a name of this machine; choose another one with --host.\n"
    )


def test_explain_says_why_and_why_not(folder: Path) -> None:
    """Every automation has a row with the reason, for programs and people."""
    told = closeout(
        "explain", "--event", "push", "--payload", "-", "--json", cwd=folder, stdin=json.dumps(push("main"))
    )
    rows = {row["name"]: row for row in told.json["automations"]}
    assert rows["hello"]["matched"] is True
    assert rows["sleeper"]["matched"] is False
    assert "slow" in rows["sleeper"]["reason"]
    assert all(set(row) == {"name", "matched", "outcome", "reason"} for row in rows.values())
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "guarded": "nothing",
        "hello": "run",
        "sleeper": "nothing",
        "broken": "nothing",
        "asks": "nothing",
    }
    shown = closeout(
        "explain", "--event", "push", "--payload", "-", cwd=folder, stdin=json.dumps(push("main"))
    ).out
    assert "hello: would run" in shown
    assert "sleeper: would not run" in shown


CONDITIONS = CONFIG.replace("never] } }", "main] } }\n    if: {condition}").replace("modules: [hooks]\n", "")


@pytest.mark.parametrize(
    ("condition", "outcome", "words", "explained", "planned"),
    [
        ("event.repository.private", "run", "guarded: would run\n", exits.OK, exits.OK),
        ("event.ref == 'x'", "skip", "guarded: would be skipped\n  its `if` is false", exits.OK, exits.OK),
        (
            "event.labls == 'x'",
            "fail",
            "guarded: would fail\n  expression `event.labls == 'x'`: \"labls\" is missing; test it first",
            exits.FAILED,
            exits.FAILED,
        ),
    ],
)
def test_what_only_the_run_finds_out_is_not_told_as_no_run(
    folder: Path, condition: str, outcome: str, words: str, explained: int, planned: int
) -> None:
    """A condition that is false ends a run as skipped; one that cannot be evaluated ends it red: both are told so."""
    (folder / "closeout.yaml").write_text(CONDITIONS.replace("{condition}", condition))
    event = ("--event", "push", "--payload", "-")
    payload = json.dumps(push("main"))
    told = closeout("explain", *event, "--json", cwd=folder, stdin=payload)
    assert [row["outcome"] for row in told.json["automations"]] == [outcome]
    assert told.code == explained
    shown = closeout("explain", *event, cwd=folder, stdin=payload)
    assert words in shown.out
    assert shown.code == explained
    plan = closeout("plan", *event, cwd=folder, stdin=payload)
    assert plan.code == planned, plan
    assert ("fails and deletes nothing\n" in shown.out) is (outcome == "fail")
    assert ("would fail: expression `event.labls == 'x'`" in plan.out) is (outcome == "fail")
    (row,) = closeout("plan", *event, "--json", cwd=folder, stdin=payload).json["automations"] or [{}]
    assert (row.get("error") or {}).get("code") == ("expression-failed" if outcome == "fail" else None)


def test_explain_says_when_github_could_not_be_asked(folder: Path) -> None:
    """With --online, paths that cannot be read leave it open whether a run starts: neither a yes nor a no, and rc 4."""
    paths = CONFIG.replace(
        "push: { branches: [never] }", "pull_request: { types: [closed], paths: [src/**] }"
    )
    nowhere = paths.replace("modules: [hooks]", "github: { api-url: 'http://127.0.0.1:9' }")
    (folder / "closeout.yaml").write_text(nowhere)
    event = ("--event", "pull_request", "--payload", "-")
    payload = json.dumps(deliveries.pull_request("closed"))
    assert "guarded: would run\n" in closeout("explain", *event, cwd=folder, stdin=payload).out
    told = closeout("explain", *event, "--online", cwd=folder, stdin=payload)
    assert "guarded: unknown\n  GitHub: GET /repos/acme/shop/pulls/17/files: " in told.out
    assert told.code == exits.UNAVAILABLE


def test_plan_shows_the_changes(folder: Path) -> None:
    """Plan prints each step with its changes, and with nothing matched the reasons."""
    (folder / "closeout.yaml").write_text(CONFIG.replace("never", "main"))
    told = closeout(
        "plan", "--event", "push", "--payload", "-", "--json", cwd=folder, stdin=json.dumps(push("main"))
    )
    assert told.code == exits.OK, told.err
    by_name = {row["name"]: row for row in told.json["automations"]}
    (step,) = by_name["guarded"]["steps"]
    assert step["uses"] == "shell"
    assert all({"verb", "resource", "reason"} == set(change) for change in step["changes"])
    nothing = closeout(
        "plan", "--event", "push", "--payload", "-", cwd=folder, stdin=json.dumps(push("other"))
    )
    assert nothing.out.startswith("No automation matches")


def test_a_payload_that_breaks_the_rule_is_a_usage_error(folder: Path) -> None:
    """Explain and plan refuse what the receiver would refuse, with a sentence."""
    for text in ("", "[]", "{", '{"a": NaN}', '{"a": "\\u0000"}'):
        told = closeout("explain", "--event", "push", "--payload", "-", cwd=folder, stdin=text)
        assert told.code == exits.USAGE, text
        assert told.err.startswith("closeout: Standard input: ")


def test_settings_can_come_from_the_environment(folder: Path) -> None:
    """CLOSEOUT_CONFIG and CLOSEOUT_DB stand in for the options; the ledger is looked for beside the configuration."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    env = {"CLOSEOUT_CONFIG": str(folder / "closeout.yaml")}
    told = closeout(
        "explain", "--event", "push", "--payload", "-", cwd=elsewhere, env=env, stdin=json.dumps(push("main"))
    )
    assert told.code == exits.OK
    assert f"no ledger at {folder}/closeout.db" in closeout("runs", "list", cwd=elsewhere, env=env).err
    assert (
        "no ledger at here.db"
        in closeout("runs", "list", cwd=elsewhere, env={**env, "CLOSEOUT_DB": "here.db"}).err
    )
    assert list(elsewhere.iterdir()) == []
