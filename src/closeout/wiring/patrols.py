"""Patrol on one machine: composed over a ledger, one round at a time, by a timer of `serve` or for a command.

The timer has a thread of its own, so deliveries and runs never wait for it. Its marks are in the ledger: a process that is
killed in a round loses nothing, and the next start begins with a round.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from closeout.adapters.clock import SystemClock
from closeout.config.load import Loaded
from closeout.core.errors import CloseoutError
from closeout.core.redact import Redactor
from closeout.core.threads import background
from closeout.core.units import DAY, HOUR
from closeout.core.url import same_webhook
from closeout.intake.receiver import Receiver
from closeout.ledger.sqlite import Ledger, Views
from closeout.patrol.report import Report
from closeout.patrol.rounds import Patrol
from closeout.ports import RunReader
from closeout.wiring.api_intake import ApiIntake
from closeout.wiring.cleaning import Cleaning
from closeout.wiring.clients import LazyGitHub, SharedClients, configured_clients, setting_value
from closeout.wiring.orphans import OrphanRounds, stoppable
from closeout.wiring.recovery import Recovery
from closeout.wiring.reruns import Reruns
from closeout.wiring.rounds import Rounds

UNASKED = (
    "there is no `secrets.github`, so patrol cannot ask GitHub for closed pull requests that it does not know;"
    " add a token, or write `patrol: { deliveries: off, state: off }`"
)
JOIN_SECONDS = 2.0
AUDIT_AGAIN = HOUR
"""Seconds after an audit with errors until the next one."""


def over_ledger(  # noqa: PLR0913 - a composition root
    loaded: Loaded,
    ledger: Ledger,
    reader: Views,
    receiver: Receiver,
    clients: SharedClients,
    redact: Callable[[str], str],
    *,
    base: Callable[[], str | None],
    start: Callable[[Iterable[str]], None],
) -> Patrols:
    """Compose the patrols of one process, with their audit."""
    accept, attempts, github = ledger.accept_wait, ledger.attempts, LazyGitHub(clients)
    cleaning = Cleaning(receiver, accept, attempts, reader, github, clients.now)
    orphans = OrphanRounds(loaded, clients, reader, ledger, cleaning, redact, ledger.problems)
    return Patrols(loaded, ledger, reader, receiver, clients, base=base, start=start, orphans=orphans)


class Patrols:
    """The patrols of one process. `base` returns this server's public URL, None while it is unknown."""

    def __init__(  # noqa: PLR0913 - a composition root
        self,
        loaded: Loaded,
        ledger: Ledger,
        reader: RunReader,
        receiver: Receiver,
        clients: SharedClients,
        *,
        base: Callable[[], str | None],
        start: Callable[[Iterable[str]], None],
        orphans: OrphanRounds,
    ) -> None:
        self._has_token = clients.has_token
        self.orphans = orphans
        self._stopping = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._thread: threading.Thread | None = None
        automations = {automation.name: automation for automation in loaded.automations}
        reruns = Reruns(reader, ledger.attempts, automations, matched=receiver.runs, start=start)
        intake = ApiIntake(receiver, reruns, ledger, ledger.accept_wait, clients.now)
        github = stoppable(clients, self._stopping.is_set)
        self.recovery = Recovery(github, intake)
        patrol = Patrol(
            github,
            ledger,
            intake,
            loaded.automations,
            ours=lambda url: (own := base()) is not None and same_webhook(url, own),
            pause=self._stopping.wait,
        )
        self._now = clients.now
        self._rounds = Rounds(
            loaded.settings.patrol,
            patrol,
            ledger,
            orphans,
            now=clients.now,
            start=start,
            stopped=self._stopping.is_set,
        )
        self._settings, self.figures = self._rounds.settings, self._rounds.figures

    @property
    def watches(self) -> bool:
        """Whether there is anything to patrol."""
        return self._rounds.watches

    def notices(self) -> list[str]:
        """Return what the operator should know about the configuration."""
        if not (self._settings.deliveries or self._settings.state):
            return []
        found = [
            f"patrol does not cover `repositories: {pattern}` of {automation}: without the name of an owner, as in"
            " `acme/*`, it cannot list which repositories there are"
            for automation, pattern in self._rounds.patrol.coverage.patterns
        ]
        return [*found, *([UNASKED] if self.watches and not self._has_token else [])]

    def round(self, *, deliveries: bool = True, closings: bool = True, orphans: bool = True) -> Report:
        """Make one round of the parts that are switched on, and store what it saw."""
        with self._one_at_a_time:
            if self._has_token:
                report = self._rounds.make(deliveries=deliveries, closings=closings, orphans=orphans)
            else:
                report = Report(errors=[UNASKED])
            self._rounds.note(report, looked=deliveries or closings)
        return report

    def start(self, report: Callable[[Report], None]) -> None:
        """Begin with a round, and make one whenever one is due; `report` gets each report."""
        if self.watches and self._has_token:
            self._thread = background("patrol", self._run, report)
            self._thread.start()

    def stop(self) -> None:
        """Make no further call; a round that is under way ends unfinished, and the next start repeats it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)

    def _run(self, report: Callable[[Report], None]) -> None:
        audits = self._rounds.audits
        schedule = Schedule(
            deliveries=self._settings.deliveries,
            closings=self._settings.state,
            orphans=DAY if audits else None,
        )
        if audits:
            schedule.postpone("orphans", time.monotonic() + self._until_orphans())
        while not self._stopping.wait(schedule.wait(time.monotonic())):
            due = schedule.take(time.monotonic())
            try:
                report(self.round(**{part: part in due for part in ("deliveries", "closings", "orphans")}))
            except Exception as error:  # noqa: BLE001 - the timer must survive any error of one round
                report(Report(errors=[f"patrol failed: {error}"]))
            if "orphans" in due:
                schedule.postpone("orphans", time.monotonic() + max(self._until_orphans(), AUDIT_AGAIN))

    def _until_orphans(self) -> float:
        """Return the seconds until orphans are looked for: a day after the last time, or after the first start."""
        last = self._rounds.last.get("orphans")
        if last is None:
            last = {"ended_at": self._now()}
            # A full disk must not end the timer; the day then counts from the next start.
            with suppress(CloseoutError):
                self._rounds.keep("orphans", last)
        return max(0.0, float(last["ended_at"]) + DAY - self._now())


class Schedule:
    """When each part of patrol is due: all at once at first, then each at its interval. None: never."""

    def __init__(self, **every: float | None) -> None:
        self._every = {part: seconds for part, seconds in every.items() if seconds is not None}
        self._due = dict.fromkeys(self._every, float("-inf"))

    def wait(self, now: float) -> float:
        """Return the seconds until something is due."""
        return max(min(self._due.values()) - now, 0.0)

    def take(self, now: float) -> frozenset[str]:
        """Return what is due. It is due again one interval from now, however long it takes."""
        due = frozenset(part for part, at in self._due.items() if at <= now)
        self._due |= {part: now + self._every[part] for part in due}
        return due

    def postpone(self, part: str, until: float) -> None:
        """Let a part be due later than at first."""
        self._due[part] = until


def patrol_without_server(loaded: Loaded, db: Path, base_setting: str) -> Report:
    """Make one round over a ledger that no server holds. The next server carries out the runs that it starts.

    `base_setting` names the setting in which a server leaves its public URL. Raises `LedgerInUse` and `LedgerError`.
    """
    clock, redactor = SystemClock(), Redactor()
    clients = configured_clients(loaded, clock, redactor)
    with Ledger(db, clock=clock, redact=redactor.text) as ledger:
        reader = Views(db, clock=clock)
        return over_ledger(
            loaded,
            ledger,
            reader,
            Receiver.of(loaded.automations, tuple),
            clients,
            redactor.text,
            base=lambda: _base(loaded, reader, base_setting),
            start=lambda _executions: None,
        ).round()


def _base(loaded: Loaded, reader: Views, base_setting: str) -> str | None:
    """Return the public URL of the configuration, or of the server that last ran on this ledger."""
    if loaded.settings.public_url:
        return setting_value(loaded.settings.public_url, "public-url")
    kept = reader.setting(base_setting)
    return kept.decode() if kept else None
