"""A stack's parts over the emulator, and a receiver in it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest

from closeout.core.automation import Automation
from closeout.core.rules import compile_rules
from closeout.lambdas.receiver_app import ReceiverApp
from closeout.testing import deliveries
from tests.direct import no_sockets
from tests.stack_aws import StackAws
from tests.unit.lambdas.servers import Server

SECRET = "the-secret-of-the-hook"
WORKER = "arn:aws:lambda:us-east-1:123456789012:function:worker:live"
AUTOMATIONS = (
    Automation(name="cleanup", triggers=({"event": "pull_request", "types": ["closed"], "branches": ["develop"]},)),
    Automation(name="told", triggers=({"event": "pull_request", "types": ["closed"], "branches": ["**"]},), senders=("octo-*",)),
    Automation(name="pushed", triggers=({"event": "push"},)),
)  # fmt: skip


@pytest.fixture(scope="session")
def one_aws() -> Iterator[StackAws]:
    """One emulator for all tests here."""
    with StackAws() as running, no_sockets(running):
        yield running


@pytest.fixture
def aws(one_aws: StackAws, monkeypatch: pytest.MonkeyPatch) -> StackAws:
    """An empty account, and the environment in which any client talks to it."""
    one_aws.reset()
    for name, value in one_aws.environment().items():
        monkeypatch.setenv(name, value)
    return one_aws


@pytest.fixture
def servers() -> Iterator[Callable[[Callable[[int, socket.socket], None]], Server]]:
    """Make servers that are closed after the test."""
    made: list[Server] = []

    def make(plan: Callable[[int, socket.socket], None]) -> Server:
        made.append(Server(plan))
        return made[-1]

    yield make
    for server in made:
        server.close()


@cache
def _client(url: str, service: str) -> Any:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    return boto3.client(service, endpoint_url=url, region_name="us-east-1", **keys)


class Stack(NamedTuple):
    """What is deployed, and how to reach it."""

    aws: StackAws
    environment: dict[str, str]
    logged: list[str]
    app: Callable[[], ReceiverApp]

    def client(self, service: str) -> Any:
        """Return a boto3 client of the emulator."""
        return _client(self.aws.url, service)

    def items(self) -> list[dict[str, Any]]:
        """Return everything in the table."""
        found: list[dict[str, Any]] = self.client("dynamodb").scan(TableName="ledger")["Items"]
        return found


@pytest.fixture
def stack(aws: StackAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A table, a bucket, a secret and compiled rules."""
    (tmp_path / "rules.json").write_text(compile_rules(AUTOMATIONS, ("closeout/cleanup",)), "utf-8")
    logged: list[str] = []
    environment = {
        **aws.environment(),
        "AWS_REGION": "us-east-1",
        "LAMBDA_TASK_ROOT": str(tmp_path),
        "CLOSEOUT_TABLE": "ledger",
        "CLOSEOUT_BUCKET": "bodies",
        "CLOSEOUT_WORKER": WORKER,
        "CLOSEOUT_WEBHOOK_SECRET": "hook",
        "CLOSEOUT_RETENTION_DAYS": "90",
    }
    made = Stack(
        aws,
        environment,
        logged,
        lambda: ReceiverApp(environment, log=logged.append, pause=lambda _: None),
    )
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    types = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    made.client("dynamodb").create_table(TableName="ledger", KeySchema=keys, AttributeDefinitions=types, BillingMode="PAY_PER_REQUEST")  # fmt: skip
    made.client("s3").create_bucket(Bucket="bodies")
    made.client("secretsmanager").create_secret(Name="hook", SecretString=SECRET)
    return made


def event(
    name: str,
    payload: dict[str, Any],
    *,
    secret: str = SECRET,
    guid: str = "00000000-0000-4000-8000-000000000001",
    form: bool = False,
    **more: Any,
) -> dict[str, Any]:
    """Return API Gateway's event of a signed delivery."""
    body = deliveries.encode(payload, form=form)
    headers = deliveries.signed_headers(name, body, secret, guid, form=form, **more)
    return {
        "httpMethod": "POST",
        "path": "/webhook",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "body": body.decode(),
        "isBase64Encoded": False,
        "requestContext": {"identity": {"sourceIp": "192.30.252.1"}},
    }
