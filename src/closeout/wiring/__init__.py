"""The composition root: settings in, ready objects out.

The only place that knows which adapter stands behind which port. Heavy clients (boto3, urllib3) are made when a run
first needs them, so that a server answers its first delivery within a quarter of a second; and what works on files is
imported when it is asked for, since a worker on AWS has neither SQLite nor what compresses its rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from closeout.wiring.files import check_ledger, ledger_requests, load, prune, views
    from closeout.wiring.preview import closed_event, explain, plan

__all__ = ["check_ledger", "closed_event", "explain", "ledger_requests", "load", "plan", "prune", "views"]


def __getattr__(name: str) -> Any:
    """Import what was asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from closeout.wiring import files, preview

    return getattr(preview if name in ("closed_event", "explain", "plan") else files, name)
