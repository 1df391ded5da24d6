"""The audit for a configuration file, with the same clients and credentials that a server would use.

It needs no server. The ledger is only read, for the runs that have not finished.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from closeout.actions.registry import builtin
from closeout.adapters.clock import SystemClock
from closeout.config.inverses import inventories
from closeout.config.load import Loaded
from closeout.core.errors import ConfigError, ServiceError
from closeout.core.redact import Redactor
from closeout.orphans.audit import Audit, Busy, Report, Row, Target
from closeout.orphans.repair import Repaired, repair
from closeout.patrol.marks import REPOSITORY, repository_marks
from closeout.ports import GitHub, LedgerReader, PatrolStore
from closeout.wiring.cleaning import Cleaning
from closeout.wiring.clients import LazyGitHub, SharedClients, configured_clients

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
    rows = tuple(row._replace(reason=redactor.text(row.reason)) for row in report.rows)
    return report._replace(rows=rows, errors=tuple(map(redactor.text, report.errors)))


class OrphanRounds:
    """Patrol's audit: of all automations but those that say `patrol: off`.

    `assumes` says whether it may assume the roles that steps name; without it their steps are left out.
    """

    def __init__(
        self,
        loaded: Loaded,
        clients: SharedClients,
        ledger: LedgerReader,
        marks: PatrolStore,
        cleaning: Cleaning,
        redact: Callable[[str], str],
        *,
        assumes: bool = True,
    ) -> None:
        watched = [one for one in loaded.automations if one.patrol != "off"]
        self._steps = [
            one
            for one in inventories(watched, builtin())
            if one.reason is None and (assumes or one.step.assume_role is None)
        ]
        self._modes = {one.name: one.patrol for one in watched}
        self._limit = loaded.settings.patrol.limit
        self._clients, self._ledger, self._cleaning, self._redact = clients, ledger, cleaning, redact
        self._marks = marks

    @property
    def watches(self) -> bool:
        """Whether there is anything to look at."""
        return bool(self._steps)

    def round(self, stopped: Callable[[], bool]) -> Repaired:
        """Audit, then start what the limit allows. `stopped` says that the process ends: nothing more is asked then."""
        github = cast("GitHub", _Stoppable(LazyGitHub(self._clients), stopped))
        audit = Audit(self._clients, github, self._clients.now(), lambda _text: None, _going_on(self._ledger))
        report = audit.run(self._steps)
        marks = repository_marks(self._marks.marks(REPOSITORY))

        def begun(row: Row) -> bool:
            mark = marks.get(row.repository_id)
            return (
                mark is not None
                and row.closed is not None
                and row.automation in mark.begun_for(int(row.closed))
            )

        made = repair(report, self._modes, self._limit, begun=begun, start=self._start)
        return made._replace(
            notes=tuple(map(self._redact, made.notes)), errors=tuple(map(self._redact, made.errors))
        )

    def _start(self, target: Target) -> tuple[bool, str]:
        return self._cleaning.clean(target, "patrol", once=True)


class _Stoppable:
    """GitHub, until the process stops."""

    def __init__(self, github: LazyGitHub, stopped: Callable[[], bool]) -> None:
        self._github, self._stopped = github, stopped

    def __getattr__(self, name: str) -> Any:
        if self._stopped():
            raise ServiceError("closeout is stopping", service="github", operation=name, reason="stopping")
        return getattr(self._github, name)


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
