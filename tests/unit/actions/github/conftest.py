"""A fake GitHub for each test, whose every request is validated against GitHub's API description afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from closeout.adapters.github import GitHubClient
from closeout.ports import GitHub, Http, Secrets
from closeout.testing.github import FakeGitHub
from tests.openapi.description import check


@dataclass
class GitHubOnly:
    """`ports.Clients` for GitHub only."""

    github: GitHub

    def aws(self, service: str) -> Any:
        """Refuse."""
        raise NotImplementedError(service)

    def account(self) -> str:
        """Refuse."""
        raise NotImplementedError

    @property
    def http(self) -> Http:
        """Refuse."""
        raise NotImplementedError

    @property
    def secrets(self) -> Secrets:
        """Refuse."""
        raise NotImplementedError


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """Yield a fake with acme/shop (pull request 17) and acme/infrastructure."""
    with FakeGitHub() as fake:
        fake.world.add_repository("acme/shop", id=501_001)
        fake.world.add_repository("acme/infrastructure")
        fake.world.open_pull("acme/shop", number=17)
        yield fake
        check(fake.requests())


@pytest.fixture
def clients(github: FakeGitHub) -> GitHubOnly:
    """Return clients with the fake's token."""
    return GitHubOnly(GitHubClient(lambda: github.token, github.url, timeout=5.0))
