"""closeout runs durable automation on GitHub events, first of all when a pull request closes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from closeout.config.functions import on as on

__version__ = "0.1.0"
__all__ = ["__version__", "on"]


def __getattr__(name: str) -> Any:
    """Import `on` when it is first asked for, so that `import closeout` stays cheap."""
    if name == "on":
        from closeout.config.functions import on  # noqa: PLC0415

        return on
    raise AttributeError(name)
