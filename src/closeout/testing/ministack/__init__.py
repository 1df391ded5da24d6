"""An AWS account on loopback to deploy to: ministack, with IAM enforced, and what it lacks patched in one file.

`Ministack` starts and ends it; `patches` is what runs inside its process and lists every patch.
"""

from __future__ import annotations

from closeout.testing.ministack.launcher import ACCOUNT, REGION, Ministack

__all__ = ["ACCOUNT", "REGION", "Ministack"]
