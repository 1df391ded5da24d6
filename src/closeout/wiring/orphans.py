"""The audit for a configuration file, with the same clients and credentials that a server would use.

It needs no server. The ledger is only read, for the runs that have not finished.
"""

from __future__ import annotations

from collections.abc import Callable

from closeout.actions.registry import builtin
from closeout.adapters.clock import SystemClock
from closeout.config.inverses import inventories
from closeout.config.load import Loaded
from closeout.core.errors import ConfigError
from closeout.core.redact import Redactor
from closeout.orphans.audit import Audit, Busy, Report
from closeout.ports import LedgerReader
from closeout.wiring.clients import configured_clients

UNFINISHED = ("queued", "running", "waiting")


def audit(loaded: Loaded, ledger: LedgerReader | None, now: float, progress: Callable[[str], None]) -> Report:
    """Audit the configuration's steps, beside the runs of a ledger if there is one. Reads only.

    Raises `ConfigError` if no token is configured: then no pull request can be called closed.
    """
    redactor = Redactor()
    clients = configured_clients(loaded, SystemClock(), redactor)
    if not clients.has_token:
        raise ConfigError("the audit asks GitHub about each pull request; name its token in `secrets.github`")
    report = Audit(clients, clients.github, now, progress, _going_on(ledger)).run(
        inventories(loaded.automations, builtin())
    )
    return Report(
        tuple(row._replace(reason=redactor.text(row.reason)) for row in report.rows),
        tuple(map(redactor.text, report.errors)),
    )


def _going_on(ledger: LedgerReader | None) -> Busy:
    """Return what knows the runs of a ledger that have not finished."""
    if ledger is None:
        return lambda _repository, _number: None
    runs = {
        (run.repository.lower(), run.number): run.id
        for state in UNFINISHED
        for run in ledger.runs(state=state)
        if run.repository is not None
    }

    def busy(repository: str, number: int) -> str | None:
        found = runs.get((repository.lower(), number))
        return found and f"run {found} about this pull request has not finished"

    return busy
