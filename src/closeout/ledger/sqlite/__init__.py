"""The ledger in one SQLite file: deliveries, runs, operations and logs of a server on one machine.

`Ledger` is for the server's process, the only writer; `Views` reads and `Requests` makes requests from any process.
"""

from __future__ import annotations

from closeout.ledger.sqlite.ledger import Ledger
from closeout.ledger.sqlite.requests import Requests
from closeout.ledger.sqlite.views import Views
