"""Fixtures of the acceptance tests: one emulated AWS for a module, one machine for a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.testing.aws import FakeAws
from tests.acceptance.machine import Machine, machine


@pytest.fixture(scope="session")
def cloud() -> Iterator[FakeAws]:
    """The emulated AWS, in this process, which has imported it; each test starts with an empty world."""
    with FakeAws(delete_seconds=0.1) as aws:
        yield aws


@pytest.fixture
def scene(tmp_path: Path, cloud: FakeAws) -> Iterator[Machine]:
    """A machine with a running server and a fresh world around it."""
    cloud.reset()
    with machine(tmp_path, cloud) as it:
        yield it
