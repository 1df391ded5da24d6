"""The clients of the functions that carry out runs and send messages. boto3's are created only when a call needs one.

Importing boto3 and creating its clients takes longer than the rest of a cold start, and posting `pending` needs neither. The
receiver never imports boto3: it uses only `clients`.
"""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.clients import DynamoDb, SecretsManager


def lazy_clients(
    region: str, connect: Callable[[Mapping[str, str]], AwsClient] = AwsClient
) -> Callable[[str], Any]:
    """Return the clients of a region: DynamoDB's and Secrets Manager's over signed connections, others from boto3."""
    from closeout.adapters.boto import boto_clients  # noqa: PLC0415 - makes a start slower

    aws = connect(ChainMap({"AWS_REGION": region}, os.environ))
    aws.connect_ahead("dynamodb", "secretsmanager")
    signed = {"dynamodb": DynamoDb(aws), "secretsmanager": SecretsManager(aws)}
    boto = cache(lambda: boto_clients(region))

    def client(service: str) -> Any:
        return signed[service] if service in signed else LazyClient(lambda: boto()(service))

    return client


class LazyClient:
    """A client that is created at its first call."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, method: str) -> Any:
        return getattr(self._make(), method)
