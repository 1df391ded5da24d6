"""closeout.yaml and CEL: a file goes in, checked values with every default filled in come out.

All that can be known to be wrong before a delivery arrives is found here, with its place in the file, so
that the run itself never meets a mistake that a person could have been told about at the desk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from closeout.config.load import Loaded as Loaded
    from closeout.config.load import check as check

__all__ = ["Loaded", "check"]


def __getattr__(name: str) -> Any:
    """Import the loader when it is first asked for: `closeout.config.cel` alone must stay cheap."""
    if name in __all__:
        from closeout.config import load  # noqa: PLC0415

        return getattr(load, name)
    raise AttributeError(name)
