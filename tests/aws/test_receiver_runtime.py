"""The receiver's bundle under AWS's own runtime client, with a real Runtime API and its role's credentials."""

from __future__ import annotations

import base64
import json
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from closeout.testing.deliveries import encode, pull_request, signed_headers
from tests.aws.world import World
from tests.emulator.runtime_api import RuntimeApi


@pytest.fixture(scope="module")
def receiver(world: World) -> Iterator[RuntimeApi]:
    """Yield an execution environment of the deployed function: its bundle, its variables, its role."""
    config = world.cloud.client("lambda").get_function_configuration(FunctionName=world.function("Receiver"))
    given = world.credentials_of("Receiver")
    environment = {
        **config["Environment"]["Variables"],
        "AWS_REGION": world.cloud.region,
        "AWS_ENDPOINT_URL": world.cloud.url,
        "AWS_CA_BUNDLE": str(world.cloud.bundle),
        "AWS_ACCESS_KEY_ID": given["access_key"],
        "AWS_SECRET_ACCESS_KEY": given["secret_key"],
        "AWS_SESSION_TOKEN": given["token"],
    }
    code = world.cdk.bundle("rules.json")
    with RuntimeApi(code, config["Handler"], environment, python=sys.executable) as ready:
        yield ready


def event(body: bytes, headers: dict[str, str], *, binary: bool = False) -> dict[str, Any]:
    """Return API Gateway's event for a request to `/webhook`."""
    return {
        "resource": "/webhook",
        "path": "/webhook",
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "requestContext": {"stage": "prod", "identity": {"sourceIp": "192.30.252.1"}},
        "body": base64.b64encode(body).decode() if binary else body.decode(),
        "isBase64Encoded": binary,
    }


def ask(receiver: RuntimeApi, sent: dict[str, Any]) -> tuple[int, Any]:
    """Return what API Gateway would answer with."""
    answer = receiver.invoke(sent)
    assert answer.kind == "response", answer
    return answer.payload["statusCode"], json.loads(answer.payload["body"])


@pytest.mark.parametrize("binary", [False, True], ids=["text", "base64"])
def test_it_stores_and_starts(world: World, receiver: RuntimeApi, binary: bool) -> None:
    """A signed delivery is accepted, its run ends well, and the same one again is a duplicate."""
    number = 701 + binary
    body = encode(pull_request(number=number, repository="acme/notes", title="Körbchen"))
    headers = signed_headers("pull_request", body, world.secret, str(uuid.uuid4()))
    status, said = ask(receiver, event(body, headers, binary=binary))
    assert status == 202, said
    assert world.ended(said["runs"][0])["verdict"] == "success"
    assert ask(receiver, event(body, headers, binary=binary)) == (200, {**said, "duplicate": True})


def test_it_turns_away_what_is_not_signed_over_these_bytes(world: World, receiver: RuntimeApi) -> None:
    """The signature is over the body's bytes, however the gateway passes them on."""
    body = encode(pull_request(number=703, repository="acme/notes"))
    headers = signed_headers("pull_request", body + b" ", world.secret, str(uuid.uuid4()))
    refused = {"error": "unauthorized", "message": "Unauthorized request"}
    assert ask(receiver, event(body, headers)) == (401, refused)
    assert ask(receiver, event(body, headers, binary=True)) == (401, refused)


def test_its_role_may_not_do_more_than_it_does(world: World) -> None:
    """The receiver writes a table, puts bodies and starts the worker; it reads no token and deletes nothing."""
    credentials = world.credentials_of("Receiver")
    table, bucket = world.outputs["TableName"], world.outputs["BucketName"]
    token = world.outputs["GitHubTokenSecretName"]
    webhook = world.outputs["WebhookSecretName"]

    def mine(service: str) -> Any:
        return world.cloud.client(service, **credentials)

    assert mine("secretsmanager").get_secret_value(SecretId=webhook)["SecretString"] == world.secret
    calls: tuple[Callable[[], Any], ...] = (
        lambda: mine("secretsmanager").get_secret_value(SecretId=token),
        lambda: mine("dynamodb").scan(TableName=table),
        lambda: mine("dynamodb").delete_item(TableName=table, Key={"pk": {"S": "x"}, "sk": {"S": "x"}}),
        lambda: mine("s3").get_object(Bucket=bucket, Key="bodies/x"),
        lambda: mine("lambda").invoke(FunctionName=world.function("Ended"), Payload=b"{}"),
        lambda: mine("cloudformation").describe_stacks(),
    )
    for call in calls:
        with pytest.raises(ClientError, match="AccessDenied"):
            call()
