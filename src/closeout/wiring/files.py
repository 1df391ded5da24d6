"""Open the configuration and the ledger for a command that is not the server.

Such a command may read the ledger, and ask its server for something; it never acts by itself.
"""

from __future__ import annotations

from pathlib import Path

from closeout.config.load import Loaded
from closeout.config.load import load as load_config
from closeout.ledger.sqlite import Ledger, Requests, Views
from closeout.ledger.sqlite.connection import check_file
from closeout.wiring.clock import SystemClock


def load(path: str | Path) -> Loaded:
    """Read and check a configuration with the built-in actions. Raises `ConfigError` with every finding."""
    from closeout.actions.registry import builtin

    return load_config(Path(path), builtin())


def views(path: Path) -> Views:
    """Return the read side of a ledger, from any process."""
    return Views(path)


def ledger_requests(path: Path) -> Requests:
    """Return what another process than the server may write."""
    return Requests(path)


def check_ledger(path: Path) -> None:
    """Read a ledger's whole file. Raises `LedgerError` if it is damaged."""
    check_file(path)


def prune(path: Path, older_than: float) -> dict[str, int]:
    """Remove what is older than that many seconds. Raises `LedgerInUse` while a server runs on the ledger."""
    with Ledger(path, clock=SystemClock()) as ledger:
        return ledger.prune(older_than)
