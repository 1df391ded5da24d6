"""Messages of the deployed stack: a failed run reaches a topic and a URL in Secrets Manager, and so does its repair."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.aws.test_stack_commands import closeout
from tests.aws.world import World
from tests.notified import Service, service

REPOSITORY = "acme/told"
NUMBER = 810
MINUTE = 60.0
TOKEN = "token-of-the-service"


class Subscriber:
    """A queue that is subscribed to the topic of the configuration."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sqs = world.cloud.client("sqs")
        self._queue = self._sqs.create_queue(QueueName="told")["QueueUrl"]
        asked = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        sns = world.cloud.client("sns")
        topic = sns.create_topic(Name="told")["TopicArn"]
        arn = asked["Attributes"]["QueueArn"]
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self._sqs.set_queue_attributes(QueueUrl=self._queue, Attributes={"Policy": policy})
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def messages(self) -> list[dict[str, Any]]:
        """Take what has arrived."""
        found = self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:
            self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in found]

    def after_a_minute(self) -> dict[str, Any]:
        """Let a minute pass and the function look, and return the one message that came of it."""
        self._world.cloud.skip(MINUTE)
        self._world.cloud.client("lambda").invoke(
            FunctionName=self._world.outputs["NotifyFunction"], Payload=b"{}"
        )
        (message,) = self._world.until(self.messages, bool)
        return dict(message)


@pytest.fixture
def subscriber(world: World) -> Subscriber:
    """The topic, with a queue behind it."""
    return Subscriber(world)


@pytest.fixture
def receiver(world: World) -> Iterator[Service]:
    """A service on this machine, whose URL is in the secret of the configuration."""
    with service() as running:
        value = json.dumps({"url": running.url(path=TOKEN)})
        world.cloud.client("secretsmanager").create_secret(Name="closeout-told", SecretString=value)
        yield running


def log_of(world: World) -> str:
    """Return all that the function has logged."""
    logs = world.cloud.client("logs")
    (group,) = [
        one["logGroupName"]
        for one in logs.describe_log_groups()["logGroups"]
        if "NotifyLogs" in one["logGroupName"]
    ]
    return json.dumps(logs.filter_log_events(logGroupName=group)["events"])


def test_a_failure_and_its_repair_are_told(world: World, subscriber: Subscriber, receiver: Service) -> None:
    """Each in one message: what failed, whose it is and what to do; then that it is over. The role may do all of it."""
    world.add_repository(REPOSITORY)
    tested = json.loads(closeout(world, "notify", "test", "--json"))
    assert [(one["notifier"].rpartition(":")[2], one["ok"]) for one in tested] == [
        ("told", True),
        ("closeout-told#url", True),
    ]
    (message,) = world.until(subscriber.messages, bool)
    assert message["Subject"] == receiver.taken[0].title == "closeout: a test message"

    world.open(NUMBER, repository=REPOSITORY)
    world.close(NUMBER, repository=REPOSITORY)
    (run,) = json.loads(closeout(world, "runs", "list", "--repository", REPOSITORY, "--json"))
    assert world.ended(run["id"])["verdict"] == "failure"
    failed = subscriber.after_a_minute()
    assert failed["Subject"] == f"closeout: told failed for {REPOSITORY}#{NUMBER}, step stumble"
    command = f"closeout runs rerun {run['id']} --stack closed-pr-event-stack"
    assert "\nWhy: stumble: " in failed["Message"]
    assert failed["Message"].endswith(f" Then rerun it with `{command}`.")
    assert "https://eu-central-1.console.aws.amazon.com/cloudwatch/" in failed["Message"]

    closeout(world, "runs", "rerun", run["id"], "--yes")
    assert world.until(lambda: world.run(f"{run['id']}-2"), lambda one: one["verdict"] is not None)[
        "verdict"
    ] == ("success")
    repaired = subscriber.after_a_minute()
    assert repaired["Subject"] == f"closeout: repaired: {REPOSITORY}#{NUMBER}"
    assert list(world.ledger.problems.problems()) == []
    titles = [failed["Subject"], repaired["Subject"]]
    assert [one.title for one in receiver.taken[1:]] == titles

    asked = json.loads(closeout(world, "drill", "--json", code=1))[
        "checks"
    ]  # of repositories that are not there
    (check,) = [one for one in asked if one["id"] == "notifiers"]
    assert check["ok"], check
    assert check["what"].startswith(
        "arn:aws:sns:eu-central-1:123456789012:told, aws-secretsmanager:closeout-told#url"
    )
    assert len(receiver.taken) == 3, "a drill sends nothing"

    receiver.status = 500
    said = closeout(world, "notify", "test", "--json", code=4)
    assert [one["ok"] for one in json.loads(said)] == [True, False]
    logged = log_of(world)
    assert logged != "[]"
    assert TOKEN not in said + logged
