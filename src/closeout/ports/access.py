"""Who may see the pages and act through them: sessions of browsers and tokens of programs, as a store keeps them.

Both are a secret that is stored only as a digest, with its holder's name and right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

SESSION, TOKEN = "session", "token"
READ, ACT = "read", "act"
"""The rights. Who may act may read too."""


class Credential(NamedTuple):
    """One session or token, without its secret."""

    id: int
    kind: str
    """`session` or `token`."""
    name: str
    """Its holder: `user@host` for a session, the name that a token was created with."""
    right: str
    """`read` or `act`."""
    made_at: float
    expires_at: float | None
    """None for a token that does not expire."""
    ended_at: float | None
    """When somebody signed out or revoked it."""

    def holds(self, now: float) -> bool:
        """Return whether it is valid at `now`."""
        return self.ended_at is None and (self.expires_at is None or now < self.expires_at)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints."""
        return self._asdict()


class Credentials(Protocol):
    """Stores credentials. Methods raise `StoreUnavailable` or `LedgerError`."""

    def find(self, digest: str) -> Credential | None:
        """Return the credential with this digest of its secret, whether or not it is still valid."""

    def all(self) -> Sequence[Credential]:
        """Return all credentials, the newest first, those that ended less than 30 days ago among them."""

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
        """Store a credential. Return False if one was made with this one-time `code` (a digest) before."""

    def end(self, number: int) -> bool:
        """End a credential now. Return False if there is none with this number, or if it was ended before."""
