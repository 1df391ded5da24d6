"""What CloudFormation cannot do by itself, as a custom resource: three chores, each undone when the stack goes.

`empty`: a bucket that is not empty cannot be deleted. `log-role`: the account has one role by which every API in it
writes its access log; an existing one is never replaced. `publish`: the configuration that is deployed is written into
the ledger's table, for runs that wait on an older version of the worker, and for commands. It comes as a property, so
that a deployment that fails and goes back writes the one from before again. With what the runtime itself has: no bundle.
"""

from __future__ import annotations

import base64
import contextlib
import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

TRIES, PAUSE = 18, 5.0
"""A new role becomes known to API Gateway within a minute or so, a new right to a role too; pauses are in seconds."""


Clients = Callable[[str], Any]
Sleep = Callable[[float], None]


def handler(event: dict[str, Any], _context: Any) -> None:
    """Carry out one request of CloudFormation: the Lambda function's entry."""
    handle(event, _client, time.sleep)


def handle(event: dict[str, Any], clients: Clients, sleep: Sleep) -> None:
    """Carry it out, and answer it whatever happens: CloudFormation would wait for an hour."""
    status, reason, wanted = "SUCCESS", "", event["ResourceProperties"]
    try:
        if wanted["Chore"] == "empty":
            _empty(event["RequestType"], wanted["Bucket"], clients)
        elif wanted["Chore"] == "log-role":
            _log_role(event["RequestType"], wanted["Role"], _before(event), clients("apigateway"), sleep)
        elif wanted["Chore"] == "publish":
            _publish(event["RequestType"], wanted, clients("dynamodb"), sleep)
        else:
            raise ValueError(f"there is no chore {wanted['Chore']!r}")  # noqa: TRY301
    except Exception as error:  # noqa: BLE001 - the edge: CloudFormation must hear of it
        status, reason = "FAILED", f"{type(error).__name__}: {error}"
    print(json.dumps({"level": "info" if status == "SUCCESS" else "error", "status": status, "text": reason}))
    answer = {
        "Status": status,
        "Reason": reason or "done",
        "PhysicalResourceId": event.get("PhysicalResourceId") or event["LogicalResourceId"],
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    _answer(event["ResponseURL"], json.dumps(answer).encode())


def _answer(url: str, body: bytes) -> None:
    request = urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 - the address is CloudFormation's


def _empty(kind: str, bucket: str, clients: Clients) -> None:
    """Delete all that is in the bucket, when it is about to go itself."""
    if kind != "Delete":
        return
    s3 = clients("s3")
    try:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            found = [
                {"Key": item["Key"], "VersionId": item["VersionId"]}
                for item in page.get("Versions", []) + page.get("DeleteMarkers", [])
            ]
            if found:
                s3.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})
    except s3.exceptions.NoSuchBucket:
        return


def _before(event: dict[str, Any]) -> str:
    """Give the role that an update replaces."""
    return str((event.get("OldResourceProperties") or {}).get("Role") or "")


def _log_role(kind: str, role: str, before: str, gateway: Any, sleep: Sleep) -> None:
    """Set the account's role if there is none, or our earlier one; take it away again if it is still ours."""
    current = gateway.get_account().get("cloudwatchRoleArn") or ""
    if kind == "Delete":
        if current == role:
            _set(gateway, "")
        return
    if current not in ("", before):
        return
    for left in reversed(range(TRIES)):
        try:
            _set(gateway, role)
        except gateway.exceptions.BadRequestException:
            if not left:
                raise
            sleep(PAUSE)
        else:
            return


def _set(gateway: Any, role: str) -> None:
    change = {"op": "replace", "path": "/cloudwatchRoleArn", "value": role}
    gateway.update_account(patchOperations=[change])


def _publish(kind: str, wanted: dict[str, str], dynamodb: Any, sleep: Sleep) -> None:
    """Write the configuration, or take it away again if it is still the one that is there.

    A stack that goes and keeps its table must not leave word of what is no longer deployed. The item is `core.table.deployed_item`, which is not at hand here.
    """
    key = {"pk": {"S": "settings"}, "sk": {"S": "config"}}
    digest = {"S": wanted["Digest"]}
    if kind == "Delete":
        condition = {
            "ConditionExpression": "digest = :mine",
            "ExpressionAttributeValues": {":mine": digest},
        }
        gone = (
            dynamodb.exceptions.ConditionalCheckFailedException,
            dynamodb.exceptions.ResourceNotFoundException,
        )
        with contextlib.suppress(*gone):
            dynamodb.delete_item(TableName=wanted["Table"], Key=key, **condition)
        return
    data = {"B": base64.b64decode(wanted["Config"], validate=True)}
    item = {**key, "data": data, "digest": digest, "since": {"N": repr(time.time())}}
    _when_allowed(lambda: dynamodb.put_item(TableName=wanted["Table"], Item=item), dynamodb, sleep)


def _when_allowed(call: Callable[[], Any], client: Any, sleep: Sleep) -> None:
    """Make a call whose right may be seconds old: it came with the same deployment."""
    for left in reversed(range(TRIES)):
        try:
            call()
        except client.exceptions.ClientError as error:
            if not left or error.response["Error"]["Code"] != "AccessDeniedException":
                raise
            sleep(PAUSE)
        else:
            return


def _client(service: str) -> Any:
    import boto3  # noqa: PLC0415 - from the runtime, and only when there is something to do

    return boto3.client(service)
