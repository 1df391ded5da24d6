"""The boto3 adapter: one client per target, errors translated, over real HTTP to the emulator."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from closeout.adapters.aws import AwsClients, TranslatedClient, retry_after, translated
from closeout.adapters.boto import boto_client, boto_clients
from closeout.core.errors import ServiceError
from closeout.ports import AwsTarget
from closeout.testing.aws import FakeAws

TARGET = AwsTarget("123456789012", "us-east-1", None)
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeAws]:
    """One emulator for this module."""
    with FakeAws() as running:
        yield running


@pytest.fixture
def aws(server: FakeAws, monkeypatch: pytest.MonkeyPatch) -> FakeAws:
    """An empty account that the standard variables point to."""
    server.reset()
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    return server


def clients(target: AwsTarget = TARGET) -> Any:
    """Fresh clients."""
    return AwsClients(now=time.time, attempts=1).for_target(target)


def failure(call: Any) -> ServiceError:
    """The error that a call raises."""
    with pytest.raises(ServiceError) as caught:
        call()
    return caught.value


def test_the_account_is_asked_each_time(aws: FakeAws) -> None:
    """Each `account()` is a GetCallerIdentity of its own: a role may have changed since."""
    ours = clients()
    assert [ours.account(), ours.account()] == ["123456789012"] * 2
    assert [entry["operation"] for entry in aws.requests()] == ["GetCallerIdentity"] * 2


def test_assumed_role(aws: FakeAws) -> None:
    """A role is assumed under closeout's session name once, and calls are made as it."""
    role = "arn:aws:iam::210987654321:role/cleaner"
    ours = clients(AwsTarget("210987654321", "us-east-1", role))
    assert [ours.account(), ours.account()] == ["210987654321"] * 2
    assumed = [entry["params"] for entry in aws.requests() if entry["operation"] == "AssumeRole"]
    assert [(item["RoleArn"], item["RoleSessionName"]) for item in assumed] == [(role, "closeout")]


def test_role_that_may_not_be_assumed(aws: FakeAws) -> None:
    """A refused role is an AccessDenied that names AssumeRole; other credentials are never used instead."""
    aws.fault(operation="AssumeRole", code="AccessDenied", status=403, message="not authorized", times=5)
    error = failure(
        clients(AwsTarget("210987654321", "us-east-1", "arn:aws:iam::210987654321:role/x")).account
    )
    assert (error.reason, error.operation, error.transient) == ("AccessDenied", "AssumeRole", False)
    assert "GetCallerIdentity" not in [entry["operation"] for entry in aws.requests()]


def test_role_is_assumed_again_before_it_expires(aws: FakeAws) -> None:
    """Credentials that end within botocore's margin are fetched again before the next call."""
    source = boto3.Session()
    ours = AwsClients(now=time.time, session=lambda: source, attempts=1).for_target(
        AwsTarget("210987654321", "us-east-1", "arn:aws:iam::210987654321:role/cleaner")
    )
    ours.account()
    held = ours._session.get_credentials()
    held._expiry_time = held._expiry_time.replace(year=2020)
    ours.account()
    assert [entry["operation"] for entry in aws.requests()].count("AssumeRole") == 2


def test_region_of_the_target(aws: FakeAws) -> None:
    """The target's region is used, whatever the environment says."""
    clients(AwsTarget("123456789012", "eu-central-1", None)).aws("cloudformation").create_stack(
        StackName="there", TemplateBody='{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}'
    )
    assert failure(lambda: clients().aws("cloudformation").describe_stacks(StackName="there")).reason == (
        "ValidationError"
    )


@pytest.mark.parametrize(
    ("fault", "transient"),
    [
        ({"code": "Throttling", "status": 400}, True),
        ({"code": "ThrottlingException", "status": 400}, True),
        ({"code": "RequestLimitExceeded", "status": 503}, True),
        ({"code": "InternalFailure", "status": 500}, True),
        ({"code": "Whatever", "status": 500}, True),
        ({"code": "Whatever", "status": 502}, True),
        ({"code": "Whatever", "status": 429}, True),
        ({"code": "AccessDenied", "status": 403}, False),
        ({"code": "ValidationError", "status": 400}, False),
        ({"code": "ExpiredToken", "status": 403}, False),
        ({"code": "LimitExceeded", "status": 400}, False),
    ],
)
def test_answered_errors(aws: FakeAws, fault: dict[str, Any], transient: bool) -> None:
    """An error keeps the service's code, status and message, and says whether a retry may help."""
    aws.fault(operation="DescribeStacks", message="the sentence", **fault)
    error = failure(lambda: clients().aws("cloudformation").describe_stacks(StackName="x"))
    assert (error.service, error.operation) == ("cloudformation", "DescribeStacks")
    assert (error.reason, error.http_status, error.transient) == (fault["code"], fault["status"], transient)
    assert "the sentence" in error.message


def test_retry_after_is_kept(aws: FakeAws) -> None:
    """The service's requested wait is passed on."""
    aws.fault(operation="DescribeStacks", code="Throttling", retry_after=7)
    assert failure(lambda: clients().aws("cloudformation").describe_stacks(StackName="x")).retry_after == 7.0


def test_no_answer_is_transient(aws: FakeAws) -> None:
    """A connection that closes without an answer is transient, and says so by its name."""
    aws.fault(operation="DescribeStacks", kind="drop")
    error = failure(lambda: clients().aws("cloudformation").describe_stacks(StackName="x"))
    assert (error.reason, error.transient) == ("ConnectionClosed", True)


def test_an_endpoint_that_refuses_connections_is_transient(
    aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service may be restarting."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    error = failure(clients().account)
    assert (error.reason, error.transient) == ("EndpointConnection", True)


def test_half_an_answer_is_transient(aws: FakeAws) -> None:
    """An answer that is not XML is a proxy's page, or was cut off."""
    aws.fault(operation="GetCallerIdentity", kind="garble")
    error = failure(clients().account)
    assert (error.reason, error.transient) == ("ResponseParser", True)
    assert "proxy" not in error.message, "a torn answer may hold credentials"
    assert error.__cause__ is None


def test_no_credentials(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without credentials the message says how to set some; the error is not transient."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    error = failure(clients().account)
    assert (error.reason, error.transient) == ("NoCredentials", False)
    assert "AWS_PROFILE" in error.message


@pytest.mark.parametrize("variable", ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"])
def test_a_missing_profile_is_named(aws: FakeAws, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """With the variable that names it: the advice to set a profile would not help here."""
    monkeypatch.setenv(variable, "nope")
    error = failure(lambda: clients().account())
    assert (error.reason, error.transient) == ("NoCredentials", False)
    assert f"the profile nope ({variable}) is not in the AWS configuration" in error.message
    assert "no AWS credentials" not in error.message


def test_an_invalid_region_is_a_mistake_in_the_file(aws: FakeAws) -> None:
    """No retry makes it valid."""
    error = failure(clients(AwsTarget("123456789012", "eu central", None)).account)
    assert (error.reason, error.transient) == ("InvalidRegion", False)
    assert "eu central" in error.message


def test_an_incomplete_answer_is_transient() -> None:
    """It was cut off, or a proxy's."""
    model = SimpleNamespace(operation_model=lambda _name: SimpleNamespace(output_shape=None))
    meta = SimpleNamespace(method_to_api_mapping={"list_buckets": "ListBuckets"}, service_model=model)
    client = TranslatedClient(SimpleNamespace(meta=meta, list_buckets=dict), "s3", time.time)
    error = failure(lambda: client.list_buckets()["Buckets"])
    assert (error.reason, error.transient) == ("ResponseParser", True)
    assert error.message == "s3 ListBuckets: the answer lacks Buckets"


def test_bad_argument(aws: FakeAws) -> None:
    """A wrong argument is reported as our bug, not as an answer."""
    error = failure(lambda: clients().aws("cloudformation").describe_stacks(Stack="x"))
    assert (error.reason, error.transient) == ("ParamValidation", False)


def test_errors_hold_no_secret(aws: FakeAws) -> None:
    """No message carries the key or its secret."""
    aws.fault(operation="DescribeStacks", code="SignatureDoesNotMatch", status=403, message="bad signature")
    error = failure(lambda: clients().aws("cloudformation").describe_stacks(StackName="x"))
    assert SECRET not in repr(error) + error.message
    assert SECRET not in repr(vars(clients()))


@pytest.mark.parametrize("name", ["get_paginator", "get_waiter", "exceptions", "no_such_operation"])
def test_only_operations(aws: FakeAws, name: str) -> None:
    """Paginators and waiters are refused by name: they would hide errors or block a thread."""
    with pytest.raises(AttributeError, match="wait_until"):
        getattr(clients().aws("cloudformation"), name)


def test_one_client_per_target(aws: FakeAws) -> None:
    """Eight threads that ask at once get the same client."""
    ours = AwsClients(now=time.time, attempts=1)
    got: list[Any] = []
    threads = [
        threading.Thread(target=lambda: got.append(ours.for_target(TARGET).aws("s3"))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(got) == 8
    assert len({id(client) for client in got}) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("12", 12.0),
        ("-3", 0.0),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:00:00 GMT", 0.0),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    """Seconds or a date; an invalid value is ignored."""
    assert retry_after(header, 1445412480.0) == seconds


@pytest.mark.parametrize(
    ("client", "waits"),
    [
        (lambda: clients().aws("s3")._client, (5.0, 30.0, 1)),
        (lambda: boto_client("s3", "us-east-1"), (5.0, 10.0, 2)),
        (lambda: boto_clients("us-east-1")("s3"), (3.0, 10.0, 3)),
    ],
)
def test_no_client_waits_as_long_as_boto3s_default(
    aws: FakeAws, client: Any, waits: tuple[float, float, int]
) -> None:
    """By default it makes five attempts of a minute; a person waits, or a Lambda function.

    CloudTrail shows whose calls they are.
    """
    config = client().meta.config
    assert (config.connect_timeout, config.read_timeout, config.retries["total_max_attempts"]) == waits
    assert config.user_agent_extra == "closeout"


def test_import_is_cheap() -> None:
    """Importing the adapter does not import boto3."""
    code = "import sys, closeout.adapters.aws; sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_our_own_error_is_not_translated() -> None:
    """It is not an answer of AWS."""
    with pytest.raises(ZeroDivisionError), translated("s3", "ListObjects", lambda: 0.0):
        raise ZeroDivisionError
