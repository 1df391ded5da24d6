"""The local engine keeps the contract of `Durable`, on real SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.durable_suite import DurableSuite
from tests.contract.local_harness import LocalHarness


class TestLocalDurable(DurableSuite):
    """Every test of the suite."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[LocalHarness]:
        """An engine on a fresh ledger."""
        harness = LocalHarness(tmp_path / "ledger.db")
        yield harness
        harness.close()
