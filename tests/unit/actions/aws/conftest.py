"""One emulated AWS for all tests here, emptied before each, and the real boto3 adapter in front of it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from closeout.actions.aws import buckets
from closeout.adapters.aws import AwsClients, TargetClients
from closeout.ports import AwsTarget
from closeout.testing.aws import FakeAws
from tests.direct import no_sockets

ACCOUNT = "123456789012"
REGION = "us-east-1"


def ticking() -> Callable[[], float]:
    """Return a clock that is 20 ms later at each reading: what takes time in AWS takes some calls, and no time."""
    readings = itertools.count()
    return lambda: next(readings) * 0.02


@pytest.fixture(scope="session")
def aws_server() -> Iterator[FakeAws]:
    """An emulator in this process that lives as long as the tests."""
    with FakeAws(delete_seconds=0.1, clock=ticking()) as server:
        before = dict(os.environ)
        os.environ.update(server.environment())
        with no_sockets(server):
            yield server
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def target_clients(aws_server: FakeAws) -> TargetClients:
    """Clients are costly to make: once for all."""
    return AwsClients(now=time.time, attempts=1).for_target(AwsTarget(ACCOUNT, REGION, None))


@pytest.fixture
def aws(aws_server: FakeAws) -> Iterator[FakeAws]:
    """An empty world."""
    aws_server.reset()
    yield aws_server
    aws_server.clear_faults()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a batch be 20 versions instead of 1,000, which take a second to list."""
    monkeypatch.setattr(buckets, "BATCH", 20)


@pytest.fixture
def clients(aws: FakeAws, target_clients: TargetClients) -> Any:
    """What an action gets."""
    return target_clients
