"""The ledger: deliveries, runs, operations and logs in one SQLite file.

`Ledger` is the engine process's own, with its one writer; `Views` reads and `Requests` asks from any process.
"""

from __future__ import annotations

from closeout.adapters.ledger.ledger import SAME, Ledger
from closeout.adapters.ledger.requests import Requests
from closeout.adapters.ledger.views import Views

__all__ = ["SAME", "Ledger", "Requests", "Views"]
