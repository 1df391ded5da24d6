"""The ledger: deliveries, runs, operations and logs in one SQLite file.

`Ledger` is the engine process's own, with its one writer; `Views` reads and `Requests` asks from any process.
"""

from __future__ import annotations

from closeout.ledger.sqlite.ledger import Ledger
from closeout.ledger.sqlite.requests import Requests
from closeout.ledger.sqlite.views import Views

__all__ = ["Ledger", "Requests", "Views"]
