"""closeout runs durable automation on GitHub events, first of all when a pull request closes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from closeout.config.functions import Run as Run
    from closeout.config.functions import on as on

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "on"]

if not TYPE_CHECKING:  # a type checker that sees it takes any name for one of the package

    def __getattr__(name: str) -> object:
        """Import `on` and `Run` when they are first asked for: the receiver on AWS imports `closeout` without them."""
        if name in {"Run", "on"}:
            from closeout.config import functions  # noqa: PLC0415

            return getattr(functions, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
