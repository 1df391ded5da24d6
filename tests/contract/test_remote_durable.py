"""The engine on AWS keeps the contract of `Durable`: its invocations over its ledger, on emulated DynamoDB."""

from __future__ import annotations

import pytest

from closeout.testing.aws import FakeAws
from tests.contract.durable_suite import DurableSuite
from tests.contract.remote_harness import RemoteHarness


class TestRemoteDurable(DurableSuite):
    """Every test of the suite."""

    @pytest.fixture
    def harness(self, aws: FakeAws) -> RemoteHarness:
        """An engine on a fresh table."""
        return RemoteHarness(aws)
