"""Read the webhook's secret from Secrets Manager with the standard library, for `core.secrets.CachedSecret`.

The receiver cannot wait for boto3; `adapters.secrets` uses it for everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from closeout.core.errors import SecretError, ServiceError
from closeout.core.secrets import PREVIOUS_SECONDS, Active
from closeout.lambdas.aws_client import AwsClient
from closeout.lambdas.clients import SecretsManager


class WebhookSecret:
    """`core.secrets.ActiveSecrets` whose references are ARNs or names of secrets."""

    def __init__(self, aws: AwsClient, now: Callable[[], float]) -> None:
        self._client = SecretsManager(aws)
        self._now = now

    def read_active(self, reference: str) -> tuple[Active, ...]:
        """Return the current value and, for a day after a rotation, the previous one. Raises `SecretError`."""
        current = self._version(reference, "AWSCURRENT")
        if current is None or not current.get("SecretString"):
            raise SecretError(
                f"the secret {reference} has no value; store one with `closeout secret set webhook`"
            )
        found = [Active(current["SecretString"])]
        until = float(current.get("CreatedDate") or 0.0) + PREVIOUS_SECONDS
        if self._now() < until:
            previous = self._version(reference, "AWSPREVIOUS")
            if previous is not None and previous.get("SecretString"):
                found.append(Active(previous["SecretString"], until))
        return tuple(found)

    def _version(self, reference: str, stage: str) -> dict[str, Any] | None:
        """Read one version; None if there is none.

        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
        """
        try:
            return self._client.get_secret_value(SecretId=reference, VersionStage=stage)
        except ServiceError as error:
            if error.reason == "ResourceNotFoundException":
                return None
            raise SecretError(f"the secret {reference} cannot be read: {error.reason}") from None
