"""One emulated AWS for the engine on AWS: each test makes new tables in it, so that it need not be emptied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.quick_moto import quicken
from tests.stack_aws import StackAws


@pytest.fixture(scope="session")
def aws() -> Iterator[StackAws]:
    """An emulator in this process that lives as long as the tests."""
    with StackAws() as server:
        quicken()
        yield server
