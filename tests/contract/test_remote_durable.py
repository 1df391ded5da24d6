"""The engine on AWS keeps the contract of `Durable`: its invocations over its ledger, on emulated DynamoDB."""

from __future__ import annotations

import pytest

from tests.contract.durable_suite import DurableSuite
from tests.contract.remote_harness import RemoteHarness
from tests.stack_aws import StackAws


class TestRemoteDurable(DurableSuite):
    """Every test of the suite."""

    @pytest.fixture
    def harness(self, aws: StackAws) -> RemoteHarness:
        """An engine on a fresh table."""
        return RemoteHarness(aws)
