"""One emulated AWS for the engine on AWS: tables are made new in it, so that it need not be emptied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from closeout.testing.aws import FakeAws
from tests.quick_moto import quicken


@pytest.fixture(scope="session")
def aws() -> Iterator[FakeAws]:
    """An emulator in this process that lives as long as the tests."""
    with FakeAws() as server:
        quicken()
        yield server
