"""GitHub's client is made when it is first needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from closeout.core.errors import SecretError, ServiceError
from closeout.testing.durable import FakeClock
from closeout.testing.github import FakeGitHub
from closeout.wiring.clients import SharedClients


class Manager:
    """Secrets Manager."""

    down = False

    def get_secret_value(self, **_arguments: str) -> dict[str, Any]:
        """Return the token, or no answer."""
        if self.down:
            raise ServiceError("x", service="s", operation="o", reason="Throttling", transient=True)
        return {"SecretString": "token"}


@pytest.fixture
def manager() -> Manager:
    """Secrets Manager."""
    return Manager()


def clients(manager: Manager, url: str) -> SharedClients:
    """The clients of a worker."""
    return SharedClients(
        FakeClock(),
        lambda _secret: None,
        api_url=url,
        token_reference="aws-secretsmanager:token",
        region="us-east-1",
        directory=Path(),
        secrets_client=lambda _region: manager,
    )


def test_a_failed_read_of_the_token_is_repeated_by_the_next_request(manager: Manager) -> None:
    """Once the store is back, its error is forgotten."""
    manager.down = True
    with FakeGitHub(token="token") as github:
        shared = clients(manager, github.url)
        with pytest.raises(SecretError):
            _ = shared.github
        manager.down = False
        assert shared.github is shared.github
