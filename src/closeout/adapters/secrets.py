"""Secrets by reference: from the environment, a file, or AWS Secrets Manager.

Only this module turns a reference into a value. An error names the reference and the fix; no value is ever
part of a message. `on_value` can pass each value to a redactor before anything can log it.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from closeout.adapters.boto import boto_client
from closeout.core.errors import SecretError, ServiceError
from closeout.core.secrets import PREVIOUS_SECONDS, Active

FILE_LIMIT = 65_536
FORMS = "env:NAME, file:PATH or aws-secretsmanager:NAME[#json-key]"


@dataclass(repr=False)  # the environment contains secrets
class SecretReader:
    """Implements `ports.Secrets`.

    `client` returns the Secrets Manager client of a region, with `get_secret_value`, on first use; by default it is boto3's.
    The region is the ARN's own, else `region`, else None, and boto3 then finds one itself.
    Relative `file:` paths start at `directory`.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    client: Callable[[str | None], Any] | None = None
    region: str | None = None
    directory: Path = Path()
    now: Callable[[], float] = time.time
    on_value: Callable[[str], None] = lambda _value: None

    def __post_init__(self) -> None:
        self._client_of = cache(self.client or partial(boto_client, "secretsmanager"))

    def read(self, reference: str) -> tuple[str, ...]:
        """Return the active values, newest first, at least one. Raises `SecretError`."""
        return tuple(active.value for active in self.read_active(reference))

    def read_active(self, reference: str) -> tuple[Active, ...]:
        """Return the active values with their expiry times. Raises `SecretError`."""
        kind, _, rest = reference.partition(":")
        readers = {"env": self._variable, "file": self._file, "aws-secretsmanager": self._aws}
        if kind not in readers or not rest:
            raise SecretError(f"a secret reference is one of {FORMS}")
        found = readers[kind](reference, rest)
        for active in found:
            if not active.value:
                raise SecretError(f"{reference} is empty; put the secret's value there")
            self.on_value(active.value)
        return found

    def _variable(self, reference: str, name: str) -> tuple[Active, ...]:
        if name not in self.environment:
            raise SecretError(f"{reference} is not set; set the environment variable {name}")
        try:
            # Use the variable's bytes, because Python has decoded them by the locale, which may be ASCII or Latin-1.
            return (Active(os.fsencode(self.environment[name]).decode()),)
        except UnicodeError:
            raise SecretError(f"{reference} is not UTF-8 text") from None

    def _file(self, reference: str, path: str) -> tuple[Active, ...]:
        """Read a file that only its owner may read. This is checked on the open file, so that it cannot be swapped."""
        try:
            descriptor = os.open(self.directory / path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise SecretError(f"{reference} is not a file")
                if status.st_mode & self._forbidden(path):
                    raise SecretError(f"{reference} can be read or changed by others; run chmod 600 {path}")
                data = file.read(FILE_LIMIT + 1)
        except OSError as error:
            raise SecretError(
                f"{reference} cannot be read: {error.strerror or type(error).__name__}"
            ) from None
        if len(data) > FILE_LIMIT:
            raise SecretError(f"{reference} is larger than {FILE_LIMIT:,} bytes; is it the right file?")
        return (Active(_text(reference, data)),)

    def _forbidden(self, path: str) -> int:
        """Return the permission bits that a secret's file must not have.

        systemd grants access to credentials with an access list, whose mask appears as the group's bits
        (systemd.exec(5), LoadCredential=); only this service can read its folder.
        """
        folder = self.environment.get("CREDENTIALS_DIRECTORY")
        if folder and (self.directory / path).parent == Path(folder):
            return stat.S_IRWXO
        return stat.S_IRWXG | stat.S_IRWXO

    def _aws(self, reference: str, rest: str) -> tuple[Active, ...]:
        name, _, key = rest.partition("#")
        current = self._version(reference, name, "AWSCURRENT")
        found = [Active(_part(reference, key, current))]
        until = _created(current) + PREVIOUS_SECONDS
        if self.now() < until:
            previous = self._version(reference, name, "AWSPREVIOUS")
            # A former version that was empty or malformed is not a secret, and only the current one is required.
            with contextlib.suppress(SecretError):
                former = _part(reference, key, previous) if previous else ""
                found += [Active(former, until)] if former else []
        return tuple(found)

    def _version(self, reference: str, name: str, stage: str) -> Mapping[str, Any]:
        """Read one version; a former one that does not exist is empty."""
        try:
            answer: Mapping[str, Any] = self._client(name).get_secret_value(SecretId=name, VersionStage=stage)
        except Exception as error:  # noqa: BLE001 - boto3's errors, or ServiceError from AwsClients
            code, transient = _reason(error)
            if code == "ResourceNotFoundException" and stage == "AWSPREVIOUS":
                return {}
            raise _aws_error(reference, code, transient=transient) from None
        return answer

    def _client(self, name: str) -> Any:
        parts = name.split(":")
        return self._client_of(parts[3] if name.startswith("arn:") and len(parts) > 3 else self.region)


def _reason(error: Exception) -> tuple[str, bool]:
    if isinstance(error, ServiceError):
        return error.reason, error.transient
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        code = str(response.get("Error", {}).get("Code", "Unknown"))
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code, status >= 500 or status == 429 or "Throttl" in code
    name = type(error).__name__
    return name, "Timeout" in name or "Connection" in name


def _aws_error(reference: str, code: str, *, transient: bool) -> SecretError:
    fixes = {
        "ResourceNotFoundException": "there is no such secret, or it has no value, in this account and region",
        "AccessDeniedException": "the role needs secretsmanager:GetSecretValue on it (and kms:Decrypt on its key)",
        "NoCredentialsError": "there are no AWS credentials here",
        "NoCredentials": "there are no AWS credentials here",
        "ProfileNotFound": "the profile that AWS_PROFILE names is not in the AWS configuration",
        "NoRegionError": "no region is set: set AWS_REGION, or use the secret's ARN",
        "InvalidRequestException": "it is marked as deleted; restore it",
        "EndpointConnectionError": "there is no connection to AWS",
        "ConnectTimeoutError": "there is no connection to AWS",
        "ReadTimeoutError": "AWS did not answer in time",
    }
    error = SecretError(f"{reference} cannot be read: {fixes.get(code, 'AWS answered')} ({code})")
    error.transient = transient
    return error


def _part(reference: str, key: str, answer: Mapping[str, Any]) -> str:
    """Return an answer's value, or the one under `key` of its JSON object."""
    text = answer.get("SecretString")
    if not isinstance(text, str):
        text = _text(reference, bytes(answer.get("SecretBinary") or b""))
    if not key:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        raise SecretError(f"{reference}: the secret is not JSON, so it has no key {key!r}") from None
    if not isinstance(value, dict) or not isinstance(value.get(key), str):
        raise SecretError(f"{reference}: the secret's JSON has no text under the key {key!r}")
    return str(value[key])


def _created(answer: Mapping[str, Any]) -> float:
    """Return when this version was created, in seconds since the epoch; long ago if AWS does not say."""
    created = answer.get("CreatedDate")
    return created.timestamp() if isinstance(created, datetime) else float(created or 0.0)


def _text(reference: str, data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise SecretError(f"{reference} is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")
