"""GitHub's client is made once, also where a thread prepares it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from closeout.core.errors import SecretError, ServiceError
from closeout.testing.durable import FakeClock
from closeout.testing.github import FakeGitHub
from closeout.wiring.clients import SharedClients


class Manager:
    """Secrets Manager, which answers once it is let."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.let = threading.Event()
        self.down = False
        self.calls = 0

    def get_secret_value(self, **_arguments: str) -> dict[str, Any]:
        """Return the token, or no answer."""
        self.calls += 1
        self.asked.set()
        assert self.let.wait(10)
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
        token="aws-secretsmanager:token",
        region="us-east-1",
        directory=Path(),
        secrets_client=lambda _region: manager,
    )


def test_a_token_that_is_read_ahead_is_waited_for_and_read_once(manager: Manager) -> None:
    """Whoever needs GitHub meanwhile neither reads it again nor connects twice for nothing."""
    with FakeGitHub(token="token") as github:
        shared = clients(manager, github.url)
        shared.connect_ahead()
        assert manager.asked.wait(10)
        threading.Timer(0.05, manager.let.set).start()
        first = shared.github
        assert (manager.calls, shared.github is first) == (1, True)


def test_a_token_that_cannot_be_read_ahead_is_read_by_the_request(manager: Manager) -> None:
    """Its error is the request's; once the store is back, nothing is left of it."""
    manager.let.set()
    manager.down = True
    with FakeGitHub(token="token") as github:
        shared = clients(manager, github.url)
        shared.connect_ahead()
        with pytest.raises(SecretError):
            _ = shared.github
        manager.down = False
        assert shared.github is shared.github
