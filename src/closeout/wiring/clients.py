"""The clients of a process: one GitHub, one plain HTTP, one set of AWS sessions, each made when first needed.

Importing them costs more than the rest of a start, so each import is inside the property that needs it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from closeout.core.errors import ConfigError, InputError, ServiceError
from closeout.core.secrets import CachedSecret, StepSecrets
from closeout.core.url import parse_base
from closeout.ports import AwsTarget, Clients, Clock, GitHub, Http, Secrets

if TYPE_CHECKING:
    from closeout.adapters.aws import AwsClients
    from closeout.adapters.github import GitHubClient
    from closeout.adapters.secrets import SecretReader
    from closeout.config.load import Loaded
    from closeout.core.redact import Redactor

OWN_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN", "GH_TOKEN")
"""Environment variables that may contain a secret although the file does not refer to them."""
SHORTEST_KEY = 16
"""A shorter value is not taken for a secret: emulators use words such as `testing`, which must stay in logs."""


def setting_value(text: str, key: str) -> str:
    """Return a URL, which may be written `env:NAME`. Raises `ConfigError` when that variable is not set, or contains no URL."""
    value = os.environ.get(text[4:], "") if text.startswith("env:") else text
    if not value:
        raise ConfigError(
            f"`{key}` is {text}, but the variable {text[4:]} is not set; set it, or write the value"
        )
    try:
        parse_base(value)
    except InputError as error:
        raise ConfigError(f"`{key}` cannot be used: {error.message}") from None
    return value


class StepClients(NamedTuple):
    """`ports.Clients` of one step."""

    shared: SharedClients
    target: AwsTarget | None

    def aws(self, service: str) -> Any:
        """Return a client of the step's account and region."""
        return self._bound().aws(service)

    def account(self) -> str:
        """Ask AWS to which account the credentials belong."""
        return str(self._bound().account())

    @property
    def github(self) -> GitHub:
        """GitHub's API."""
        return self.shared.github

    @property
    def http(self) -> Http:
        """Plain HTTP."""
        return self.shared.http

    @property
    def secrets(self) -> Secrets:
        """Secrets by reference."""
        return self.shared.secrets

    def _bound(self) -> Any:
        if self.target is None:
            raise ServiceError(
                "this step names no AWS account", service="aws", operation="client", reason="NoAccount"
            )
        return self.shared.aws.for_target(self.target)


@dataclass
class SharedClients:
    """`ports.ClientFactory` of a process. `learned` receives every secret that is read, for redaction.

    Relative `file:` references start at `directory`, the folder of the configuration. `token_reference` is that of GitHub's
    token, `region` where secrets without an ARN are; `secrets_client` makes the client of Secrets Manager for a region,
    boto3's unless given. `step_references` returns the references of secrets in steps.
    """

    clock: Clock
    learned: Callable[[str], None]
    api_url: str
    token_reference: str | None
    region: str | None
    directory: Path
    secrets_client: Callable[[str | None], Any] | None = None
    report: Callable[[str], None] = lambda _text: None
    step_references: Callable[[], Sequence[str]] = tuple

    def __post_init__(self) -> None:
        self.now = self.clock.now
        for value in (os.environ.get(name, "") for name in OWN_SECRETS):
            if len(value) >= SHORTEST_KEY:
                self.learned(value)

    def for_step(self, target: AwsTarget | None) -> Clients:
        """Return the clients of one step; nothing is connected yet."""
        return StepClients(self, target)

    @property
    def has_token(self) -> bool:
        """Whether `secrets.github` is configured."""
        return self.token_reference is not None

    @cached_property
    def secrets(self) -> SecretReader:
        """Secrets by reference; every value is redacted once it is read."""
        from closeout.adapters.secrets import SecretReader

        return SecretReader(
            client=self.secrets_client,
            region=self.region,
            directory=self.directory,
            now=self.now,
            on_value=self.learned,
        )

    @cached_property
    def step_secrets(self) -> StepSecrets:
        """The secrets of steps, which the redactor must know before a step can print one."""
        return StepSecrets(self.step_references(), lambda: self.secrets, report=self.report)

    def cached(self, references: Sequence[str], report: Callable[[str], None]) -> CachedSecret:
        """Return secrets that are cached and read again. Raises `SecretError` if one cannot be read now."""
        return CachedSecret(references, self.secrets, report=report, now=self.now)

    @cached_property
    def aws(self) -> AwsClients:
        """AWS sessions."""
        from closeout.adapters.aws import AwsClients

        return AwsClients(now=self.now)

    @cached_property
    def http(self) -> Http:
        """Plain HTTP."""
        from closeout.adapters.http import HttpClient

        return HttpClient()

    @cached_property
    def github(self) -> GitHubClient:
        """GitHub's API with the configured token, which is read again when GitHub rejects it."""
        from closeout.adapters.github import GitHubClient

        api_url = setting_value(self.api_url, "github.api-url")
        token = self.token
        if token is None:
            return GitHubClient(lambda: "", api_url, now=self.now)
        name = "the token of `secrets.github`"
        return GitHubClient(token.newest, api_url, refresh=token.refresh, now=self.now, named=name)

    @cached_property
    def token(self) -> CachedSecret | None:
        """The GitHub token, None when none is configured. Raises `SecretError` if it cannot be read now."""
        if self.token_reference is None:
            return None
        return self.cached((self.token_reference,), self.report)


def configured_clients(
    loaded: Loaded, clock: Clock, redactor: Redactor, report: Callable[[str], None] = lambda _text: None
) -> SharedClients:
    """Return the clients that a configuration file asks for."""
    settings = loaded.settings
    return SharedClients(
        clock,
        redactor.add,
        api_url=settings.api_url,
        token_reference=settings.secrets_github,
        region=settings.aws.region,
        directory=loaded.directory,
        report=report,
        step_references=lambda: loaded.step_secrets,
    )


class LazyGitHub:
    """`ports.GitHub` whose client is imported and made at the first call, so that a start does not pay for it.

    Once `stopped` returns an error, GitHub is not asked, and the call raises that error.
    """

    def __init__(
        self, clients: SharedClients, stopped: Callable[[], ServiceError | None] = lambda: None
    ) -> None:
        self._clients = clients
        self._stopped = stopped

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            error = self._stopped()
            if error is not None:
                raise error
            return getattr(self._clients.github, name)(*args, **named)

        return call
