"""The guard for deploys that run beside a ledger: `closeout guard`, over a file of this machine or over a deployed stack.

It opens the ledger only once GitHub says "open", so a closed pull request is answered without one.
"""

from __future__ import annotations

from collections.abc import Callable

from closeout.adapters.clock import SystemClock
from closeout.config.load import Loaded
from closeout.core.redact import Redactor
from closeout.ports import LedgerReader
from closeout.run import guard
from closeout.wiring.clients import LazyGitHub, configured_clients


def ask(loaded: Loaded, views: Callable[[], LedgerReader], repository: str, number: int) -> guard.Answer:
    """Return the guard's answer about a pull request, with the configured token. `views` opens the ledger, or raises."""
    github = LazyGitHub(configured_clients(loaded, SystemClock(), Redactor()))
    return guard.ask(github, lambda name, of: views().teardowns(name, of), repository, number)
