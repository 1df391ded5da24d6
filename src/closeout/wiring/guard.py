"""The guard for deploys over a configuration and a ledger of this machine.

It opens the ledger only once GitHub says "open", so a closed pull request is answered without one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from closeout.adapters.clock import SystemClock
from closeout.config.load import Loaded
from closeout.core.redact import Redactor
from closeout.ledger.sqlite import Views
from closeout.run import guard
from closeout.wiring.clients import LazyGitHub, configured_clients


def ask(loaded: Loaded, db: Callable[[], Path], repository: str, number: int) -> guard.Answer:
    """Return the guard's answer about a pull request, with the configured token. `db` returns the ledger's path, or raises."""
    github = LazyGitHub(configured_clients(loaded, SystemClock(), Redactor()))

    def teardowns(name: str, of: int) -> Sequence[str]:
        views = Views(db())
        try:
            return views.teardowns(name, of)
        finally:
            views.close()

    return guard.ask(github, teardowns, repository, number)
