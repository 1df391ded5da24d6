"""The audit for a configuration file, with the same clients and credentials that a server would use.

It needs no server. The ledger is only read, for the runs that have not finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, cast

from closeout.actions.registry import builtin
from closeout.adapters.clock import SystemClock
from closeout.config.inverses import inventories
from closeout.config.load import Loaded
from closeout.core.errors import ConfigError, ServiceError
from closeout.core.problems import Problem
from closeout.core.redact import Redactor
from closeout.orphans.audit import Audit, Busy, Report, Row
from closeout.orphans.problems import abandoned, closed, covered, opened
from closeout.orphans.repair import RepairReport, repair
from closeout.patrol.marks import REPOSITORY, repository_marks
from closeout.patrol.reader import SPENT, Reader
from closeout.ports import UNFINISHED, GitHub, LedgerReader, PatrolStore, ProblemStore, RunFilter, RunView
from closeout.wiring.cleaning import Cleaning
from closeout.wiring.clients import LazyGitHub, SharedClients, configured_clients

STOPPING = "closeout is stopping"
"""The error of a read that a stopping process does not begin."""

FILES = 3
"""Calls that the list of a pull request's files takes at most."""


def audit(
    loaded: Loaded,
    ledger: LedgerReader | None,
    now: float,
    progress: Callable[[str], None],
    clients: SharedClients | None = None,
    redactor: Redactor | None = None,
) -> Report:
    """Audit the configuration's steps, with the unfinished runs of a ledger if there is one. Reads only.

    `clients` and `redactor` are those of a server, or else made for the configuration. Raises `ConfigError` if no token is
    configured: then no pull request can be called closed.
    """
    redactor = redactor or Redactor()
    clients = clients or configured_clients(loaded, SystemClock(), redactor)
    if not clients.has_token:
        raise ConfigError("the audit asks GitHub about each pull request; name its token in `secrets.github`")
    report = Audit(clients, clients.github, now, progress, busy_runs(ledger, now)).run(
        inventories(loaded.automations, builtin())
    )
    rows = tuple(row._replace(reason=redactor.text(row.reason)) for row in report.rows)
    return report._replace(rows=rows, errors=tuple(map(redactor.text, report.errors)))


@dataclass
class OrphanRounds:
    """Patrol's audit: of all automations but those that say `patrol: off`.

    `assumes` says whether it may assume the roles that steps name; without it their steps are left out. What is found opens
    and closes `problems`.
    """

    loaded: Loaded
    clients: SharedClients
    ledger: LedgerReader
    marks: PatrolStore
    cleaning: Cleaning
    redact: Callable[[str], str]
    problems: ProblemStore
    assumes: bool = True

    def __post_init__(self) -> None:
        watched = [one for one in self.loaded.automations if one.patrol != "off"]
        all_steps = inventories(watched, builtin())
        self._steps = [
            one for one in all_steps if one.reason is None and (self.assumes or one.step.assume_role is None)
        ]
        self._sees = covered(all_steps, self._steps)
        self._modes = {one.name: one.patrol for one in watched}

    @property
    def watches(self) -> bool:
        """Whether there is anything to audit."""
        return bool(self._steps)

    def round(self, stopped: Callable[[], bool], reader: Reader) -> RepairReport:
        """Audit, then start what the limit allows. Once `stopped` returns true, the process ends and nothing more is read.

        `reader` has the budget of the patrol that the audit belongs to.
        """
        github = cast("GitHub", BudgetedGitHub(stoppable(self.clients, stopped), reader))
        now = self.clients.now()
        audit = Audit(self.clients, github, now, lambda _text: None, busy_runs(self.ledger, now))
        before = self.problems.problems()
        report = audit.run(self._steps)
        self._settle(report, before)
        marks = repository_marks(self.marks.marks(REPOSITORY))

        def begun(row: Row) -> bool:
            mark = marks.get(row.repository_id)
            return (
                mark is not None
                and row.closed is not None
                and row.automation in mark.begun_for(int(row.closed))
            )

        made = repair(
            report,
            self._modes,
            self.loaded.settings.patrol.limit,
            begun=begun,
            start=partial(self.cleaning.clean, by="patrol", once=True),
        )
        return made._replace(
            notes=tuple(map(self.redact, made.notes)),
            errors=tuple(map(self.redact, made.errors)),
            kept=tuple({**row, "reason": self.redact(row["reason"])} for row in made.kept),
        )

    def _settle(self, report: Report, before: Sequence[Problem]) -> None:
        """Open and close problems by what an audit found. One that has changed meanwhile waits for the next audit."""
        now = self.clients.now()
        known = self.problems.problems()
        # Close directly after this read, and read again before opening: a run that fails in between keeps its problem.
        over = closed(report, [one for one in before if one in known], self._sees)
        for problem, by in (*over, *abandoned(known, [one.name for one in self.loaded.automations])):
            self.problems.close_problems(problem.automation, problem.key, problem.key, now, by)
        basis = {name: one.basis for name, one in self._sees.items()}
        for problem in opened(report, self.problems.problems(), basis, now):
            left = tuple(map(self.redact, problem.left)), tuple(map(self.redact, problem.public_left))
            self.problems.open_problem(problem._replace(left=left[0], public_left=left[1]))


def stoppable(clients: SharedClients, stopped: Callable[[], bool]) -> LazyGitHub:
    """Return a GitHub client for patrol: no call starts once the process stops, and none is tried again."""
    error = partial(ServiceError, STOPPING, service="github", operation="patrol", reason=SPENT)
    return LazyGitHub(clients, lambda: error() if stopped() else None)


class BudgetedGitHub:
    """A GitHub client for an audit, within a patrol's budget."""

    def __init__(self, github: LazyGitHub, reader: Reader) -> None:
        self._github, self._reader = github, reader

    def request(self, method: str, path: str, **asked: Any) -> Any:
        """Call one path of the API."""
        if method == "GET":
            return self._reader.read(path, asked.get("query") or {}).body
        self._reader.take(path)
        return self._github.request(method, path, **asked)

    def pull_request_files(self, repository: str, number: int) -> tuple[str, ...]:
        """Return changed paths, which takes several calls."""
        self._reader.take(f"/repos/{repository}/pulls/{number}/files", FILES)
        found: tuple[str, ...] = self._github.pull_request_files(repository, number)
        return found


def busy_runs(ledger: LedgerReader | None, since: float) -> Busy:
    """Return a function that finds a run of a pull request that may still delete what an audit lists.

    Such a run has not finished at `since`, when the audit begins, or begins later. Later runs are read at the first question:
    after the audit has listed what exists and has asked GitHub.
    """
    if ledger is None:
        return lambda _repository, _number: None
    before = _by_pull_request(ledger.runs(wanted=RunFilter(state=UNFINISHED)))

    @cache
    def later() -> Mapping[tuple[str, int | None], str]:
        # Both: on AWS the list may not show at once what was accepted just before the audit began.
        wanted = RunFilter(since=since), RunFilter(state=UNFINISHED)
        return _by_pull_request(run for each in wanted for run in ledger.runs(wanted=each))

    def busy(repository: str, number: int) -> str | None:
        about = (repository.lower(), number)
        if about in before:
            return f"run {before[about]} about this pull request has not finished"
        found = later().get(about)
        return found and f"run {found} about this pull request began during the audit"

    return busy


def _by_pull_request(runs: Iterable[RunView]) -> Mapping[tuple[str, int | None], str]:
    return {(run.repository.lower(), run.number): run.id for run in runs if run.repository is not None}
