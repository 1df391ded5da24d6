"""The ledger in DynamoDB, on moto over HTTP, with everything that stands on it."""

from __future__ import annotations

import pytest

from closeout.testing.durable import FakeClock
from tests.contract.conftest import aws
from tests.contract.remote_harness import BUCKET, GROUP, RemoteBench, client
from tests.stack_aws import StackAws

__all__ = ["aws"]


@pytest.fixture
def bench(aws: StackAws) -> RemoteBench:
    """An empty ledger with a clock that is moved by hand, a bucket, and a log group."""
    aws.reset()
    client(aws, "s3").create_bucket(Bucket=BUCKET)
    client(aws, "logs").create_log_group(logGroupName=GROUP)
    return RemoteBench(aws, clock=FakeClock())
