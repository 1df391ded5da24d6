"""An AWS to test against: moto over HTTP, with CloudFormation's real delete behaviour laid over it."""

from closeout.testing.aws.server import FakeAws

__all__ = ["FakeAws"]
