"""The receiver on AWS: the Lambda function's entry.

It creates the environment's `receiver_app`, which decides the answers, as soon as Lambda imports it.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.receiver_app import Event, ReceiverApp


@cache
def receiver() -> ReceiverApp:
    """Return this environment's receiver, while its connections to AWS are being made."""
    aws = AwsClient()
    aws.connect_ahead("secretsmanager", "dynamodb", "lambda")
    return ReceiverApp(os.environ, aws)


# Lambda gives an environment more processor time while it starts than during an invocation.
if "CLOSEOUT_TABLE" in os.environ:
    receiver()


def handler(event: Event, context: object) -> dict[str, Any]:
    """Answer one request. Lambda sets the variables that the start needs; without them there is no receiver."""
    del context
    return receiver().answer(event)
