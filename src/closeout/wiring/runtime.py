"""The objects of a serving process: the ledger, the engine, the run function, and what requests ask of them.

Below the server, so that everything except HTTP can be composed, started and drained without it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from closeout.adapters.clock import LONGEST_LEAD, SystemClock
from closeout.checks.world import World
from closeout.config.load import Loaded
from closeout.core.automation import status_contexts
from closeout.core.errors import CloseoutError, SecretError, StoreUnavailable
from closeout.core.messages import Links
from closeout.core.redact import Redactor
from closeout.core.secrets import CachedSecret
from closeout.engine.local import Engine
from closeout.engine.recorder import Finished
from closeout.intake.receiver import Receiver
from closeout.ledger.problems import dismiss
from closeout.ledger.sqlite import Ledger, Views
from closeout.orphans.audit import Report as Audited
from closeout.ports import Request
from closeout.ports.access import TOKEN
from closeout.run.deps import RunDeps
from closeout.run.workflow import make_run_function
from closeout.wiring import cleaning, recovery
from closeout.wiring.checking import LedgerFile
from closeout.wiring.clients import LazyGitHub, SharedClients, configured_clients, setting_value
from closeout.wiring.drills import Drills
from closeout.wiring.notifying import NOTIFIER, Notifying, Targets, stale
from closeout.wiring.orphans import audit
from closeout.wiring.outside import Outside
from closeout.wiring.patrols import over_ledger
from closeout.wiring.rechecks import Mark, Rechecks

Report = Callable[[str], None]
OnFinish = Callable[[Finished], None]

RECHECKED = "rechecked-until"
"""The setting that says until when rechecks were made."""

UNVERIFIABLE = (
    "no webhook secret is configured, so no delivery could be verified, and closeout does not start without one."
    " Put `secrets: {{ webhook: env:CLOSEOUT_WEBHOOK_SECRET }}` into {file} and set that variable to the secret of the"
    " GitHub webhook"
)


@dataclass
class Runtime:
    """Everything behind the server. Open it with `open_runtime`, close it with `close`."""

    loaded: Loaded
    ledger: Ledger
    clock: SystemClock
    clients: SharedClients
    redactor: Redactor
    webhook: CachedSecret
    report: Report
    on_finish: OnFinish
    file: Path

    def __post_init__(self) -> None:
        loaded, ledger, clients = self.loaded, self.ledger, self.clients
        self.views = Views(ledger.path, clock=self.clock)
        self.page: Callable[[str], str | None] = lambda _execution: None
        """Returns the link to an execution's page, once this server's URL is known."""
        self.base: str | None = None
        """This server's public URL, once it is known."""
        self.receiver = Receiver.of(loaded.automations, self.webhook.keys)
        deps = self._deps()

        def finished(ended: Finished) -> None:
            self.rechecks.finished(ended)
            self.on_finish(ended)

        self.engine = Engine(
            ledger,
            make_run_function(deps),
            clock=self.clock,
            redact=self.redactor.text,
            on_request=self._on_request,
            on_finish=finished,
            report=self.report,
        )
        self.rechecks = Rechecks(
            self.views,
            ledger.attempts,
            {automation.name: automation for automation in loaded.automations},
            deps,
            mark=Mark(self._rechecked, lambda at: ledger.replace_setting(RECHECKED, str(at).encode())),
            start=self.engine.wake,
            report=self.report,
        )
        self.patrols = over_ledger(
            loaded,
            ledger,
            self.views,
            self.receiver,
            clients,
            self.redactor.text,
            base=lambda: self.base,
            start=lambda _executions: self.engine.wake(),
        )
        self.drills = self._drills()
        self.notifying = self._notifying()

    def start(self) -> int:
        """Recover what an earlier process left, and begin; return how many runs it left open."""
        left = self.engine.start()
        self.rechecks.start()
        return left

    def ready(self) -> None:
        """Make one real commit. Raises `StoreUnavailable` if that fails, or if no run can be started."""
        self.ledger.probe()
        troubles = list(self.engine.troubles.values())
        if troubles:
            error = StoreUnavailable(troubles[0])
            error.public = "Runs cannot start; the server's log says why."
            raise error

    def audit(self) -> Audited:
        """Look for orphans now, of every automation. Reads only; raises `ConfigError` if no token is configured."""
        return audit(self.loaded, self.views, self.clock.now(), lambda _: None, self.clients, self.redactor)

    def stop(self, timeout: float, recheck_now: Callable[[], bool]) -> bool:
        """Drain the engine; False if an operation did not end in time, or before `recheck_now`. The next start repeats it."""
        for timer in (self.notifying, self.drills, self.patrols, self.rechecks):
            timer.stop()
        return self.engine.stop(timeout, recheck_now)

    def close(self, timeout: float = 20.0) -> None:
        """Drain the engine, then close the ledger. What did not end in time continues at the next start."""
        self.stop(timeout, lambda: False)
        self.ledger.close()

    def _drills(self) -> Drills:
        def world(pause: Callable[[float], object]) -> World:
            ledger = LedgerFile(self.ledger.path, lambda _views: self.base)
            return World(
                lambda: self.loaded,
                lambda _loaded: Outside(self.clients),
                ledger,
                machine=ledger,
                file=self.file,
                now=time.time,
                pause=pause,
                pings=True,
            )

        return Drills(
            world,
            self.ledger,
            self.redactor,
            every=self.loaded.settings.patrol.drill,
            now=self.clients.now,
        )

    def _notifying(self) -> Notifying:
        started = self.clients.now()
        targets = Targets(lambda: self.clients.secrets, self.redactor.add)

        def found() -> dict[str, str | None]:
            patrols = self.patrols
            settings, watched = self.loaded.settings.patrol, patrols.watches and self.clients.has_token
            every = {"logs": settings.deliveries, "lists": settings.state} if watched else {}
            drill, now = self.drills.figures(), self.clients.now()
            states = drill.states if drill else {}
            return stale(every, patrols.figures().ended_at, states, started=started, now=now)

        return Notifying(
            self.ledger.problems,
            self.loaded.routes,
            targets.send,
            links=lambda: Links(self.page, self.base),
            redact=self.redactor.text,
            now=self.clients.now,
            check_target=partial(targets.check, reach=False),
            keep=partial(self.ledger.save_mark, NOTIFIER),
            stale=found,
        )

    def _deps(self) -> RunDeps:
        from closeout.actions.registry import builtin

        return RunDeps(
            actions=builtin(),
            clients=self.clients,
            github=LazyGitHub(self.clients),
            journal=self.ledger,
            clock=self.clock,
            switch=self.ledger,
            redact=self.redactor,
            current=self.loaded.current,
            functions=self.loaded.functions,
            details=lambda execution: self.page(execution.id),
            directory=self.loaded.directory,
            own_contexts=partial(status_contexts, self.loaded.automations),
            has_token=self.clients.has_token,
            claim_closing=self.ledger.attempts.claim_closing,
            learn=self.clients.step_secrets.learn,
            deleted_before=self.views.deleted_before,
        )

    def _rechecked(self) -> float | None:
        stored = self.views.setting(RECHECKED)
        return float(stored) if stored is not None else None

    # --- requests of other processes -------------------------------------------------------------------------

    def _on_request(self, request: Request) -> str:
        """Carry out a request other than cancel, pause and resume; return its outcome."""
        carry_out = self._carriers().get(request.kind)
        if carry_out is None:
            return f"unknown request {request.kind!r}"
        try:
            return carry_out(request)
        except CloseoutError as error:
            return error.message

    def _carriers(self) -> Mapping[str, Callable[[Request], str]]:
        reruns = self.patrols.recovery.intake.reruns
        return {
            "patrol": lambda _: json.dumps(self.patrols.round().with_notes()),
            "drill": lambda _: json.dumps([outcome.to_json() for outcome in self.drills.drill()]),
            "prune": lambda request: json.dumps(self.ledger.prune(float(str(request.target)))),
            "rerun": lambda request: reruns.rerun(str(request.target), request.by, request.id),
            "replay": lambda request: reruns.replay(int(str(request.target)), request.by),
            recovery.KIND: lambda request: self.patrols.recovery.replay(str(request.target), request.by),
            cleaning.KIND: self._clean,
            "dismiss": self._dismiss,
            "token": self._add_token,
            "revoke": self._revoke,
        }

    def _clean(self, request: Request) -> str:
        outcome = self.patrols.orphans.cleaning.start(str(request.target), request.by)
        self.engine.wake()
        return outcome

    def _dismiss(self, request: Request) -> str:
        who = f"{request.by}: {request.reason}" if request.reason else request.by
        return dismiss(self.ledger.problems, str(request.target), self.redactor.text(who), self.clients.now())

    def _add_token(self, request: Request) -> str:
        self.ledger.credentials.add(TOKEN, **json.loads(str(request.target)))
        return "done"

    def _revoke(self, request: Request) -> str:
        self.ledger.credentials.end(int(str(request.target)))
        return "done"


def open_runtime(
    loaded: Loaded, config: Path, db: Path, *, redactor: Redactor, report: Report, on_finish: OnFinish
) -> Runtime:
    """Open the ledger, take its lock, and compose; `report` receives sentences for the operator, `on_finish` each ending.

    Raises `SecretError` when no webhook secret can be read, `LedgerError`, `LedgerInUse` or `ConfigError`.
    """
    clock = SystemClock()
    clients = configured_clients(loaded, clock, redactor, report)
    references = loaded.settings.secrets_webhook
    if not references:
        raise SecretError(UNVERIFIABLE.format(file=config))
    webhook = clients.cached(references, report)
    _ = clients.token  # a token that cannot be read must fail the start, not the first run
    setting_value(loaded.settings.api_url, "github.api-url")
    clients.step_secrets.learn()
    _check_notifiers(loaded, clients, report)
    # Open the ledger last, so that an earlier error leaves no file behind.
    ledger = Ledger(db, clock=clock, redact=redactor.text).open()
    try:
        _continue_time(clock, ledger, report)
        return Runtime(loaded, ledger, clock, clients, redactor, webhook, report, on_finish, config)
    except BaseException:
        ledger.close()
        raise


def _check_notifiers(loaded: Loaded, clients: SharedClients, report: Report) -> None:
    """Report a notifier whose variable or file cannot be read: a failed run would be too late to learn it.

    `Notifying` checks what it contains a few seconds later, because importing the library for that takes time.
    """
    for target in loaded.routes.targets():
        if target.startswith(("env:", "file:")):
            try:
                clients.secrets.read(target)
            except SecretError as error:
                report(f"notifier {target} cannot be read, so it gets no messages: {error.message}")


def _continue_time(clock: SystemClock, ledger: Ledger, report: Report) -> None:
    """Continue from the newest time in the ledger, if the system's clock was set back since."""
    newest = ledger.newest_time()
    lead = 0.0 if newest is None else clock.go_on_from(newest)
    if lead > LONGEST_LEAD:
        report(f"the ledger has times that are {lead:.0f} s ahead of the system's clock; check the clock")
    elif lead > 1.0:
        report(
            f"the system's clock is {lead:.0f} s behind the newest time in the ledger; this server continues from there,"
            " so that open runs wait no longer"
        )


def public_url(loaded: Loaded, given: str | None) -> str | None:
    """Return the configured base of Details links, None when the server's own address is to be used."""
    text = given or loaded.settings.public_url
    return setting_value(text, "public-url").rstrip("/") if text else None
