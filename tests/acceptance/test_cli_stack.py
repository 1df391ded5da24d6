"""Runs, deliveries, pause and resume with `--stack`: the same commands on a ledger in DynamoDB (moto over HTTP)."""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.core.records import NewDelivery, NewRun
from closeout.intake.receiver import Receiver
from closeout.ledger.dynamodb.marks import DynamoMarks
from closeout.ledger.dynamodb.table import put
from closeout.patrol.ignored import IGNORED, Ignored
from closeout.ports import Ending
from closeout.stack import table as layout
from closeout.testing import deliveries
from tests.acceptance.machine import REPOSITORY
from tests.acceptance.stack_world import CONFIG, OUTPUTS, StackWorld, bare_stack
from tests.contract.remote_harness import BUCKET, GROUP, WORKER, RemoteBench, client
from tests.ledger_table import deploy
from tests.stack_aws import StackAws
from tests.until import until

STACK = "ledger-stack"
PATROL = "arn:aws:lambda:us-east-1:123456789012:function:ledger-stack-patrol:live"


class Lambda:
    """Where starts arrive: stands in for Lambda's Invoke of a durable function by name, which moto does not have.

    It answers 202 as https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html says of `Event`, and runs nothing.
    """

    def __init__(self) -> None:
        self.started: list[tuple[str, str, Any]] = []
        self.result: dict[str, str] | None = None
        starts, stand_in = self.started, self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                function = unquote(self.path.split("/functions/")[1].split("/invocations")[0])
                name = layout.without_stack(self.headers["X-Amz-Durable-Execution-Name"])
                starts.append((function, name, json.loads(body)))
                self.send_response(202)
                self.send_header("X-Amz-Durable-Execution-Arn", f"{function}/durable-execution/{name}/1")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                """Tell that an execution has succeeded, with a test's result, or what was started as its outcome."""
                result = stand_in.result or {"outcome": str(starts[-1][2])}
                ended = {"Status": "SUCCEEDED", "Result": json.dumps(result)}
                body = json.dumps(ended).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it so
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class Bench(RemoteBench):
    """A ledger that takes a delivery as it is."""

    def keep(self, delivery: NewDelivery, run: NewRun) -> str:
        """Store a delivery and its run; return the execution."""
        items = layout.acceptance(
            delivery, [run], [], zlib.compress(delivery.body), int(time.time()) + 86_400
        )
        assert not self.table.write([put(item, layout.NEW) for item in items])
        self.know(run.definition, run.automation)
        return f"{run.run_id}-1"


class Scene(NamedTuple):
    """A stack with a ledger, the world around it, and what Lambda was asked."""

    world: StackWorld
    bench: Bench
    starts: Lambda

    def ask(self, *arguments: str, code: int = 0) -> Any:
        """Run a command with `--stack` and `--json`; return the decoded answer."""
        done = self.world.closeout(*arguments, "--stack", STACK, "--json", check=False)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if done.stdout else done.stderr

    def say(self, *arguments: str) -> str:
        """Run a command with `--stack` for a person; return what it prints."""
        return self.world.closeout(*arguments, "--stack", STACK).stdout

    def deploys(self, config: str) -> None:
        """Have this configuration deployed: what its deployment writes into the table."""
        file = self.world.folder / "deployed.yaml"
        file.write_text(config, encoding="utf-8")
        deploy(self.bench.dynamo, self.bench.name, load(file, builtin()).automations, self.world.github.url)
        file.unlink()

    def accept(self, number: int = 17, guid: str = "guid-1") -> str:
        """Have the receiver's own decision about a delivery stored in the table; return the execution."""
        automations = load(self.world.config, builtin()).automations
        payload = deliveries.pull_request(number=number)
        body = deliveries.encode(payload)
        (run,) = Receiver.of(automations, lambda: ()).runs("pull_request", guid, body)
        delivery = NewDelivery(
            "1", guid, "pull_request", "closed", REPOSITORY, body, False, time.time(), "github", number
        )
        return self.bench.keep(delivery, run)


@pytest.fixture
def scene(tmp_path: Path, cloud: StackAws) -> Iterator[Scene]:
    """A deployed stack in us-east-1 with an empty ledger."""
    with bare_stack(tmp_path, cloud) as world:
        bench = Bench(cloud, lambda _durable, _execution: Ending("success", "all gone"))
        values = OUTPUTS | {
            "WebhookUrl": "https://a.example/prod/webhook",
            "TableName": bench.name,
            "BucketName": BUCKET,
            "LogGroupName": GROUP,
            "WorkerAlias": WORKER,
            "PatrolAlias": PATROL,
        }
        template = {
            "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
            "Outputs": {key: {"Value": value} for key, value in values.items()},
        }
        client(cloud, "cloudformation").create_stack(StackName=STACK, TemplateBody=json.dumps(template))
        starts = Lambda()
        world.config.write_text(CONFIG, encoding="utf-8")
        world.environment |= {"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_LAMBDA": starts.url}
        scene = Scene(world, bench, starts)
        scene.deploys(CONFIG)
        yield scene
        starts.stop()


def test_runs_and_deliveries_are_shown_as_from_a_file(scene: Scene) -> None:
    """The same fields with the same types as with --db; a delivery's id is a name instead of a number."""
    execution = scene.accept()
    run_id = execution.removesuffix("-1")
    (queued,) = scene.ask("runs", "list")
    assert (queued["id"], queued["state"], queued["repository"]) == (run_id, "queued", REPOSITORY)
    scene.bench.drive(execution)
    (run,) = scene.ask("runs", "list", "--verdict", "success")
    assert scene.ask("runs", "list", "--verdict", "failure") == []
    assert scene.ask("runs", "show", run_id)["summary"] == "all gone"
    assert scene.ask("runs", "show", run_id[:6])["id"] == run_id, "the beginning of the id is enough"
    (delivery,) = scene.ask("deliveries", "list")
    assert delivery["runs"] == [run_id]
    assert delivery["id"] == run["delivery"] == scene.ask("deliveries", "show", delivery["id"])["id"]
    payload = scene.world.closeout("deliveries", "show", delivery["id"], "--payload", "--stack", STACK).stdout
    assert json.loads(payload)["pull_request"]["number"] == 17
    assert scene.say("runs", "list").splitlines()[1].split()[:3] == ["success", run_id[:8], "preview-cleanup"]
    assert f"delivery {delivery['id']}  pull_request closed, {REPOSITORY}" in scene.say(
        "deliveries", "show", delivery["id"]
    )
    assert "all gone" in scene.say("runs", "show", run_id)

    scene.world.environment["CLOSEOUT_WEBHOOK_SECRET"] = "s"
    scene.world.config.write_text(
        CONFIG.replace("'aws-secretsmanager:closed-pr/webhook'", "env:CLOSEOUT_WEBHOOK_SECRET")
    )
    scene.world.start()
    scene.world.github.add_hook(REPOSITORY, url=scene.world.hook_url, secret="s")
    scene.world.open_pull()
    scene.world.github.world.change_pull(REPOSITORY, 17, "closed")
    (local,) = scene.world.finished(1)
    scene.world.kill()
    assert {name: type(value) for name, value in run.items() if value is not None}.keys() <= set(local)
    assert set(run) == set(local)
    assert [set(step) for step in run["steps"]] == [set(step) for step in local["steps"]]
    db = str(scene.world.db)
    listed = json.loads(scene.world.closeout("deliveries", "list", "--db", db, "--json").stdout)
    assert all(set(one) == set(delivery) for one in listed)


def test_what_is_not_there_is_said_and_ends_in_1(scene: Scene) -> None:
    """The sentence and the exit code are those of a file."""
    for arguments in (("runs", "show", "a" * 26), ("deliveries", "show", "12"), ("runs", "cancel", "b" * 26)):
        assert "The ledger has no" in scene.ask(*arguments, code=1)


def test_an_audit_goes_by_what_is_deployed(scene: Scene) -> None:
    """Without a file of this machine; what a run of the stack is about is left alone. Patrol's function starts what cleans up."""
    world = scene.world
    world.open_pull()
    pull = world.github.world.change_pull(REPOSITORY, 17, "closed")
    now = datetime.now(UTC)
    pull.times = {"created_at": (now - timedelta(days=2)).isoformat(), "closed_at": now.isoformat()}
    body = json.dumps({"Resources": {"Jobs": {"Type": "AWS::SQS::Queue"}}})
    world.client("cloudformation").create_stack(StackName="preview-17", TemplateBody=body)
    secret = client(world.aws, "secretsmanager")
    secret.create_secret(Name=OUTPUTS["GitHubTokenSecretName"], SecretString=world.github.token)
    world.config.unlink()
    found = scene.ask("orphans", code=1)
    assert [row["resource"] for row in found["orphans"]] == ["preview-17"]
    refused = world.closeout("orphans", "--clean", "--stack", STACK, check=False)
    assert (refused.returncode, "delete stack preview-17" in refused.stderr, scene.starts.started) == (
        3,
        True,
        [],
    )
    (cleaned,) = scene.ask("orphans", "--clean", "--yes", code=1)["requests"]
    ((function, _, event),) = scene.starts.started
    assert (function, event["clean"]["target"]) == (PATROL, "acme/shop#17 preview-cleanup")
    assert "@" in event["clean"]["by"]
    assert cleaned == {"target": "acme/shop#17 preview-cleanup", "outcome": str(event)}
    world.config.write_text(CONFIG, encoding="utf-8")
    run_id = scene.accept().removesuffix("-1")
    left = scene.ask("orphans")
    assert (left["orphans"], [row["reason"] for row in left["unknown"]]) == (
        [],
        [f"run {run_id} about this pull request has not finished"],
    )


def test_pause_holds_from_the_moment_it_is_written_until_resume(scene: Scene) -> None:
    """Who paused and why is in the table that every destructive call reads."""
    told = scene.ask("pause", "--reason", "the account is being moved")
    assert told["outcome"] == "done"
    assert "the account is being moved" in str(scene.bench.switch.paused())
    assert "@" in str(scene.bench.switch.paused())
    assert scene.say("resume") == "Resumed: destructive calls are allowed again.\n"
    assert scene.bench.switch.paused() is None


def test_a_queued_run_is_cancelled_and_somebody_is_started_to_tell_it(scene: Scene) -> None:
    """The word is on its row, and the worker is started by the execution's own name; the visit then ends it."""
    execution = scene.accept()
    told = scene.ask("runs", "cancel", execution.removesuffix("-1"), "--reason", "wrong stack")
    assert told["outcome"] == "done"
    assert scene.starts.started == [(WORKER, execution, {"execution": execution})]
    assert (
        "wrong stack asked to cancel it" in scene.ask("runs", "show", execution.removesuffix("-1"))["reason"]
    )
    scene.bench.drive(execution)
    again = scene.ask("runs", "cancel", execution.removesuffix("-1"), code=1)
    assert "there is nothing to cancel" in again


def test_a_rerun_is_the_next_attempt_started_by_its_name(scene: Scene) -> None:
    """Under what is deployed, with who asked; what has not finished is not run again. No file is needed."""
    execution = scene.accept()
    run_id = execution.removesuffix("-1")
    assert "it can be run again when it has finished" in scene.ask("runs", "rerun", run_id, "--yes", code=1)
    scene.bench.drive(execution)
    scene.world.config.unlink()
    refused = scene.world.closeout("runs", "rerun", run_id, "--stack", STACK, check=False)
    assert refused.returncode == 3
    assert scene.starts.started == []
    told = scene.ask("runs", "rerun", run_id, "--yes")
    assert told["outcome"] == f"{run_id}-2"
    assert [start[1] for start in scene.starts.started] == [f"{run_id}-2"]
    scene.bench.drive(f"{run_id}-2")
    shown = scene.ask("runs", "show", run_id)
    assert (shown["attempt"], shown["verdict"]) == (2, "success")
    assert "@" in shown["requested_by"]


def test_a_replay_starts_what_today_matches(scene: Scene) -> None:
    """A kept delivery is matched again: its finished run gets the next attempt."""
    execution = scene.accept()
    scene.bench.drive(execution)
    (delivery,) = scene.ask("deliveries", "list")
    told = scene.world.closeout("deliveries", "replay", delivery["id"], "--yes", "--stack", STACK).stdout
    second = execution.removesuffix("-1") + "-2"
    assert told == f"Replay queued. The stack says: {second}.\n"
    assert [start[1] for start in scene.starts.started] == [second]


def test_a_delivery_that_patrol_left_alone_is_listed_and_asked_of_its_function(scene: Scene) -> None:
    """With the columns of a file's. What it could not read is exit code 4; what is stored by now needs it no more."""
    moment = int(time.time()) - 60
    left = Ignored("/repos/acme/shop/hooks/77", 9, "lost-1", "push", None, REPOSITORY, moment, wanted=True)
    DynamoMarks(scene.bench.table).save_mark(IGNORED, "77", {"deliveries": [list(left)]})
    (row,) = scene.ask("deliveries", "list", "--ignored")
    assert (row["guid"], row["hook"], row["reason"]) == ("lost-1", "77", left.reason)
    headings, shown = scene.say("deliveries", "list", "--ignored").splitlines()[:2]
    assert headings.split() == ["EVENT", "REPOSITORY", "AGE", "GUID", "WHY"]
    assert shown.split()[:2] == ["push", REPOSITORY]
    assert "1 more did not arrive" in scene.world.closeout("deliveries", "list", "--stack", STACK).stderr

    scene.starts.result = {"error": "GitHub: GET /x: 404"}
    assert "GitHub: GET /x: 404" in scene.ask("deliveries", "replay", "lost-1", "--yes", code=4)
    assert "left to recover" in scene.ask("deliveries", "replay", "lost-2", "--yes", code=1)
    (asked,) = scene.starts.started
    assert (asked[0], asked[2]) == (PATROL, {"recover": {"guid": "lost-1"}})

    body = deliveries.encode(deliveries.pull_request(number=17))
    stored = NewDelivery(
        "77", "lost-1", "pull_request", "closed", REPOSITORY, body, False, time.time(), "delivery-log", 17
    )
    items = layout.acceptance(stored, [], [], zlib.compress(body), int(time.time()) + 86_400)
    assert not scene.bench.table.write([put(item, layout.NEW) for item in items])
    assert scene.ask("deliveries", "list", "--ignored") == []
    refused = scene.world.closeout("deliveries", "replay", "lost-1", "--stack", STACK, check=False)
    assert (refused.returncode, "no stack preview-17" in refused.stderr) == (3, True), refused.stderr
    told = scene.ask("deliveries", "replay", "lost-1", "--yes")
    assert told["target"] == layout.delivery_id("77", "lost-1")
    assert [start[:2] for start in scene.starts.started[1:]] == [(WORKER, told["outcome"])]


def test_a_log_is_followed_until_the_run_has_ended(scene: Scene) -> None:
    """Lines of this attempt only, each once, in order, while they arrive; the exit code tells how it ended."""
    execution = scene.accept()
    run_id = execution.removesuffix("-1")
    logs = client(scene.bench.aws, "logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="one")

    def write(text: str, run: str = run_id) -> None:
        line = {
            "level": "info",
            "run": run,
            "execution": f"{run}-1",
            "step": "s",
            "text": text,
            "at": time.time(),
        }
        event = {"timestamp": int(time.time() * 1000), "message": json.dumps(line)}
        logs.put_log_events(logGroupName=GROUP, logStreamName="one", logEvents=[event])

    write("first line")
    write("of another run", "z" * 26)
    following, said = scene.world.begin("runs", "logs", run_id, "--follow", "--stack", STACK, "--json")
    with said:
        first = json.loads(said.readline())
        assert (first["text"], first["step"]) == ("first line", "s")
        write("second line")
        scene.bench.drive(execution)
        lines = said.read().splitlines()
    assert following.wait(60) == 0
    assert json.loads(lines[0])["text"] == "second line"
    assert lines[1:] == ["success: all gone"]
    assert [line.split()[-2:] for line in scene.say("runs", "logs", run_id).splitlines()] == [
        ["first", "line"],
        ["second", "line"],
    ]


@pytest.mark.parametrize(
    "command",
    [
        ("runs", "list"),
        ("runs", "show", "x"),
        ("runs", "logs", "x"),
        ("runs", "cancel", "x"),
        ("runs", "rerun", "x"),
        ("deliveries", "list"),
        ("deliveries", "show", "1"),
        ("deliveries", "replay", "1"),
        ("pause",),
        ("resume",),
    ],
)
def test_a_file_and_a_stack_together_are_a_usage_error(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Which of two ledgers is meant is not guessed; a variable for the file is no such word."""
    from tests.acceptance.cli_process import closeout

    done = closeout(*command, "--db", "x.db", "--stack", "s", cwd=tmp_path)
    assert done.code == 2
    assert "Give either --db" in done.err
    environment = {"CLOSEOUT_DB": "x.db", "AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
                   "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}  # fmt: skip
    alone = closeout(*command, "--stack", "s", cwd=tmp_path, env=environment)
    assert alone.code in (1, 4)
    assert "Give either" not in alone.err


def test_the_ledger_of_a_stack_that_is_gone_is_named(scene: Scene) -> None:
    """A table that somebody deleted: a sentence, exit code 4."""
    scene.bench.dynamo.delete_table(TableName=scene.bench.name)
    done = scene.world.closeout("runs", "list", "--stack", STACK, check=False)
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    until("the table's end", lambda: scene.bench.name not in scene.bench.dynamo.list_tables()["TableNames"])
