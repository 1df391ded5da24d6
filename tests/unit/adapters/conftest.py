"""A fake GitHub for each test, whose every request is validated against GitHub's API description afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from closeout.adapters.github import GitHubClient
from closeout.testing.github import FakeGitHub
from tests.openapi.description import check


@pytest.fixture
def github() -> Iterator[FakeGitHub]:
    """Yield a fake with the repository acme/shop (id 501001)."""
    with FakeGitHub() as fake:
        fake.world.add_repository("acme/shop", id=501_001)
        yield fake
        check(fake.requests())


@pytest.fixture
def client(github: FakeGitHub) -> GitHubClient:
    """Return a client that knows the fake's token and waits longer than a busy machine takes."""
    return GitHubClient(lambda: github.token, github.url, timeout=5.0)
