"""Keep sessions and tokens: `ports.access.Credentials` over SQLite.

The server writes them. The command line reads them, and asks the server to add or end one by a request.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import NamedTuple

from closeout.core.units import DAY
from closeout.ledger.sqlite.problems import Read
from closeout.ledger.sqlite.sql import SQL
from closeout.ledger.sqlite.writer import Writer
from closeout.ports import Clock
from closeout.ports.access import Credential

KEPT = 30 * DAY
"""Seconds for which an ended credential is listed."""


class Credentials(NamedTuple):
    """See the module. `read` executes a named statement; `writer` raises `StoreUnavailable` while the ledger is closed."""

    read: Read
    writer: Callable[[], Writer]
    clock: Clock

    def find(self, digest: str) -> Credential | None:
        """Return the credential with this digest, even if it is no longer valid."""
        rows = self.read("credential", (digest,))
        return Credential(*rows[0]) if rows else None

    def all(self) -> Sequence[Credential]:
        """Return all credentials, the newest first."""
        return [Credential(*row) for row in self.read("credentials", ())]

    def add(
        self,
        kind: str,
        name: str,
        right: str,
        digest: str,
        *,
        expires_at: float | None,
        code: str | None = None,
    ) -> bool:
        """Store a credential, and delete old ones. Return False if its code was used before."""
        now = self.clock.now()

        def work(connection: sqlite3.Connection) -> bool:
            connection.execute(SQL["forget_credentials"], {"before": now - KEPT})
            row = (kind, name, right, digest, code, now, expires_at)
            return connection.execute(SQL["add_credential"], row).rowcount == 1

        return bool(self.writer().run(work))

    def end(self, number: int) -> bool:
        """End a credential now. Return False if there is none with this number, or if it was ended before."""
        row = {"now": self.clock.now(), "id": number}
        ended = self.writer().run(lambda connection: connection.execute(SQL["end_credential"], row).rowcount)
        return bool(ended)
