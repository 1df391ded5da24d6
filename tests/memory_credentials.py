"""Sessions and tokens in memory: the smallest store that keeps the contract of `ports.access.Credentials`."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence

from closeout.core.units import DAY
from closeout.ports import Clock, Credential

KEPT = 30 * DAY


class MemoryCredentials:
    """Credentials by their number, with the digests of their secrets and of the codes that made them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._codes: dict[int, str | None] = {}
        self._digests: dict[int, str] = {}
        self.rows: dict[int, Credential] = {}
        self.reads = 0
        """How often somebody looked for a secret."""

    def find(self, digest: str) -> Credential | None:
        """Return the credential with this digest, whether or not it still holds."""
        self.reads += 1
        return next((self.rows[number] for number, kept in self._digests.items() if kept == digest), None)

    def all(self) -> Sequence[Credential]:
        """Return all credentials, the newest first."""
        return sorted(self.rows.values(), reverse=True)

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
        """Store a credential, and forget old ones. Return False if its code was used before."""
        with self._lock:
            now = self._clock.now()
            for number, row in list(self.rows.items()):
                ends = [moment for moment in (row.expires_at, row.ended_at) if moment is not None]
                if ends and min(ends) < now - KEPT:
                    del self.rows[number], self._digests[number], self._codes[number]
            if digest in self._digests.values() or (code is not None and code in self._codes.values()):
                return False
            number = next(self._numbers)
            self.rows[number] = Credential(number, kind, name, right, now, expires_at, None)
            self._digests[number], self._codes[number] = digest, code
            return True

    def end(self, number: int) -> bool:
        """End a credential now. Return False if there is none with this number, or if it has ended before."""
        with self._lock:
            row = self.rows.get(number)
            if row is None or row.ended_at is not None:
                return False
            self.rows[number] = row._replace(ended_at=self._clock.now())
            return True
