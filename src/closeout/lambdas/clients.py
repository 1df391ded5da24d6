"""DynamoDB and Secrets Manager without boto3, for the receiver and for a run's calls before it posts `pending`.

Importing boto3 and creating its clients takes longer than the rest of a cold start. These two have the methods of boto3's
clients, over signed connections of the standard library; `lazy_clients` has the others.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from typing import Any

from closeout.lambdas.aws_client import AwsClient

Call = Callable[..., dict[str, Any]]


class DynamoDb:
    """boto3's methods for DynamoDB. Each raises `ServiceError`."""

    def __init__(self, aws: AwsClient) -> None:
        self._aws = aws

    def __getattr__(self, method: str) -> Call:
        target = f"DynamoDB_20120810.{method.title().replace('_', '')}"

        def call(**arguments: Any) -> dict[str, Any]:
            answer: dict[str, Any] = from_wire(self._aws.json_call("dynamodb", target, to_wire(arguments)))
            return answer

        return call


class SecretsManager:
    """boto3's method for reading secrets from Secrets Manager."""

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
    """Return a request with its binary values as base64, as in DynamoDB's JSON."""
    if isinstance(value, bytes):
        return b2a_base64(value, newline=False).decode()
    if isinstance(value, Mapping):
        return {key: to_wire(part) for key, part in value.items()}
    return [to_wire(part) for part in value] if isinstance(value, list | tuple) else value


def from_wire(value: Any) -> Any:
    """Return an answer with its binary attributes as bytes."""
    if isinstance(value, list):
        return [from_wire(part) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"B"} and isinstance(value["B"], str):
        return {"B": a2b_base64(value["B"])}
    return {key: from_wire(part) for key, part in value.items()}
