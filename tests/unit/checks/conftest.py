"""One emulated AWS for all tests of the checks; each test empties it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from closeout.testing.aws import FakeAws
from tests.direct import no_sockets
from tests.unit.checks.scene import Scene, scene


@pytest.fixture(scope="session")
def cloud() -> Iterator[FakeAws]:
    """An emulator in this process."""
    with FakeAws() as aws, no_sockets(aws):
        yield aws


@pytest.fixture
def whole(tmp_path: Path, cloud: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A set-up in which all is well."""
    with scene(tmp_path, cloud, monkeypatch) as made:
        yield made
