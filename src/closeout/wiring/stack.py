"""A deployed stack as commands see it: its outputs, its secrets, and clients of its region.

A command gets one name and finds everything else in the stack's outputs, so nobody copies URLs and names by hand, and no
command acts on another stack's resources. Secrets are read and written here; no message contains a value.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from closeout.core.errors import SecretError, ServiceError, Unavailable
from closeout.ports import AwsTarget
from closeout.stack.invocation import ALIVE
from closeout.stack.patrol import cleaning, recovering

if TYPE_CHECKING:
    from closeout.adapters.aws import TargetClients
    from closeout.wiring.stack_ledger import StackLedger

NO_REGION = (
    "The region of the stack is unknown: set AWS_REGION, or a region in the profile that AWS_PROFILE names."
)
POLL = 0.5
"""Seconds between two reads of an execution's state."""
ASKED = 120.0
"""Seconds to wait for what patrol's function does for a person: it starts the run for an orphan, or stores a delivery."""
_FOLLOWING = uuid.UUID("6f3c1c1e-7f0e-4c39-9d0b-2f6f0a9c5e21")


class StoredSecret(NamedTuple):
    """The current value of a secret. `created` is when it was stored, in seconds since the epoch."""

    value: str
    version: str
    created: float

    def __repr__(self) -> str:
        return "StoredSecret(…)"


class Stack(NamedTuple):
    """One deployed stack. Make it with `open_stack`."""

    name: str
    region: str
    outputs: Mapping[str, str]
    clients: TargetClients

    def output(self, key: str) -> str:
        """Return an output. Raises `Unavailable` when the stack has none of this name."""
        value = self.outputs.get(key)
        if not value:
            raise Unavailable(
                f"The stack {self.name} has no output {key}: either it is not one of closeout's, or it was deployed by"
                " another version; deploy it again with `cdk deploy`."
            )
        return value

    def client(self, service: str) -> Any:
        """Return a client of the stack's region whose errors are `ServiceError`."""
        return self.clients.aws(service)

    def ledger(self) -> StackLedger:
        """Return the stack's ledger."""
        from closeout.adapters.boto import boto_clients
        from closeout.adapters.clock import SystemClock
        from closeout.wiring.stack_ledger import LedgerResources, StackLedger

        resources = LedgerResources(
            table=self.output("TableName"),
            bucket=self.output("BucketName"),
            worker=self.output("WorkerAlias"),
            log_group=self.output("LogGroupName"),
        )
        return StackLedger(resources, boto_clients(self.region), SystemClock())

    def execute(self, function: str, event: Mapping[str, Any], deadline: float) -> Any:
        """Start a durable execution of a function of the stack, by its alias, and return its result.

        Raises `Unavailable` if it fails, or has not ended at `deadline` (`time.monotonic`), and `ServiceError`.
        """
        # The name makes a retry of the call start nothing twice.
        from closeout.ledger.dynamodb.starts import start_by_name

        client, payload = self.client("lambda"), json.dumps(event).encode()
        started = start_by_name(client, time.time, function, payload, str(uuid.uuid4()))
        while time.monotonic() < deadline:
            found = client.get_durable_execution(DurableExecutionArn=started)
            if found["Status"] == "SUCCEEDED":
                return json.loads(found["Result"])
            if found["Status"] not in ALIVE:
                why = found.get("Error", {}).get("ErrorMessage") or "its log group says why"
                raise Unavailable(f"The function {function} did not succeed ({found['Status']}): {why}.")
            time.sleep(POLL)
        raise Unavailable(f"The function {function} was started and is still working.")

    def clean(self, target: str, by: str) -> str:
        """Let patrol's function start the run that deletes an orphan; return its execution, or why there is none.

        Raises as `execute` does.
        """
        return str(self._ask_patrol(cleaning(target, by))["outcome"])

    def recover(self, guid: str) -> str:
        """Let patrol's function store a delivery that it left alone, without a run; return the delivery's id.

        Raises as `execute` does, and `Unavailable` with the reason why it is not stored.
        """
        found = self._ask_patrol(recovering(guid))
        if "error" in found:
            raise Unavailable(str(found["error"]))
        return str(found["delivery"])

    @property
    def tells(self) -> bool:
        """Whether the stack has a function that notifies people."""
        return bool(self.outputs.get("NotifyFunction"))

    def ask_notifiers(self, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Let the stack's function send test messages, or check URLs, as the event says; return its results.

        None if the stack has no such function. Raises `Unavailable` and `ServiceError`.
        """
        if not self.tells:
            return []
        function = self.output("NotifyFunction")
        answer = self.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
        said = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise Unavailable(f"The function {function} failed: {said.get('errorMessage')}.")
        return list(said["results"])

    def _ask_patrol(self, event: Mapping[str, Any]) -> Any:
        return self.execute(self.output("PatrolAlias"), event, time.monotonic() + ASKED)

    # --- secrets ----------------------------------------------------------------------------------------

    def secret(self, name: str) -> StoredSecret:
        """Read the current value of a secret. Raises `SecretError` when it has none, `ServiceError`."""
        answer = self._version(name, "AWSCURRENT")
        text = (answer or {}).get("SecretString")
        if answer is None or not text:
            raise SecretError(f"The secret {name} in {self.region} has no value, or there is no such secret.")
        return StoredSecret(str(text), str(answer["VersionId"]), answer["CreatedDate"].timestamp())

    def has_previous(self, name: str) -> bool:
        """Whether the secret had another value before its current one."""
        return self._version(name, "AWSPREVIOUS") is not None

    def changed(self, name: str) -> float | None:
        """Return when the current value was stored, if there was another one before it; reads no value.

        Raises `ServiceError`. A secret that is not there has not been changed.
        """
        try:
            answer = self.client("secretsmanager").list_secret_version_ids(SecretId=name)
        except ServiceError as error:
            if error.reason == "ResourceNotFoundException":
                return None
            raise
        stored = {
            stage: one["CreatedDate"] for one in answer["Versions"] for stage in one.get("VersionStages", ())
        }
        return (
            float(stored["AWSCURRENT"].timestamp()) if {"AWSCURRENT", "AWSPREVIOUS"} <= set(stored) else None
        )

    def put_secret(self, name: str, value: str, *, after: str | None = None) -> str | None:
        """Store a value as the current one; the one before stays as AWSPREVIOUS. Return the version's id.

        With `after`, the version that it follows, only one of several concurrent callers stores a value; the others get
        None (see ClientRequestToken of PutSecretValue).
        """
        token = following(name, after) if after else str(uuid.uuid4())
        try:
            answer = self.client("secretsmanager").put_secret_value(
                SecretId=name, SecretString=value, ClientRequestToken=token
            )
        except ServiceError as error:
            if error.reason == "ResourceNotFoundException":
                raise SecretError(
                    f"There is no secret {name} in {self.region}; deploy the stack again."
                ) from None
            if error.reason == "ResourceExistsException" and after:
                return None
            raise
        return str(answer["VersionId"])

    def _version(self, name: str, stage: str) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = self.client("secretsmanager").get_secret_value(
                SecretId=name, VersionStage=stage
            )
        except ServiceError as error:
            if error.reason == "ResourceNotFoundException":
                return None
            if error.reason == "AccessDeniedException":
                raise SecretError(
                    f"The secret {name} cannot be read: these credentials are neither those of the stack's functions"
                    " nor among its `secretReaders` (AccessDeniedException)."
                ) from None
            raise
        return answer


def following(name: str, version: str) -> str:
    """Return the id of the version that follows a version of a secret: the same for every caller."""
    return str(uuid.uuid5(_FOLLOWING, f"{name} {version}"))


def open_stack(name: str) -> Stack:
    """Find a stack and read its outputs.

    The region is AWS_REGION, else the one that boto3 finds (AWS_DEFAULT_REGION, the profile). Raises `Unavailable` without
    such a stack or without a region, `ServiceError` for every error of AWS.
    """
    from closeout.adapters.aws import AwsClients, translated
    from closeout.adapters.clock import SystemClock

    clock = SystemClock()
    with translated("cloudformation", "CreateClient", clock.now):
        region = _region()
    clients = AwsClients(now=clock.now).for_target(AwsTarget("", region, None))
    try:
        answer = clients.aws("cloudformation").describe_stacks(StackName=name)
    except ServiceError as error:
        if error.reason == "ValidationError" and "does not exist" in error.message:
            raise Unavailable(
                f"There is no stack {name} in {region} with these credentials; deploy it with `cdk deploy {name}`, or"
                " say where it is with AWS_REGION and AWS_PROFILE."
            ) from None
        raise
    found = answer["Stacks"][0]
    outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in found.get("Outputs", ())}
    return Stack(str(found["StackName"]), region, outputs, clients)


def _region() -> str:
    import boto3

    # botocore itself reads only AWS_DEFAULT_REGION; every other SDK, and Lambda, use AWS_REGION.
    region = os.environ.get("AWS_REGION") or boto3.Session().region_name
    if not region:
        raise Unavailable(NO_REGION)
    return str(region)
