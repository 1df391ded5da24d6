"""An AWS to test against: moto over HTTP, with CloudFormation's real delete behaviour laid over it.

`FakeAws` is imported only when asked for, because everything behind it needs moto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from closeout.testing.aws.server import FakeAws as FakeAws

__all__ = ["FakeAws"]


def __getattr__(name: str) -> Any:
    """Import moto when the emulator is first asked for."""
    if name == "FakeAws":
        from closeout.testing.aws.server import FakeAws

        return FakeAws
    raise AttributeError(name)
