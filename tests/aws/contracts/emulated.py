"""Durable functions of a few lines on the emulated account, for contracts about Lambda and not about the stack."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from textwrap import indent
from typing import Any

import aws_durable_execution_sdk_python as sdk

from tests.emulator.launcher import Ministack

SECONDS = 30.0
"""For what must happen soon."""
HEAD = """
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration, StepConfig
from aws_durable_execution_sdk_python.retries import RetryPresets
from aws_durable_execution_sdk_python.waits import WaitForConditionConfig, WaitForConditionDecision
import os

def poll(context, check, until, name=None, initial=0, seconds=60):
    def strategy(state, attempt):
        if until(state):
            return WaitForConditionDecision.stop_polling()
        return WaitForConditionDecision.continue_waiting(Duration.from_seconds(seconds))
    config = WaitForConditionConfig(wait_strategy=strategy, initial_state=initial)
    return context.wait_for_condition(lambda state, _context: check(state), config, name=name)

@durable_execution
def handler(event, context):
"""
"""What the functions share; a function's own text follows, indented by four."""


def eventually(found: Callable[[], Any], what: str = "it did not happen") -> Any:
    """Return the first answer that is true."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        answer = found()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(what)


class Functions:
    """Creates durable functions in an account and starts them. Their dead letters are in `queue`."""

    def __init__(self, cloud: Ministack) -> None:
        self.cloud = cloud
        self.client = cloud.client("lambda")
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        iam = cloud.client("iam")
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        self._role = iam.create_role(RoleName="function", AssumeRolePolicyDocument=document)["Role"]["Arn"]
        rights = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        iam.put_role_policy(
            RoleName="function",
            PolicyName="all",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [rights]}),
        )
        self._count = 0

    def start(self, body: str, event: Any = None, name: str = "once", *, whole: bool = False) -> str:
        """Create a function and start it asynchronously by a name; return its execution's ARN.

        `body` is what the handler does, with the SDK's `context`; or the `whole` module, which may do without the SDK.
        """
        self._count += 1
        function = f"function{self._count}"
        self.client.create_function(
            FunctionName=function,
            Runtime="python3.13",
            Role=self._role,
            Handler="index.handler",
            Code={"ZipFile": bundle(body if whole else HEAD + indent(body.strip(), "    "))},
            Timeout=30,
            DurableConfig={"ExecutionTimeout": 86_400, "RetentionPeriodInDays": 1},
            Publish=True,
        )
        answer = self.client.invoke(
            FunctionName=function,
            Qualifier="1",
            InvocationType="Event",
            DurableExecutionName=name,
            Payload=json.dumps(event),
        )
        return str(answer["DurableExecutionArn"])

    def look(self, arn: str) -> dict[str, Any]:
        """Return the execution as it is."""
        return dict(self.client.get_durable_execution(DurableExecutionArn=arn))

    def ended(self, arn: str, skip: float = 30.0) -> dict[str, Any]:
        """Return the execution once it has ended; meanwhile set the clock forward by so much at a time."""

        def look() -> dict[str, Any] | None:
            found = self.look(arn)
            if found["Status"] != "RUNNING":
                return found
            if skip:
                self.cloud.skip(skip)
            return None

        return dict(eventually(look, f"{arn} did not end"))

    def history(self, arn: str) -> list[dict[str, Any]]:
        """Return the execution's events."""
        pages = self.client.get_paginator("get_durable_execution_history")
        asked = {"DurableExecutionArn": arn, "IncludeExecutionData": True}
        return [event for page in pages.paginate(**asked) for event in page["Events"]]


def bundle(source: str) -> bytes:
    """Return a zip of a module and the durable SDK, which Lambda's runtime has too."""
    archive = io.BytesIO()
    package = Path(str(sdk.__file__)).parent
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("index.py", source)
        for path in package.rglob("*.py"):
            made.write(path, f"{package.name}/{path.relative_to(package)}")
    return archive.getvalue()
