"""The user's code of the tests' stack: functions that note what they do, wait, die, and try what they may not."""

import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any


def _note(**what: Any) -> int:
    """Write a line where the test reads it; return how many lines this pull request had before."""
    path = Path(os.environ["NOTES"])
    before = path.read_text("utf-8").splitlines() if path.exists() else []
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**what, "pid": os.getpid()}) + "\n")
    about = (what["repository"], what["number"])
    return sum((line["repository"], line["number"]) == about for line in map(json.loads, before))


def note(context: Any, seconds: float = 0.0) -> dict[str, Any]:
    """Note the beginning and the end of a call that takes a while."""
    about = {"repository": context.event["repository"]["full_name"], "number": context.event["number"]}
    _note(what="begin", run=context.run_id, **about)
    time.sleep(seconds)
    _note(what="end", run=context.run_id, **about)
    return {"length": len(json.dumps(context.event))}


def linger(context: Any) -> dict[str, Any]:
    """Take a minute the first time, and no time from then on."""
    about = {"repository": context.event["repository"]["full_name"], "number": context.event["number"]}
    if _note(what="begin", run=context.run_id, **about) == 0:
        time.sleep(60)
    _note(what="end", run=context.run_id, **about)
    return {}


def stumble(context: Any) -> dict[str, Any]:
    """Fail the first time."""
    about = {"repository": context.event["repository"]["full_name"], "number": context.event["number"]}
    if _note(what="begin", run=context.run_id, **about) == 0:
        raise RuntimeError("the database of the preview is busy")
    return {}


def overreach(context: Any) -> dict[str, str]:
    """Try with the worker's own credentials what nothing in the configuration needs; return each refusal's code."""
    import boto3
    from botocore.exceptions import ClientError

    table, bucket = os.environ["CLOSEOUT_TABLE"], os.environ["CLOSEOUT_BUCKET"]
    secret = os.environ["CLOSEOUT_GITHUB_SECRET"]
    region = os.environ["AWS_REGION"]
    worker = os.environ["AWS_LAMBDA_FUNCTION_NAME"]

    def client(service: str) -> Any:
        return boto3.client(service, region_name=region)

    calls: dict[str, Callable[[], Any]] = {
        "delete its own table": lambda: client("dynamodb").delete_table(TableName=table),
        "delete its own bucket": lambda: client("s3").delete_bucket(Bucket=bucket),
        "replace its own token": lambda: client("secretsmanager").put_secret_value(
            SecretId=secret, SecretString="x"
        ),
        "delete its own function": lambda: client("lambda").delete_function(FunctionName=worker),
        "delete its own stack": lambda: client("cloudformation").delete_stack(
            StackName="closed-pr-event-stack"
        ),
        "delete a stack of another name": lambda: client("cloudformation").delete_stack(
            StackName="production"
        ),
        "list buckets": lambda: client("s3").list_buckets(),
        "start a build": lambda: client("codebuild").start_build(projectName="production"),
        "make a user": lambda: client("iam").create_user(UserName="mallory"),
        "read another table": lambda: client("dynamodb").scan(TableName="customers"),
    }
    found = {}
    for name, call in calls.items():
        try:
            call()
            found[name] = "allowed"
        except ClientError as error:
            found[name] = str(error.response["Error"]["Code"])
    context.log(json.dumps(found))
    return found


def seize(context: Any) -> dict[str, str]:
    """Try to take closeout itself away, with the worker's own credentials; return each refusal's words."""
    import boto3
    from botocore.exceptions import ClientError

    stack = "closed-pr-event-stack"

    def client(service: str) -> Any:
        return boto3.client(service, region_name=os.environ["AWS_REGION"])

    sqs, functions, alarms, api = client("sqs"), client("lambda"), client("cloudwatch"), client("apigateway")
    queues = sqs.list_queues(QueueNamePrefix=stack)["QueueUrls"]
    names = [one["FunctionName"] for one in functions.list_functions()["Functions"]]
    chores = next(name for name in names if "Chores" in name)
    # Its own: by the tag of another stack's API the emulator does not decide (cdk/tests/test_several_stacks.py does).
    apis = [one["id"] for one in api.get_rest_apis()["items"] if one["name"] == stack]
    bell = f"{stack}-FailedRuns"
    calls: dict[str, Callable[[], Any]] = {
        "delete somebody else's queue": lambda: sqs.delete_queue(
            QueueUrl=sqs.get_queue_url(QueueName="somebody-elses")["QueueUrl"]
        ),
        "make an alarm deaf": lambda: alarms.put_metric_alarm(
            AlarmName=bell,
            Namespace="closeout",
            MetricName="Nothing",
            Statistic="Sum",
            Period=300,
            EvaluationPeriods=1,
            Threshold=1e9,
            ComparisonOperator="GreaterThanThreshold",
        ),
        "empty the bucket": lambda: functions.invoke(
            FunctionName=chores, Payload=json.dumps({"RequestType": "Delete"})
        ),
        "delete the table": lambda: client("dynamodb").delete_table(TableName=os.environ["CLOSEOUT_TABLE"]),
        "delete the bucket": lambda: client("s3").delete_bucket(Bucket=os.environ["CLOSEOUT_BUCKET"]),
        "delete the token": lambda: client("secretsmanager").delete_secret(
            SecretId=os.environ["CLOSEOUT_GITHUB_SECRET"]
        ),
        "delete the stack": lambda: client("cloudformation").delete_stack(StackName=stack),
    }
    calls |= {
        f"delete function {name}": partial(functions.delete_function, FunctionName=name) for name in names
    }
    calls |= {f"delete api {name}": partial(api.delete_rest_api, restApiId=name) for name in apis}
    for number, url in enumerate(queues):
        calls[f"read queue {number}"] = partial(sqs.receive_message, QueueUrl=url)
        calls[f"purge queue {number}"] = partial(sqs.purge_queue, QueueUrl=url)
        calls[f"delete queue {number}"] = partial(sqs.delete_queue, QueueUrl=url)
    found = {}
    for name, call in calls.items():
        try:
            call()
            found[name] = "done"
        except ClientError as error:
            found[name] = str(error.response["Error"].get("Message"))
    context.log(json.dumps(found))
    return found


def greet(context: Any, name: str) -> dict[str, str]:
    """Say something, and return something back."""
    context.log(f"hello {name}")
    return {"greeted": name, "umlaut": "ä€𝄞"}


def refuse(context: Any) -> None:
    """Fail as users' code does."""
    raise ValueError(f"no such preview: {context.event.get('number')}")


def odd(context: Any, number: str) -> Any:
    """Give back what JSON has and what it has not, by the pull request's number."""
    results: dict[int, Any] = {0: None, 1: [1, 2.5, "x"], 2: {"set": {1}}, 3: float("nan"), 4: "x" * 200_000}
    return results[int(number) % 10]
