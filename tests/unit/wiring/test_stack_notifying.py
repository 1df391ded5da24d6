"""A stack's notifications: over DynamoDB, SNS and SQS on an emulator, and an injected clock."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from closeout.adapters import sns
from closeout.core.errors import NotifierFailed, NotifierUnknown, ServiceError, UsageError
from closeout.core.messages import Text
from closeout.core.problems import EVENTS, Problem, Route, Routes
from closeout.lambdas import notify
from closeout.ledger.dynamodb.marks import DynamoMarks, Lease
from closeout.ledger.dynamodb.problems import Problems
from closeout.ledger.dynamodb.table import Table
from closeout.patrol.marks import DRILL, LAST, REPORT
from closeout.stack.patrol import mark_partition
from closeout.stack.problems import CHECK, LEASE_KEY, TEST, WATCHED, pack_routes, unpack_routes
from closeout.testing.durable import FakeClock
from closeout.wiring.notifying import Targets
from closeout.wiring.stack_notifying import WAIT, StackNotifying, open_stack_notifying
from tests.contract.remote_harness import client
from tests.ledger_table import create_ledger
from tests.notified import Service, service
from tests.stack_aws import StackAws
from tests.until import until

NOW = 1_700_000_000.0
PROBLEM = Problem(
    "teardown", "5/7/x", "failure", "stack: still imported by of-private", "stack: still imported", NOW,
    code="action-failed", step="stack", left=("stack preview-17",), public_left=("preview-17",),
    repository="acme/shop", number=17, login="ada", execution="abc-1",
)  # fmt: skip


NAME = "closeout/team-url"


class Bench:
    """A table, a topic with a queue behind it, and the function's composition over them."""

    def __init__(self, aws: StackAws) -> None:
        self.clock = FakeClock(NOW)
        self.client: Callable[[str], Any] = partial(client, aws)
        name = f"ledger-{uuid.uuid4().hex[:8]}"
        create_ledger(self.client("dynamodb"), name)
        self.table = Table(self.client("dynamodb"), name, now=self.clock.now)
        self.problems = Problems(self.table)
        self.sns, self.sqs = self.client("sns"), self.client("sqs")
        self.queue = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        self.topic = self.sns.create_topic(Name=name)["TopicArn"]
        queue_arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=queue_arn["Attributes"]["QueueArn"])
        self.name = name
        self.patrol: dict[str, float | None] = {}
        self.made = self.restart()

    def restart(self, *targets: str) -> StackNotifying:
        """Compose as a new process does."""
        routes = Routes(Route(frozenset(EVENTS), targets or (self.topic, "env:LEFT_OUT")))
        environment = {
            "AWS_REGION": "us-east-1",
            "CLOSEOUT_TABLE": self.name,
            "CLOSEOUT_LOG_GROUP": "/closeout/worker",
            "CLOSEOUT_NOTIFY": pack_routes(routes),
            "CLOSEOUT_STACK": "previews",
            "CLOSEOUT_PATROL": json.dumps(self.patrol),
        }
        self.made = open_stack_notifying(
            self.client, environment, topics=lambda _region: self.sns, clock=self.clock
        )
        return self.made

    def put_url(self, url: str, name: str = NAME) -> str:
        """Store a URL; return its reference."""
        secrets = self.client("secretsmanager")
        try:
            secrets.create_secret(Name=name, SecretString=url)
        except secrets.exceptions.ResourceExistsException:
            secrets.put_secret_value(SecretId=name, SecretString=url)
        return f"aws-secretsmanager:{name}"

    def end_patrol(self, kind: str, **value: Any) -> None:
        """Let patrol's function keep that a round has ended now."""
        DynamoMarks(self.table).save_mark(REPORT, kind, {"ended_at": self.clock.now(), **value})

    def look(self, seconds: float = 0.0) -> list[dict[str, Any]]:
        """Let time go by, let the schedule start the function, and return the messages that arrived."""
        self.clock.advance(seconds)
        assert notify.handle({}, uuid.uuid4().hex, self.made) == {}
        return self.arrived()

    def arrived(self) -> list[dict[str, Any]]:
        """Take the messages out of the queue."""
        found = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]


@pytest.fixture
def bench(emulator: StackAws) -> Bench:
    """An empty table, and a topic."""
    emulator.reset()
    return Bench(emulator)


def test_a_failure_and_its_recovery_reach_the_topic_within_two_minutes(bench: Bench) -> None:
    """Each once, with what to do on a stack, and nothing that only members may read."""
    assert WAIT + 60 <= 120, "the schedule looks once a minute"
    bench.problems.open_problem(PROBLEM)
    assert bench.look(WAIT - 1) == []
    (message,) = bench.look(60)
    assert message["Subject"] == "closeout: teardown failed for acme/shop#17, step stack"
    assert message["Message"].splitlines() == [
        "closeout: teardown failed for acme/shop#17, step stack",
        "",
        "acme/shop#17, a pull request by ada",
        "What is left: preview-17",
        "Why: stack: still imported",
        "To do: Remove the cause. Then rerun it with `closeout runs rerun abc --stack previews`.",
    ]
    bench.restart()
    assert bench.look(60) == []
    bench.problems.close_problems("teardown", PROBLEM.key, PROBLEM.key, bench.clock.now(), "patrol")
    (message,) = bench.look(60)
    assert "preview-17 is gone now" in message["Message"]
    assert bench.look(3_600) == []
    assert list(bench.problems.problems()) == []


def test_a_missing_topic_is_logged_each_time_and_gets_the_message_later(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The alarm counts the lines; nothing is lost, and other targets are notified at once."""
    bench.restart(f"{bench.topic}-gone", bench.topic)
    bench.problems.open_problem(PROBLEM)
    assert len(bench.look(60)) == 1
    bench.look(60)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["messages"], line["notifier"], line["seconds"]) for line in lines] == [
        ("undelivered", f"{bench.topic}-gone", 0),
        ("undelivered", f"{bench.topic}-gone", 60),
    ]
    bench.sns.create_topic(Name=f"{bench.name}-gone")
    bench.look(3_600)
    assert capsys.readouterr().out == ""
    assert len(bench.problems.notifications()) == 2


def test_only_one_invocation_sends_at_a_time(bench: Bench) -> None:
    """EventBridge may start two at once. A killed one delays the next by two minutes."""
    bench.problems.open_problem(PROBLEM)
    assert Lease(bench.table, "killed", "token", LEASE_KEY).take(130)
    assert bench.look(100) == []
    assert len(bench.look(60)) == 1


def test_a_test_message_reports_each_targets_result(bench: Bench) -> None:
    """As `closeout notify test --json` prints it; another event is refused."""
    bench.restart(bench.topic, f"{bench.topic}-gone")
    results = notify.handle(dict(TEST), "one", bench.made)["results"]
    assert [(one["notifier"], one["ok"], one["code"]) for one in results] == [
        (bench.topic, True, None),
        (f"{bench.topic}-gone", False, "notifier-failed"),
    ]
    assert [message["Subject"] for message in bench.arrived()] == ["closeout: a test message"]
    with pytest.raises(UsageError):
        notify.handle({"tset": True}, "two", bench.made)


def test_the_existence_of_a_topic_is_checked_without_publishing(bench: Bench) -> None:
    """Nothing is published to find out."""
    no_secrets: Any = None
    targets = Targets(no_secrets, no_secrets, lambda _region: bench.sns)
    targets.check(bench.topic)
    assert bench.arrived() == []
    with pytest.raises(NotifierUnknown, match="there is no such topic"):
        targets.check(f"{bench.topic}-gone")


def test_a_topic_that_may_not_be_checked_is_not_called_missing() -> None:
    """It may exist; the caller gets the message of SNS."""

    def refuse(**_given: str) -> None:
        raise ClientError({"Error": {"Code": "AuthorizationError", "Message": "no"}}, "GetTopicAttributes")

    with pytest.raises(ServiceError, match=r"no \(AuthorizationError\)"):
        sns.check(
            "arn:aws:sns:eu-central-1:123456789012:previews",
            lambda _region: SimpleNamespace(get_topic_attributes=refuse),
        )


def test_a_subject_fits_the_limits_of_sns(bench: Bench) -> None:
    """ASCII, less than a hundred characters. The message itself has the full title."""
    title = "closeout: 清理 failed for " + "a" * 200
    sns.publish(bench.topic, title, "why", lambda _region: bench.sns)
    (message,) = bench.arrived()
    assert message["Subject"].startswith("closeout: ?? failed for aaa")
    assert len(message["Subject"]) < 100
    assert message["Message"] == f"{title}\n\nwhy"
    with pytest.raises(NotifierFailed, match="NotFound"):
        sns.publish(f"{bench.topic}-gone", "t", "b", lambda _region: bench.sns)


def test_a_server_publishes_with_its_own_credentials(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without reading a secret or importing a notification library."""
    endpoint = bench.sns.meta.endpoint_url
    for name, value in (("ENDPOINT_URL", endpoint), ("ACCESS_KEY_ID", "a"), ("SECRET_ACCESS_KEY", "b")):
        monkeypatch.setenv(f"AWS_{name}", value)
    no_secrets: Any = None
    Targets(no_secrets, no_secrets).send(bench.topic, Text("closeout: a test", "why"))
    assert [message["Subject"] for message in bench.arrived()] == ["closeout: a test"]


def test_only_targets_that_a_stack_can_reach_are_deployed() -> None:
    """What the function cannot read is not in its environment; a secret is there by its reference."""
    topic, secret = "arn:aws:sns:eu-central-1:123456789012:previews", "aws-secretsmanager:closeout/url#slack"
    routes = Routes(
        Route(frozenset(("failure", "recovered")), (topic, "env:URL", "file:/url")),
        {"one": Route(frozenset(("orphans",)), ("env:URL", secret))},
    )
    assert unpack_routes(pack_routes(routes)) == Routes(
        Route(frozenset(("failure", "recovered")), (topic,)),
        {"one": Route(frozenset(("orphans",)), (secret,))},
    )


# --- URLs in Secrets Manager ------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[Service]:
    """A service that takes messages."""
    with service() as running:
        yield running


def test_a_url_in_secrets_manager_is_read_for_each_message(bench: Bench, receiver: Service) -> None:
    """A rotated one is used by the same process's next check. The topic gets the same message."""
    secret = bench.put_url(receiver.url())
    bench.restart(bench.topic, secret)
    bench.problems.open_problem(PROBLEM)
    assert len(bench.look(60)) == 1
    (taken,) = receiver.taken
    assert taken.title == "closeout: teardown failed for acme/shop#17, step stack"
    assert taken.body.splitlines()[-1].endswith("`closeout runs rerun abc --stack previews`.")
    with service() as moved:
        bench.put_url(moved.url())
        bench.problems.close_problems("teardown", PROBLEM.key, PROBLEM.key, bench.clock.now(), "patrol")
        assert len(bench.look(60)) == 1
        assert [one.title for one in moved.taken] == ["closeout: repaired: acme/shop#17"]
    assert len(receiver.taken) == 1


def test_a_hanging_target_does_not_keep_a_topic_from_its_message(bench: Bench, receiver: Service) -> None:
    """The function would be ended before it reached the others."""
    there: list[Any] = []

    def has_arrived() -> bool:
        there.extend(bench.arrived())
        return bool(there)

    receiver.before = lambda: until("the topic's message", has_arrived)
    bench.restart(bench.put_url(receiver.url()), bench.topic)
    bench.problems.open_problem(PROBLEM)
    bench.look(60)
    assert len(there) == 1


def test_no_log_or_answer_contains_a_secret_of_a_url(
    bench: Bench, receiver: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    """For a failing service, an invalid URL, and a missing one."""
    receiver.status = 500
    refused = bench.put_url(receiver.url(path="path-token-1"))
    unknown = bench.put_url("nosuch://user-name-2:pass-word-2@x/path-token-2", "closeout/other")
    bench.restart(refused, unknown, "aws-secretsmanager:closeout/absent")
    bench.problems.open_problem(PROBLEM)
    bench.look(60)
    answers = [notify.handle(dict(event), "x", bench.made)["results"] for event in (TEST, CHECK)]
    codes = [[one["code"] for one in sorted(found, key=lambda one: one["notifier"])] for found in answers]
    absent, other = "secret-unavailable", "notifier-unknown"
    assert codes == [[absent, other, "notifier-failed"], [absent, other, None]]
    captured = capfd.readouterr()
    said = captured.out + captured.err + json.dumps(answers)
    assert captured.out.count('"messages": "undelivered"') == 3
    assert "json: " in said
    for secret in ("path-token", "pass-word", "user-name"):
        assert secret not in said


def test_no_log_line_of_a_library_reaches_the_functions_log() -> None:
    """It may contain a part of a URL, and Lambda keeps what is printed. The function answers all the same."""
    code = (
        "import logging, types; logging.basicConfig();"  # as Lambda does
        "from closeout.lambdas.notify import handler;"
        "print(handler({'test': True}, types.SimpleNamespace(aws_request_id='one')));"
        "logging.getLogger('urllib3').warning('path-token-1')"
    )
    variables = ("TABLE", "LOG_GROUP", "STACK")
    environment = {
        **{f"CLOSEOUT_{name}": "x" for name in variables},
        "CLOSEOUT_NOTIFY": pack_routes(Routes(Route(frozenset(), ()))),
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "PYTHONPATH": str(Path(notify.__file__).parents[2]),
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{'results': []}\n", "")


def test_a_check_reads_each_url_and_sends_nothing(bench: Bench, receiver: Service) -> None:
    """The function reads them with its own permissions; the command checks topics."""
    secret = bench.put_url(receiver.url())
    bench.restart(bench.topic, secret)
    assert notify.handle(dict(CHECK), "one", bench.made)["results"] == [
        {"notifier": secret, "ok": True, "code": None, "error": None, "transient": False}
    ]
    assert receiver.taken == []
    assert bench.arrived() == []


# --- closeout itself --------------------------------------------------------------------------------------------


def test_a_silent_patrol_and_its_return_are_reported(bench: Bench) -> None:
    """After three intervals, from what patrol's function stores: it may be dead. The table is otherwise empty."""
    bench.patrol = {"deliveries": 300.0, "state": 3_600.0, "drill": None}
    bench.restart()
    assert bench.look() == []
    bench.end_patrol("lists", rows=[])
    assert bench.look(900) == []
    bench.restart()
    assert bench.look(1) == []
    (message,) = bench.look(60)
    assert message["Subject"].startswith(
        "closeout needs you: patrol has not read the delivery logs for 15 min"
    )
    assert (
        message["Message"].splitlines()[-1]
        == "To do: run `closeout drill --stack previews`, and follow what it says."
    )
    bench.end_patrol("logs")
    assert bench.look(30) == []
    (message,) = bench.look(60)
    assert "this is over: patrol has not read" in message["Message"]


def test_time_before_patrols_intervals_were_deployed_does_not_count(bench: Bench) -> None:
    """Switching patrol on does not report that it was off. A new process of the function changes nothing."""
    bench.patrol = {"deliveries": 300.0, "state": None, "drill": None}
    bench.end_patrol("logs")
    bench.clock.advance(86_400)
    bench.restart()
    assert bench.look() == bench.look(800) == []
    bench.restart()
    assert bench.look(160) == []
    assert len(bench.look(60)) == 1


def test_the_function_may_read_the_marks_that_it_needs() -> None:
    """The role names the partitions."""
    assert (mark_partition(REPORT), mark_partition(DRILL)) == WATCHED


def test_findings_of_the_last_drill_are_reported(bench: Bench) -> None:
    """As on a server; without drills, old findings are ignored."""
    DynamoMarks(bench.table).save_mark(DRILL, LAST, {"ended_at": 1.0, "states": {"hook-active": "wrong"}})
    assert bench.look() == bench.look(60) == []
    bench.patrol = {"drill": 86_400.0}
    bench.restart()
    assert bench.look() == []
    (message,) = bench.look(60)
    assert "the drill found something wrong with `hook-active`" in message["Message"]
