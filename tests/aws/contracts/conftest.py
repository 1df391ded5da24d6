"""What the contracts share: one emulated account for all of them, without a stack in it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.aws.contracts.emulated import Functions

collect_ignore_glob = [] if os.environ.get("CLOSEOUT_TEST_AWS") else ["test_*.py"]


@pytest.fixture(scope="session")
def functions() -> Iterator[Functions]:
    """Yield an account in which durable functions can be created."""
    from tests.aws.contracts.emulated import Functions
    from tests.aws.world import EMULATOR
    from tests.emulator.launcher import Ministack

    with (
        tempfile.TemporaryDirectory(prefix="closeout-contracts-") as folder,
        Ministack(EMULATOR, Path(folder)) as cloud,
    ):
        yield Functions(cloud)
