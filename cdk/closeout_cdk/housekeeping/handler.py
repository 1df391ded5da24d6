"""What CloudFormation cannot do by itself, as custom resources: four chores, each undone when the stack is deleted.

`empty`: CloudFormation cannot delete a bucket that is not empty. `stop`: Lambda drains the executions of a durable function that
is deleted. This may take as long as they wait, and nothing posts their statuses afterwards, so this chore stops them first.
`log-role`: all APIs of an account write their access logs with one role; the chore never replaces an existing one. `publish`:
the deployed configuration goes into the ledger's table, for runs that wait on an older version of the worker, and for commands;
so do the digests of its definitions, since the worker runs no other. The configuration is a property, so that a rollback
writes the previous one again. The code uses only what the runtime contains: it has no bundle.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import time
import urllib.request
import zlib
from collections.abc import Callable
from typing import Any

TRIES, PAUSE = 18, 5.0
"""A new role, or a new right of a role, takes effect within about a minute. The pause is in seconds."""
PERSISTENCE = 12
"""Tries of the first call when runs are stopped."""
CONFIG = {"pk": {"S": "settings"}, "sk": {"S": "config"}}
REMOVAL = {"pk": {"S": "settings"}, "sk": {"S": "removal"}}
ALIVE = ("RUNNING", "PAUSING", "PAUSED")
ARN = "DurableExecutionArn"
RESERVED = 90.0
"""Seconds of the function's time that are reserved for the answer."""
NAMED = 20
"""Most runs that an answer names: CloudFormation accepts 4 KB."""
LATE = 86_400.0
"""Seconds that a run may begin late, or be ended late: `stack.deployed.definition_lifetime`."""

Item = dict[str, Any]
Clients = Callable[[str], Any]
Sleep = Callable[[float], None]
Remaining = Callable[[], float]
"""Returns the seconds that are left of the function's time."""


def handler(event: dict[str, Any], context: Any) -> None:
    """Carry out one request of CloudFormation: the Lambda function's entry."""
    handle(event, _client, time.sleep, lambda: context.get_remaining_time_in_millis() / 1000.0)


def handle(event: dict[str, Any], clients: Clients, sleep: Sleep, remaining: Remaining) -> None:
    """Carry it out and always answer: without an answer CloudFormation waits for an hour."""
    status, reason, wanted = "SUCCESS", "", event["ResourceProperties"]
    try:
        if wanted["Chore"] == "empty":
            if _goes(event, clients):
                _empty(wanted["Bucket"], clients)
        elif wanted["Chore"] == "stop":
            reason = _stop(event, clients, sleep, remaining)
        elif wanted["Chore"] == "log-role":
            reason = _log_role(event, clients, sleep)
        elif wanted["Chore"] == "publish":
            _publish(event["RequestType"], wanted, clients("dynamodb"), sleep)
        else:
            raise ValueError(f"there is no chore {wanted['Chore']!r}")  # noqa: TRY301
    except Exception as error:  # noqa: BLE001 - the edge: CloudFormation must get an answer
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


def _goes(event: dict[str, Any], clients: Clients) -> bool:
    """Return whether the stack itself is being deleted, and not only this chore by an update."""
    if event["RequestType"] != "Delete":
        return False
    (stack,) = clients("cloudformation").describe_stacks(StackName=event["StackId"])["Stacks"]
    return stack["StackStatus"] in ("DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")


def _empty(bucket: str, clients: Clients) -> None:
    """Delete everything in the bucket, which is about to be deleted."""
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


def _stop(event: dict[str, Any], clients: Clients, sleep: Sleep, remaining: Remaining) -> str:
    """Stop every run when the stack is deleted, and wait for their final statuses. Return which runs have none.

    Never raises: runs that cannot be stopped must not keep the stack from being deleted.
    """
    try:
        if not _goes(event, clients):
            return ""
        wanted = event["ResourceProperties"]
        _tell_why(wanted["Table"], clients("dynamodb"), sleep)
        failed, stopped = _stop_all(wanted["Worker"], clients("lambda"), sleep, remaining)
        left = sorted({*failed, *stopped})
        while left and remaining() > RESERVED:
            # A look takes time as well, and there may be thousands.
            left = [
                run for run in left if remaining() < RESERVED or not _has_ended(run, wanted["Table"], clients)
            ]
            if not set(left) - set(failed):
                break
            sleep(PAUSE)
    except Exception as error:  # noqa: BLE001 - see above
        return f"the runs could not be stopped: {type(error).__name__}: {error}"
    more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
    return f"left without a final status: {', '.join(left[:NAMED])}{more}" if left else ""


def _tell_why(table: str, dynamodb: Any, sleep: Sleep) -> None:
    """Write the item from which the handler of failed executions learns why runs are stopped. They are stopped without it, too."""
    item = {**REMOVAL, "since": {"N": repr(time.time())}}
    try:
        _persist(lambda: dynamodb.put_item(TableName=table, Item=item), sleep)
    except Exception as error:  # noqa: BLE001 - see above
        print(json.dumps({"level": "error", "text": f"the reason of the stops was not stored: {error!r}"}))


def _stop_all(worker: str, functions: Any, sleep: Sleep, remaining: Remaining) -> tuple[list[str], list[str]]:
    """Stop all open executions. Return the runs that could not be stopped, and the stopped runs.

    Stop the newest first, because a run begins when the run before it in its queue has ended.
    """
    failed: list[str] = []
    stopped: list[str] = []
    seen: set[str] = set()
    while found := [one for one in _listed(worker, functions, sleep, seen) if one[ARN] not in seen]:
        seen.update(one[ARN] for one in found)
        _stop_each(found, functions, remaining, failed, stopped)
    return failed, stopped


def _listed(worker: str, functions: Any, sleep: Sleep, seen: set[str]) -> list[dict[str, Any]]:
    """Return the open executions. Raises an error only for the first list: what that one shows is stopped in any case.

    A single list may miss an execution that changes its status between two of its reads, or that another one starts, which
    hands its run over.
    """
    try:
        return list(_persist(lambda: _open(worker, functions), sleep))
    except Exception as error:
        if not seen:
            raise
        print(json.dumps({"level": "error", "text": f"runs that began late were not listed: {error!r}"}))
        return []


def _stop_each(
    found: list[dict[str, Any]], functions: Any, remaining: Remaining, failed: list[str], stopped: list[str]
) -> None:
    """Stop executions, the newest first; add each run to `failed` or to `stopped`."""
    for execution in sorted(found, key=lambda one: one["StartTimestamp"], reverse=True):
        run = re.sub(r"^.*?([a-z2-7]{26}-[0-9]+).*$", r"\1", execution["DurableExecutionName"])
        if remaining() < RESERVED:
            failed.append(run)
            continue
        try:
            functions.stop_durable_execution(
                DurableExecutionArn=execution[ARN],
                Error={"ErrorType": "StackRemoved", "ErrorMessage": "the stack was removed"},
            )
        except Exception as error:  # noqa: BLE001 - the others are stopped all the same
            print(json.dumps({"level": "error", "text": f"{run} was not stopped: {error!r}"}))
            failed.append(run)
        else:
            stopped.append(run)


def _open(worker: str, functions: Any) -> list[dict[str, Any]]:
    """Return all executions of the worker that have not ended."""
    pages = functions.get_paginator("list_durable_executions_by_function").paginate
    return [
        execution
        for status in ALIVE
        for page in pages(FunctionName=worker, Statuses=[status])
        for execution in page["DurableExecutions"]
    ]


def _persist(call: Callable[[], Any], sleep: Sleep) -> Any:
    """Make a call until it succeeds, for about a minute. Raises the last error."""
    for left in reversed(range(PERSISTENCE)):
        try:
            return call()
        except Exception:
            if not left:
                raise
            sleep(PAUSE)
    return None


def _has_ended(run: str, table: str, clients: Clients) -> bool:
    """Return whether the run's row says that it has finished, or does not exist. `stack.table.attempt_key` is its key.

    If the row cannot be read now, the run counts as unfinished.
    """
    run_id, _, attempt = run.partition("-")
    if not attempt.isdigit():
        return True  # somebody invoked the worker by hand: there is no run that could get a status
    key = {"pk": {"S": f"run#{run_id}"}, "sk": {"S": f"attempt#{int(attempt):06d}"}}
    try:
        item = clients("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    except Exception as error:  # noqa: BLE001 - it is read again
        print(json.dumps({"level": "error", "text": f"the row of {run} cannot be read now: {error!r}"}))
        return False
    return item is None or item["state"]["S"] == "finished"


def _before(event: dict[str, Any]) -> str:
    """Return the role that an update replaces."""
    return str((event.get("OldResourceProperties") or {}).get("Role") or "")


def _log_role(event: dict[str, Any], clients: Clients, sleep: Sleep) -> str:
    """Set the account's role unless it has one. On deletion, unset and delete ours, unless another stage uses it.

    CloudFormation does not know other stages, so it retains the role. Return a sentence if the role is left.
    """
    gateway, iam = clients("apigateway"), clients("iam")
    role = event["ResourceProperties"]["Role"]
    current = gateway.get_account().get("cloudwatchRoleArn") or ""
    if event["RequestType"] == "Delete":
        try:
            stage = _logging_stage(gateway) if current == role else None
            if stage is not None:
                return f"left {role}: the stage {stage} logs by it"
            if current == role:
                _set(gateway, "")
            _delete_role(iam, role.rpartition("/")[2])
        except Exception as error:  # noqa: BLE001 - a role that stays must not keep the stack from being deleted
            return f"left {role}: {type(error).__name__}: {error}"
        return ""
    if current not in ("", role, _before(event)) and _exists(iam, current):
        return ""
    for left in reversed(range(TRIES)):
        try:
            _set(gateway, role)
        except gateway.exceptions.BadRequestException:
            if not left:
                raise
            sleep(PAUSE)
        else:
            break
    return ""


def _logging_stage(gateway: Any) -> str | None:
    """Return a stage of any REST API that writes a log. Our own stage has been deleted before."""
    for page in gateway.get_paginator("get_rest_apis").paginate():
        for api in page.get("items", ()):
            for stage in gateway.get_stages(restApiId=api["id"]).get("item", ()):
                levels = {one.get("loggingLevel", "OFF") for one in stage.get("methodSettings", {}).values()}
                if stage.get("accessLogSettings", {}).get("destinationArn") or levels - {"OFF"}:
                    return f"{api['id']}/{stage['stageName']}"
    return None


def _exists(iam: Any, arn: str) -> bool:
    """Return whether the role exists; if that is unknown, it counts as existing."""
    try:
        iam.get_role(RoleName=arn.rpartition("/")[2])
    except iam.exceptions.NoSuchEntityException:
        return False
    except iam.exceptions.ClientError:
        return True
    return True


def _delete_role(iam: Any, name: str) -> None:
    with contextlib.suppress(iam.exceptions.NoSuchEntityException):
        for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
        iam.delete_role(RoleName=name)


def _set(gateway: Any, role: str) -> None:
    change = {"op": "replace", "path": "/cloudwatchRoleArn", "value": role}
    gateway.update_account(patchOperations=[change])


def _publish(kind: str, wanted: dict[str, str], dynamodb: Any, sleep: Sleep) -> None:
    """Write the configuration and its definitions' digests, or remove the configuration if it is still this one.

    A deleted stack that keeps its table must not leave a configuration there that is no longer deployed. The items are those of
    `stack.table.deployed_item` and `known_item`, which cannot be imported here.
    """
    table = wanted["Table"]
    digest = {"S": wanted["Digest"]}
    if kind == "Delete":
        gone = (
            dynamodb.exceptions.ConditionalCheckFailedException,
            dynamodb.exceptions.ResourceNotFoundException,
        )
        with contextlib.suppress(*gone):
            condition = {
                "ConditionExpression": "digest = :mine",
                "ExpressionAttributeValues": {":mine": digest},
            }
            dynamodb.delete_item(TableName=table, Key=CONFIG, **condition)
            _know({}, table, dynamodb)
        return
    packed = base64.b64decode(wanted["Config"], validate=True)
    definitions = _definitions(packed, json.loads(wanted.get("Further", "{}")))
    _when_allowed(lambda: _know(definitions, table, dynamodb), dynamodb, sleep)
    item = {**CONFIG, "data": {"B": packed}, "digest": digest, "since": {"N": repr(time.time())}}
    dynamodb.put_item(TableName=table, Item=item)


def _know(deployed: dict[str, Item], table: str, dynamodb: Any) -> None:
    """Write the definitions that are deployed now, and how long runs may still use those that no longer are.

    The stored items say what was deployed before, so a repetition changes nothing. A release without digests left only the
    configuration: its runs must be accepted, too.
    """
    found = _known(table, dynamodb)
    packed = dynamodb.get_item(TableName=table, Key=CONFIG, ConsistentRead=True).get("Item", {}).get("data")
    former = {**(_definitions(packed["B"]) if packed else {}), **found}
    for item in deployed.values():
        dynamodb.put_item(TableName=table, Item=item)
    for name, item in former.items():
        if name not in deployed and "expires" not in item:
            until = int(time.time() + float(item["seconds"]["N"]))
            dynamodb.put_item(TableName=table, Item={**item, "expires": {"N": str(until)}})


def _known(table: str, dynamodb: Any) -> dict[str, Item]:
    """Return the stored items of definitions, by sort key."""
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
        ExpressionAttributeValues={":pk": CONFIG["pk"], ":sk": {"S": "definition#"}},
        ConsistentRead=True,
    )
    return {item["sk"]["S"]: item for page in pages for item in page["Items"]}


def _definitions(packed: bytes, further: dict[str, list[str]] | None = None) -> dict[str, Item]:
    """Return the items of the definitions in a packed configuration, by sort key. `stack.deployed` has the format.

    `further` are the digests, by automation, of what further attempts derive from its definitions.
    """
    items = {}
    for automation in json.loads(zlib.decompress(packed))["automations"]:
        text = json.dumps(automation, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        seconds = automation["queue_timeout"] + automation["timeout"] + LATE
        about = {"automation": {"S": automation["name"]}, "seconds": {"N": repr(seconds)}}
        own = hashlib.sha256(text.encode()).hexdigest()
        for digest in (own, *(further or {}).get(automation["name"], ())):
            name = f"definition#{digest}"
            items[name] = {"pk": CONFIG["pk"], "sk": {"S": name}, **about}
    return items


def _when_allowed(call: Callable[[], Any], client: Any, sleep: Sleep) -> None:
    """Make a call whose right may be seconds old, because the same deployment added it."""
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
