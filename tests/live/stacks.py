"""The questions about stacks: whether closeout's own deploys, what its secrets allow, and what a delete leaves."""

from __future__ import annotations

import os
import secrets
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

from closeout.testing import deliveries
from tests.live import removal
from tests.live.question import Document, Expected, Findings, Question, Recording

CLOUDFORMATION = "https://docs.aws.amazon.com/AWSCloudFormation/latest"
SECRET_SCHEMA = f"{CLOUDFORMATION}/TemplateReference/aws-resource-secretsmanager-secret.html"
SECRET = "AWS::SecretsManager::Secret"
MB = 1_000_000
SIZES = {"1 MB": MB, "5.5 MB": 5_500_000, "6 MB": 6_300_000, "11 MB": 11 * MB}
"""Bodies as text: below and above what Lambda takes in one synchronous call, and above what API Gateway takes."""
NOT_ASKED: Findings = {"not asked": "closeout's stack was not deployed"}


def deploy(recording: Recording) -> Findings:
    """Deploy closeout's own stack under the recording's name."""
    code, text = recording.account.deploy(recording.folder, "own", {})
    found = recording.account.settled(recording.account.name, recording.times.stack)
    if found is None:
        raise RuntimeError(f"the CDK ended with {code} before there was a stack: {text[-1_500:]}")
    if api := recording.account.outputs(recording.account.name).get("ApiId"):
        recording.known[api] = "a1b2c3d4e5"
    return {"stack": found["StackStatus"], "failed": _failed_types(recording, recording.account.name)}


def _own(ask: Callable[[Recording], Findings]) -> Callable[[Recording], Findings]:
    """Ask only if closeout's stack is there."""

    def asked(recording: Recording) -> Findings:
        found = recording.account.stack(recording.account.name)
        ready = found is not None and found["StackStatus"].endswith(("CREATE_COMPLETE", "UPDATE_COMPLETE"))
        return ask(recording) if ready else NOT_ASKED

    return asked


def _failed_types(recording: Recording, stack: str) -> list[str]:
    """Return the types of the resources that failed in the last hundred events of a stack."""
    events = recording.account.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    failed = {one["ResourceType"] for one in events if one["ResourceStatus"].endswith("_FAILED")}
    return sorted(failed - {"AWS::CloudFormation::Stack"})


def edit_tag(recording: Recording) -> Findings:
    """Deploy again with one more tag on the two secrets."""
    recording.account.deploy(recording.folder, "own", {"recording:edit": "yes"})
    found = recording.account.settled(recording.account.name, recording.times.stack)
    status = found["StackStatus"] if found else "absent"
    failed = _failed_types(recording, recording.account.name)
    return {"refused": status != "UPDATE_COMPLETE", "stack": status, "failed": failed}


def drift(recording: Recording) -> Findings:
    """Look for drift of the two secrets."""
    from botocore.exceptions import ClientError

    name, said = recording.account.name, []
    for one in recording.account.resources(name):
        if one["ResourceType"] != SECRET:
            continue
        try:
            answer = recording.account.client("cloudformation").detect_stack_resource_drift(
                StackName=name, LogicalResourceId=one["LogicalResourceId"]
            )
            said.append(str(answer["StackResourceDrift"]["StackResourceDriftStatus"]))
        except ClientError as error:
            said.append(str(error.response["Error"]["Code"]))
    refused = not all(one in ("IN_SYNC", "MODIFIED", "DELETED") for one in said)
    return {"refused": refused, "answers": sorted(said)}


def large_body(recording: Recording) -> Findings:
    """Send bodies without a signature: what reaches the receiver is refused by it, with its own code."""
    headers = {"Content-Type": "application/json", "X-GitHub-Event": "ping"}
    return {name: _send(_webhook(recording), b"x" * size, headers) for name, size in SIZES.items()}


def _webhook(recording: Recording) -> str:
    outputs = recording.account.outputs(recording.account.name)
    if recording.account.emulated:
        return f"{os.environ['AWS_ENDPOINT_URL']}/_aws/execute-api/{outputs['ApiId']}/prod/webhook"
    return outputs["WebhookUrl"]


def _send(url: str, body: bytes, headers: dict[str, str]) -> str:
    """Return the status of an answer; an answer that does not come has the name of its error."""
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return str(answer.status)
    except urllib.error.HTTPError as error:
        return str(error.code)
    except OSError as error:
        return type(error).__name__


def deliver(recording: Recording) -> Findings:
    """Send a signed delivery, with a secret of the recording's own making; return what came of it."""
    account = recording.account
    secret, name = secrets.token_hex(24), account.outputs(account.name)["WebhookSecretName"]
    account.client("secretsmanager").put_secret_value(SecretId=name, SecretString=secret)
    body = deliveries.encode(deliveries.pull_request("closed", repository="acme/recorded"))
    headers = deliveries.signed_headers("pull_request", body, secret, str(uuid.uuid4()))
    answer = _send(_webhook(recording), body, headers)
    deadline = time.monotonic() + recording.times.end
    while not (waiting := _worker_executions(recording)) and time.monotonic() < deadline:
        recording.pause()
    for one in waiting:
        recording.suspended(one["DurableExecutionArn"], "StepStarted")
    return {"answer": answer, "executions": [one["Status"] for one in _worker_executions(recording)]}


def _worker_executions(recording: Recording) -> list[dict[str, Any]]:
    """Return the worker's executions."""
    function, _, alias = recording.account.outputs(recording.account.name)["WorkerAlias"].rpartition(":")
    listed: list[dict[str, Any]] = recording.account.client("lambda").list_durable_executions_by_function(
        FunctionName=function, Qualifier=alias
    )["DurableExecutions"]
    return listed


def destroy_own(recording: Recording) -> Findings:
    """Delete closeout's own stack while a run waits."""
    waiting = _worker_executions(recording)
    stack = _deleted(recording, recording.account.name)
    after = [recording.state(one["DurableExecutionArn"])["Status"] for one in waiting]
    return {"waited": [one["Status"] for one in waiting], "stack": stack, "executions": after}


def destroy_waiting(recording: Recording) -> Findings:
    """Delete the stack of a function whose execution waits."""
    arn, said = recording.start("destroy-waiting", {"do": "wait", "seconds": 7200})
    if arn is None:
        return {"started": said}
    recording.suspended(arn)
    stack = _deleted(recording, f"{recording.account.name}-probe")
    execution = recording.state(arn)["Status"]
    return {"stack": stack, "execution": execution, **recording.heard(arn, "destroy-waiting")}


def full_bucket(recording: Recording) -> Findings:
    """Delete a stack whose bucket holds two versions and a delete marker, then once more with the bucket empty."""
    stack = f"{recording.account.name}-watch"
    bucket = recording.account.outputs(stack)["Bucket"]
    s3 = recording.account.client("s3")
    for body in (b"one", b"two"):
        s3.put_object(Bucket=bucket, Key="object", Body=body)
    s3.delete_object(Bucket=bucket, Key="object")
    first = _deleted(recording, stack)
    failed = _failed_types(recording, stack) if first != "gone" else []
    removal.empty_bucket(recording.account, bucket)
    return {"full": first, "failed": failed, "emptied": _deleted(recording, stack)}


def _deleted(recording: Recording, name: str) -> str:
    """Ask for a stack's delete by its id; return its status once nothing is under way, or `gone`."""
    account = recording.account
    stack: dict[str, Any] | None = account.stack(name)
    if stack is None:
        return "gone"
    account.client("cloudformation").delete_stack(StackName=stack["StackId"])
    found = account.settled(stack["StackId"], recording.times.stack)
    return "gone" if found is None else str(found["StackStatus"])


_DEPLOY = Document("The template deploys as it is.", "docs/tutorial/first-teardown-on-aws.md")
_UPDATE = Document(
    "The update handler of a secret needs GetSecretValue, which the secret's policy denies.", SECRET_SCHEMA
)
_READ = Document(
    "The read handler of a secret needs GetSecretValue, which the secret's policy denies.", SECRET_SCHEMA
)
_PAYLOAD = Document(
    "A REST API takes 10 MB, a synchronous call of a function 6 MB.",
    "https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html",
)
_DRAIN = Document(
    "A durable function's delete is asynchronous: it drains the executions first.",
    "https://docs.aws.amazon.com/lambda/latest/api/API_DeleteFunction.html",
)
_FULL = Document(
    "A bucket must be empty, versions and delete markers included, before it can be deleted.",
    "https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html",
)
_TAKES = Document("A signed delivery is answered 202 and starts one run.", "docs/explanation/delivery.md")
_STANDING = {"Secrets": 2 / 30, "Alarms": 14 / 30}
"""Closeout's stack for a day; it stands for an hour or two."""

FIRST = Question(
    id="deploy",
    asks="Does closeout's own stack deploy?",
    expects=(Expected("stack", "CREATE_COMPLETE", _DEPLOY), Expected("failed", [], _DEPLOY)),
    ask=deploy,
    uses={**_STANDING, "DynamoDB writes": 100, "Lambda requests": 10, "Lambda time": 100},
    minutes=5,
)
QUESTIONS = (
    FIRST,
    Question(
        id="large-body",
        asks="Which size of a body does API Gateway not hand to the receiver, and what does it answer?",
        expects=tuple(
            Expected(size, code, _PAYLOAD)
            for size, code in {"1 MB": "401", "5.5 MB": "401", "6 MB": "413", "11 MB": "413"}.items()
        ),
        ask=_own(large_body),
        uses={"API Gateway": 10, "Lambda requests": 10, "Lambda time": 10},
    ),
    Question(
        id="deliver",
        asks="Does a signed delivery start a run, and does the run wait without a running function?",
        expects=(Expected("answer", "202", _TAKES), Expected("executions", ["RUNNING"], _TAKES)),
        ask=_own(deliver),
        uses={"Durable operations": 50, "Lambda requests": 50, "Lambda time": 60, "DynamoDB writes": 1_000},
    ),
    Question(
        id="drift",
        asks="Can CloudFormation look for drift of a secret whose policy denies it the value?",
        expects=(Expected("refused", True, _READ),),
        ask=_own(drift),
    ),
    Question(
        id="secret-tag",
        asks="Can a deployment change a tag of a secret whose policy denies CloudFormation the value?",
        expects=(Expected("refused", True, _UPDATE),),
        ask=_own(edit_tag),
        minutes=3,
    ),
)
LAST = (
    Question(
        id="destroy-own",
        asks="What happens to a run that waits while closeout's own stack is deleted?",
        expects=(Expected("stack", "gone", _DRAIN),),
        ask=_own(destroy_own),
        minutes=5,
    ),
    Question(
        id="destroy-waiting",
        asks="What happens to an execution that waits while its function's stack is deleted, and does the delete hang?",
        expects=(Expected("stack", "gone", _DRAIN),),
        ask=destroy_waiting,
        uses={"Durable operations": 10, "Lambda requests": 10, "Lambda time": 10},
        minutes=5,
    ),
    Question(
        id="full-bucket",
        asks="What does a delete of a stack with a full bucket leave?",
        expects=(
            Expected("full", "DELETE_FAILED", _FULL),
            Expected("failed", ["AWS::S3::Bucket"], _FULL),
            Expected("emptied", "gone", _FULL),
        ),
        ask=full_bucket,
        minutes=3,
    ),
)
"""These take away what the others ask with."""
