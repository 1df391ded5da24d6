"""One emulated AWS for all tests of the checks; each test empties it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.direct import no_sockets
from tests.stack_aws import StackAws
from tests.unit.checks.scene import Scene, scene


@pytest.fixture(scope="session")
def cloud() -> Iterator[StackAws]:
    """An emulator in this process."""
    with StackAws() as aws, no_sockets(aws):
        yield aws


@pytest.fixture
def whole(tmp_path: Path, cloud: StackAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A set-up without any fault."""
    with scene(tmp_path, cloud, monkeypatch) as made:
        yield made
