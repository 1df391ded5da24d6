"""The chores, against moto over HTTP: what they do, what they leave alone, and that CloudFormation always gets an answer."""

from __future__ import annotations

import http.server
import importlib.util
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

HANDLER = Path(__file__).resolve().parent.parent / "closeout_cdk" / "housekeeping" / "handler.py"
ROLE = "arn:aws:iam::123456789012:role/closeout-logs"
EARLIER = "arn:aws:iam::123456789012:role/closeout-logs-before"
GONE = "arn:aws:iam::123456789012:role/was-deleted"
OTHERS = "arn:aws:iam::123456789012:role/somebody-elses"


class CloudFormation:
    """Takes the answers that a custom resource puts to its address."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        answers = self.answers

        class Taker(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Taker)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/answer"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    made = CloudFormation()
    yield made
    made.close()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An account over HTTP, in the environment as Lambda has it."""
    server = ThreadedMotoServer(port=0, ip_address="127.0.0.1", verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }.items():
        monkeypatch.setenv(name, value)
    boto3.DEFAULT_SESSION = None
    yield f"http://{host}:{port}"
    server.stop()
    boto3.DEFAULT_SESSION = None


class Context:
    """What Lambda says of an invocation."""

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 840_000


@pytest.fixture
def handler() -> Any:
    """The function's code as Lambda loads it: a file by itself."""
    spec = importlib.util.spec_from_file_location("handler", HANDLER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ask(
    handler: Any,
    cloudformation: CloudFormation,
    kind: str,
    gateway: Any = None,
    slept: Any = None,
    **properties: str,
) -> dict[str, Any]:
    """Send one request and return the answer to it; with `gateway` instead of an account's own."""
    event = {
        "RequestType": kind,
        "ResponseURL": cloudformation.url,
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "Chore",
        "ResourceProperties": properties,
        "OldResourceProperties": {"Role": EARLIER} if kind == "Update" else None,
    }
    if gateway is None:
        handler.handler(event, Context())
    else:
        handler.handle(event, lambda _service: gateway, slept, lambda: 840.0)
    return cloudformation.answers[-1]


class Stacks:
    """CloudFormation, which says one status after the other."""

    def __init__(self, statuses: Iterator[str]) -> None:
        self._statuses = statuses

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        assert StackName == "stack"
        return {"Stacks": [{"StackStatus": next(self._statuses)}]}


def test_a_bucket_is_emptied_when_the_stack_goes_and_not_before(
    aws: str, handler: Any, cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old versions and delete markers too. An update that keeps the ledger from now on deletes the chore, not the bodies."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="bodies", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_versioning(Bucket="bodies", VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        s3.put_object(Bucket="bodies", Key="bodies/a", Body=b"x")
    s3.delete_object(Bucket="bodies", Key="bodies/a")
    statuses = iter(["UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS"])
    monkeypatch.setattr(
        handler,
        "_client",
        lambda service: Stacks(statuses) if service == "cloudformation" else boto3.client(service),
    )
    for kind in ("Create", "Update", "Delete"):
        assert ask(handler, cloudformation, kind, Chore="empty", Bucket="bodies")["Status"] == "SUCCESS"
        assert s3.list_object_versions(Bucket="bodies")["Versions"]
    assert ask(handler, cloudformation, "Delete", Chore="empty", Bucket="bodies")["Status"] == "SUCCESS"
    left = s3.list_object_versions(Bucket="bodies")
    assert not left.get("Versions")
    assert not left.get("DeleteMarkers")
    s3.delete_bucket(Bucket="bodies")
    assert ask(handler, cloudformation, "Delete", Chore="empty", Bucket="bodies")["Status"] == "SUCCESS", (
        "gone already"
    )


class Gateway:
    """API Gateway's account and IAM as the chore sees them; `refuses` are tries that come before a new role is known.

    `roles` exist; `stages` are those of another API.
    """

    class exceptions:  # noqa: N801 - boto3's own name
        class BadRequestException(Exception):
            pass

        class ClientError(Exception):
            pass

        class NoSuchEntityException(ClientError):
            pass

    def __init__(
        self, role: str = "", refuses: int = 0, stages: tuple[dict[str, Any], ...] = (), denied: bool = False
    ) -> None:
        self.role = role
        self.refuses = refuses
        self.stages = stages
        self.denied = denied
        self.roles = {ROLE, OTHERS}
        self.attached = {ROLE}

    def get_account(self) -> dict[str, str]:
        return {"cloudwatchRoleArn": self.role} if self.role else {}

    def update_account(self, patchOperations: list[dict[str, str]]) -> None:  # noqa: N803
        if self.refuses:
            self.refuses -= 1
            raise self.exceptions.BadRequestException("The role ARN does not have required permissions set")
        (change,) = patchOperations
        assert (change["op"], change["path"]) == ("replace", "/cloudwatchRoleArn")
        self.role = change["value"]

    def get_paginator(self, name: str) -> Any:
        assert name == "get_rest_apis"
        return self

    def paginate(self) -> Any:
        yield {"items": [{"id": "empty"}, {"id": "other"}]}

    def get_stages(self, restApiId: str) -> dict[str, Any]:  # noqa: N803
        return {"item": list(self.stages) if restApiId == "other" else []}

    def get_role(self, RoleName: str) -> None:  # noqa: N803
        if self.denied:
            raise self.exceptions.ClientError("AccessDenied")
        if not any(role.endswith(f"/{RoleName}") for role in self.roles):
            raise self.exceptions.NoSuchEntityException

    def list_attached_role_policies(self, RoleName: str) -> dict[str, Any]:  # noqa: N803
        self.get_role(RoleName)
        return {"AttachedPolicies": [{"PolicyArn": "push"}] if self.attached else []}

    def detach_role_policy(self, RoleName: str, PolicyArn: str) -> None:  # noqa: N803
        assert (RoleName, PolicyArn) == ("closeout-logs", "push")
        self.attached.clear()

    def delete_role(self, RoleName: str) -> None:  # noqa: N803
        assert not self.attached, "IAM deletes no role with policies"
        self.roles.remove(f"arn:aws:iam::123456789012:role/{RoleName}")


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("Create", "", ROLE),
        ("Create", OTHERS, OTHERS),
        ("Create", GONE, ROLE),
        ("Update", OTHERS, OTHERS),
        ("Update", EARLIER, ROLE),
        ("Delete", ROLE, ""),
        ("Delete", OTHERS, OTHERS),
        ("Delete", "", ""),
    ],
)
def test_an_accounts_log_role_is_set_once_and_taken_back_if_it_is_ours(
    handler: Any,
    cloudformation: CloudFormation,
    kind: str,
    before: str,
    after: str,
) -> None:
    """Another's role is never replaced while it exists, and never taken away. Ours goes with the stack."""
    gateway = Gateway(before)
    assert ask(handler, cloudformation, kind, gateway, Chore="log-role", Role=ROLE)["Status"] == "SUCCESS"
    assert gateway.role == after
    assert (ROLE in gateway.roles) is (kind != "Delete")
    assert OTHERS in gateway.roles


def test_a_role_that_nobody_can_look_at_is_left(handler: Any, cloudformation: CloudFormation) -> None:
    """An error is no proof that it is gone."""
    gateway = Gateway(GONE, denied=True)
    ask(handler, cloudformation, "Create", gateway, Chore="log-role", Role=ROLE)
    assert gateway.role == GONE


@pytest.mark.parametrize(
    "logs",
    [
        {"accessLogSettings": {"destinationArn": "arn:aws:logs:eu-central-1:123456789012:log-group:x"}},
        {"methodSettings": {"*/*": {"loggingLevel": "ERROR"}}},
    ],
)
def test_the_role_stays_while_another_stage_logs_by_it(
    handler: Any, cloudformation: CloudFormation, logs: dict[str, Any]
) -> None:
    """The setting is the account's: a second stack, or anybody's API, would silently lose its log."""
    gateway = Gateway(ROLE, stages=({"stageName": "prod", **logs},))
    answer = ask(handler, cloudformation, "Delete", gateway, Chore="log-role", Role=ROLE)
    assert (answer["Status"], gateway.role) == ("SUCCESS", ROLE)
    assert ROLE in gateway.roles
    assert "other/prod" in answer["Reason"]
    gateway = Gateway(
        ROLE, stages=({"stageName": "prod", "methodSettings": {"*/*": {"loggingLevel": "OFF"}}},)
    )
    ask(handler, cloudformation, "Delete", gateway, Chore="log-role", Role=ROLE)
    assert gateway.role == ""


def test_a_role_whose_use_is_unknown_stays_and_the_stack_goes_all_the_same(
    handler: Any, cloudformation: CloudFormation
) -> None:
    """API Gateway answers few such requests a second. A stack whose deletion failed for that would stay in part."""

    class Throttled(Gateway):
        def get_stages(self, restApiId: str) -> dict[str, Any]:  # noqa: N803
            raise RuntimeError("TooManyRequestsException")

    gateway: Gateway = Throttled(ROLE)
    answer = ask(handler, cloudformation, "Delete", gateway, Chore="log-role", Role=ROLE)
    assert (answer["Status"], gateway.role) == ("SUCCESS", ROLE)
    assert answer["Reason"] == f"left {ROLE}: RuntimeError: TooManyRequestsException"
    assert ROLE in gateway.roles


def test_an_api_without_stages_needs_no_list_of_them(handler: Any, cloudformation: CloudFormation) -> None:
    """botocore leaves out what an answer does not hold."""

    class Bare(Gateway):
        def get_stages(self, restApiId: str) -> dict[str, Any]:  # noqa: N803
            return {}

    gateway: Gateway = Bare(ROLE)
    ask(handler, cloudformation, "Delete", gateway, Chore="log-role", Role=ROLE)
    assert gateway.role == ""


def test_a_new_role_is_waited_for(handler: Any, cloudformation: CloudFormation) -> None:
    """A new role takes effect within seconds, not at once."""
    gateway = Gateway(refuses=2)
    slept: list[float] = []
    assert (
        ask(handler, cloudformation, "Create", gateway, slept.append, Chore="log-role", Role=ROLE)["Status"]
        == "SUCCESS"
    )
    assert (gateway.role, slept) == (ROLE, [5, 5])


def test_cloudformation_hears_of_every_failure(
    aws: str, handler: Any, cloudformation: CloudFormation
) -> None:
    """It would wait for an hour otherwise."""
    answer = ask(handler, cloudformation, "Create", Chore="no such chore")
    assert (answer["Status"], answer["Reason"]) == ("FAILED", "ValueError: there is no chore 'no such chore'")
    assert answer["RequestId"] == "request"
    assert answer["PhysicalResourceId"] == "Chore"
