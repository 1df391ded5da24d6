"""Fixtures of the acceptance tests: one emulated AWS for a module, one machine for a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.machine import Machine, machine
from tests.stack_aws import StackAws


@pytest.fixture(scope="session")
def cloud() -> Iterator[StackAws]:
    """The emulated AWS, in this process, which has imported it; each test starts with an empty world."""
    with StackAws(delete_seconds=0.1) as aws:
        yield aws


@pytest.fixture
def scene(tmp_path: Path, cloud: StackAws) -> Iterator[Machine]:
    """A machine with a running server and a fresh world around it."""
    cloud.reset()
    with machine(tmp_path, cloud) as it:
        yield it
