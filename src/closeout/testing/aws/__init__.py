"""An AWS to test against: moto over HTTP, with CloudFormation's real delete behaviour added to it."""

from closeout.testing.aws.server import FakeAws

__all__ = ["FakeAws"]
