"""The clients that these actions use: HTTP and secrets, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from closeout.core.errors import SecretError
from closeout.ports import GitHub, Http, HttpAnswer


@dataclass
class Sent:
    """One request as it was sent."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    secret: dict[str, str]
    timeout: float


@dataclass
class ScriptedHttp:
    """`ports.Http` that returns one answer (or raises one error) after another, the last one forever."""

    answers: list[HttpAnswer | Exception]
    sent: list[Sent] = field(default_factory=list)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: float,
        secret_headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Return the next answer."""
        self.sent.append(Sent(method, url, dict(headers), body, dict(secret_headers or {}), timeout))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class FixedSecrets:
    """`ports.Secrets` over a map."""

    values: dict[str, str]

    def read(self, reference: str) -> tuple[str, ...]:
        """Return the value."""
        if reference not in self.values:
            message = f"{reference} is not set"
            raise SecretError(message)
        return (self.values[reference],)


@dataclass
class LocalClients:
    """`ports.Clients` of these tests."""

    http: Http
    secrets: FixedSecrets = field(default_factory=lambda: FixedSecrets({}))

    def aws(self, service: str) -> Any:
        """Refuse."""
        raise NotImplementedError(service)

    def account(self) -> str:
        """Refuse."""
        raise NotImplementedError

    @property
    def github(self) -> GitHub:
        """Refuse."""
        raise NotImplementedError


def nothing() -> LocalClients:
    """Return clients for an action that needs none."""
    return LocalClients(ScriptedHttp([]))
