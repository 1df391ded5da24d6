"""The receiver on AWS: the Lambda function's entry.

It makes the environment's `receiver_app`, which decides what is answered, as soon as Lambda imports it.
"""

from __future__ import annotations

import os
from typing import Any

from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.receiver_app import Event, ReceiverApp


def _start() -> ReceiverApp:
    """Return this environment's receiver, while its connections to AWS are being made."""
    aws = AwsClient()
    aws.connect_ahead("secretsmanager", "dynamodb", "lambda")
    return ReceiverApp(os.environ, aws)


# While Lambda starts an environment, it gives it more of a processor than a request gets.
_APP = _start() if "CLOSEOUT_TABLE" in os.environ else None


def handler(event: Event, context: object) -> dict[str, Any]:
    """Answer one request. Lambda sets the variables that the start needs; without them there is no receiver."""
    del context
    return (_APP or _start()).answer(event)
