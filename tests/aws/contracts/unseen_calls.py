"""Calls that no unit test in the environment of the AWS side makes, for the run of `test_worker_requests`."""

from __future__ import annotations

import time
import uuid
from typing import cast

import pytest

from closeout.actions.aws import listing
from closeout.adapters.aws import AwsClients
from closeout.ports import AwsTarget, Clients
from closeout.wiring.stack import Stack
from tests.contract.conftest import aws
from tests.contract.remote_harness import client
from tests.stack_aws import StackAws

__all__ = ["aws"]


def test_a_secret_is_changed(aws: StackAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Store a value, follow it by another one, and ask when that was."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    name = f"closeout/{uuid.uuid4()}"
    client(aws, "secretsmanager").create_secret(Name=name)
    clients = AwsClients(now=time.time).for_target(AwsTarget("123456789012", "us-east-1", None))
    stack = Stack("stack", "us-east-1", {}, clients)
    first = stack.put_secret(name, "one")
    assert stack.put_secret(name, "two", after=first)
    assert stack.secret(name).value == "two"
    assert stack.changed(name)


def test_a_role_is_assumed(aws: StackAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a step that names one."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    role = "arn:aws:iam::210987654321:role/cleaner"
    target = AwsTarget("210987654321", "us-east-1", role)
    assert AwsClients(now=time.time).for_target(target).account() == "210987654321"


def test_stacks_are_listed(aws: StackAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """For an audit of what closed pull requests left."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    clients = AwsClients(now=time.time).for_target(AwsTarget("123456789012", "us-east-1", None))
    assert list(listing.stacks((), cast("Clients", clients))) == []
