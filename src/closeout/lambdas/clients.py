"""What a run calls on AWS before it posts `pending`, without boto3: the ledger's table, and Secrets Manager.

Importing boto3 and making its clients takes longer than the rest of a cold start. These two speak as boto3's clients do,
over the receiver's signed connections; every other service has its boto3 client, made when a step first needs it.
"""

from __future__ import annotations

import os
from binascii import a2b_base64, b2a_base64
from collections import ChainMap
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from closeout.lambdas.aws_client import AwsClient

Call = Callable[..., dict[str, Any]]


def late_clients(
    region: str, connect: Callable[[Mapping[str, str]], AwsClient] = AwsClient
) -> Callable[[str], Any]:
    """Return the clients of a region: DynamoDB's and Secrets Manager's over signed connections, others of boto3."""
    from closeout.adapters.boto import boto_clients  # noqa: PLC0415 - makes a start slower

    aws = connect(ChainMap({"AWS_REGION": region}, os.environ))
    aws.connect_ahead("dynamodb", "secretsmanager")
    signed = {"dynamodb": DynamoDb(aws), "secretsmanager": SecretsManager(aws)}
    boto = cache(lambda: boto_clients(region))

    def client(service: str) -> Any:
        return signed[service] if service in signed else LateClient(lambda: boto()(service))

    return client


class LateClient:
    """A client that is made at its first call."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, method: str) -> Any:
        return getattr(self._make(), method)


class DynamoDb:
    """Boto3's methods for DynamoDB. Each raises `ServiceError`."""

    def __init__(self, aws: AwsClient) -> None:
        self._aws = aws

    def __getattr__(self, method: str) -> Call:
        target = f"DynamoDB_20120810.{method.title().replace('_', '')}"

        def call(**arguments: Any) -> dict[str, Any]:
            answer: dict[str, Any] = from_wire(self._aws.json_call("dynamodb", target, to_wire(arguments)))
            return answer

        return call


class SecretsManager:
    """Boto3's method for Secrets Manager that reads secrets."""

    def __init__(self, aws: AwsClient) -> None:
        self._aws = aws

    def get_secret_value(self, **arguments: str) -> dict[str, Any]:
        """Return a version of a secret; a date is in seconds since the epoch. Raises `ServiceError`."""
        answer: dict[str, Any] = self._aws.json_call(
            "secretsmanager", "secretsmanager.GetSecretValue", arguments, version="1.1"
        )
        if "SecretBinary" in answer:
            answer["SecretBinary"] = a2b_base64(answer["SecretBinary"])
        return answer


def to_wire(value: Any) -> Any:
    """Return a request with its binary values as base64, as DynamoDB's JSON has them."""
    if isinstance(value, bytes):
        return b2a_base64(value, newline=False).decode()
    if isinstance(value, Mapping):
        return {key: to_wire(part) for key, part in value.items()}
    return [to_wire(part) for part in value] if isinstance(value, list | tuple) else value


def from_wire(value: Any) -> Any:
    """Return an answer whose binary attributes are bytes."""
    if isinstance(value, list):
        return [from_wire(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"B"} and isinstance(value["B"], str):
        return {"B": a2b_base64(value["B"])}
    return {key: from_wire(part) for key, part in value.items()}
