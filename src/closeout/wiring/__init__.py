"""The composition root: settings in, ready objects out.

The only place that knows which adapter stands behind which port. Heavy clients (boto3, urllib3) are made when a run
first needs them, so that a server answers its first delivery within a quarter of a second.
"""

from __future__ import annotations

from closeout.wiring.files import ledger_requests, load, prune, views
from closeout.wiring.preview import explain, plan

__all__ = ["explain", "ledger_requests", "load", "plan", "prune", "views"]
