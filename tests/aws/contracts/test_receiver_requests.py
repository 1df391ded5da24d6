"""The receiver's own requests beside those that botocore makes of the same parameters, for AWS's real endpoints."""

from __future__ import annotations

import json
import random
from base64 import b64decode
from collections.abc import Mapping
from email.message import Message
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
from botocore.model import Shape

from closeout.core.ids import run_id
from closeout.core.records import NewDelivery, NewRun
from closeout.lambdas.aws_client import AwsClient, Call, Response
from closeout.lambdas.delivery_writer import DeliveryWriter, Destination
from closeout.lambdas.secret import WebhookSecret
from tests.aws.contracts.models import REGION, broken, client, model

WORKER = f"arn:aws:lambda:{REGION}:123456789012:function:closed-pr-event-stack-FunctionsWorker-1A2B3C:live"
GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
OUR_OWN = {"host", "authorization", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"}
"""Headers of the signature, which a test of `stack.sigv4` compares, and of HTTP."""
NOT_OURS = {"user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "content-length", "expect"}
"""Headers that botocore adds, and that no operation's model asks for."""
RUN = run_id(GUID, "preview-cleanup")
ANSWERS: dict[str, Any] = {
    "GetItem": {"Item": {"runs": {"L": [{"S": RUN}]}, "execution": {"S": "e"}, "state": {"S": "queued"}}},
    "GetSecretValue": {"SecretString": "value", "CreatedDate": 1_000_000.0},
}


class Sent(NamedTuple):
    """One request of the receiver, as it would leave for AWS."""

    call: Call
    headers: Mapping[str, str]

    @property
    def operation(self) -> str:
        """The name of the API's operation."""
        path = self.call.path
        other = "Invoke" if path.endswith("/invocations") else "PutObject"
        return self.call.headers.get("x-amz-target", other).rpartition(".")[2]


class Recorded(AwsClient):
    """A client whose requests are kept instead of sent. `refused` operations exist already, once."""

    def __init__(self, region: str, refused: set[str]) -> None:
        environment = {
            "AWS_REGION": region,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "token",
        }
        super().__init__(environment, pause=lambda _seconds: None)
        self.sent: list[Sent] = []
        self._refused = set(refused)

    def _exchange(self, call: Call, headers: Mapping[str, str], deadline: float) -> Response:
        self.sent.append(Sent(call, headers))
        operation = self.sent[-1].operation
        if operation in self._refused:
            self._refused.remove(operation)
            reasons = [{"Code": "ConditionalCheckFailed"}, {"Code": "None"}]
            body = {"__type": "x#TransactionCanceledException", "CancellationReasons": reasons}
            return Response(400, json.dumps(body).encode(), Message())
        return Response(200, json.dumps(ANSWERS.get(operation, {})).encode(), Message())


def everything(region: str = REGION) -> list[Sent]:
    """Return each request that the receiver makes: for a new delivery, a large one, and one that is there already."""
    sent: list[Sent] = []
    noise = random.Random(1).randbytes(600_000)
    for body, refused in ((b"{}", set()), (noise, set()), (b"{}", {"TransactWriteItems"})):
        aws = Recorded(region, refused)
        writer = DeliveryWriter(aws, Destination("ledger", "bodies", WORKER, 90.0), lambda _seconds: None)
        run = NewRun(
            run_id(GUID, "preview-cleanup"), "preview-cleanup", "preview-cleanup/17", "d" * 64, 3_600.0
        )
        delivery = NewDelivery(
            "42", GUID, "pull_request", "closed", "acme/shop", body, False,
            1_000_000.0, "github", 17,
        )  # fmt: skip
        writer.accept(delivery, (run,))
        WebhookSecret(aws, lambda: 1_000_001.0).read_active(
            f"arn:aws:secretsmanager:{REGION}:123456789012:secret:a-1"
        )
        sent += aws.sent
    return sent


def parameters(sent: Sent) -> dict[str, Any]:
    """Return what botocore would be asked for the same request."""
    call, shape = sent.call, model(sent.call.service).operation_model(sent.operation).input_shape
    if sent.operation == "Invoke":
        return {
            "FunctionName": unquote(call.path.split("/")[3]),
            "InvocationType": call.headers["x-amz-invocation-type"],
            "DurableExecutionName": call.headers["x-amz-durable-execution-name"],
            "Payload": call.body,
        }
    if sent.operation == "PutObject":
        return {
            "Bucket": call.host.partition(".")[0],
            "Key": unquote(call.path[1:]),
            "ContentType": call.headers["content-type"],
            "Body": call.body,
        }
    return dict(decoded(shape, json.loads(call.body)))


def decoded(shape: Shape, value: Any) -> Any:
    """Return a value of a JSON request with bytes where its shape is a blob."""
    match shape.type_name:
        case "structure":
            return {name: decoded(shape.members[name], one) for name, one in value.items()}
        case "list":
            return [decoded(shape.member, one) for one in value]
        case "map":
            return {name: decoded(shape.value, one) for name, one in value.items()}
        case "blob":
            return b64decode(value, validate=True)
    return value


class Stopped(Exception):
    """Ends a request of botocore before it is sent."""


def as_botocore(sent: Sent, region: str = REGION) -> Any:
    """Return the request that botocore makes of the same parameters, prepared and signed."""
    kept: list[Any] = []

    def stop(request: Any, **_: Any) -> None:
        kept.append(request)
        raise Stopped

    aws = client(sent.call.service, region)
    method = {"PutObject": "put_object", "Invoke": "invoke"}.get(sent.operation)
    method = method or next(
        name for name, of in aws.meta.method_to_api_mapping.items() if of == sent.operation
    )
    aws.meta.events.register("before-send", stop)
    try:
        with pytest.raises(Stopped):
            getattr(aws, method)(**parameters(sent))
    finally:
        aws.meta.events.unregister("before-send", stop)
    return kept[0]


SENT = everything()


def test_each_call_of_the_receiver_is_among_them() -> None:
    """What the role of the receiver allows, and nothing else."""
    assert {sent.operation for sent in SENT} == {
        "GetItem",
        "GetSecretValue",
        "Invoke",
        "PutObject",
        "TransactWriteItems",
        "UpdateItem",
    }


@pytest.mark.parametrize("sent", SENT, ids=[f"{n}-{sent.operation}" for n, sent in enumerate(SENT)])
def test_a_request_is_as_botocore_makes_it(sent: Sent) -> None:
    """Method, URL, headers and body; the constraints of the operation's model hold."""
    theirs = as_botocore(sent)
    assert sent.call.method == theirs.method
    assert f"https://{sent.call.host}{sent.call.path}" == theirs.url
    expected = {
        name.lower(): value.decode() if isinstance(value, bytes) else value
        for name, value in theirs.headers.items()
        if name.lower() not in OUR_OWN | NOT_OURS
    }
    ours = {name: value for name, value in sent.headers.items() if name not in OUR_OWN}
    assert ours == {**expected, "content-type": ours["content-type"]}
    assert expected.get("content-type") in (None, ours["content-type"])
    if sent.call.service == "s3":
        assert sent.call.body == theirs.body.getvalue()
    elif sent.call.service == "lambda":
        assert sent.call.body == theirs.body
    else:
        assert json.loads(sent.call.body) == json.loads(theirs.body)
    assert broken(model(sent.call.service).operation_model(sent.operation), parameters(sent)) == []


@pytest.mark.parametrize("region", ["us-east-1", "cn-north-1", "us-gov-west-1", "ap-southeast-5"])
def test_every_region_has_the_hosts_that_botocore_knows(region: str) -> None:
    """In other partitions, too."""
    for sent in everything(region):
        assert sent.call.host == urlsplit(as_botocore(sent, region).url).netloc
