"""What tests of the AWS side share. They need Python 3.13 and the environment that `make setup-aws` makes."""

from __future__ import annotations

from importlib.util import find_spec

from tests.contract.conftest import aws

collect_ignore_glob = ["test_*.py"] if find_spec("aws_durable_execution_sdk_python") is None else []

__all__ = ["aws"]
