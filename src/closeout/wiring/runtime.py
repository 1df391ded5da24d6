"""The objects of a serving process: the ledger, the engine, the run function, and what requests ask of them.

Below the server, so that everything but HTTP can be put together, started and drained without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from closeout.adapters.ledger import Ledger, Views
from closeout.config.load import Loaded
from closeout.core.automation import status_contexts
from closeout.core.errors import CloseoutError, SecretError
from closeout.core.redact import Redactor
from closeout.engine import Engine, Finished
from closeout.intake.receiver import Receiver
from closeout.ports import Execution, Request, RunFunction
from closeout.run.deps import RunDeps
from closeout.run.execute import make
from closeout.wiring.clients import SharedClients, setting_value
from closeout.wiring.clock import SystemClock

Report = Callable[[str], None]
OnFinish = Callable[[Finished], None]

UNVERIFIABLE = (
    "no webhook secret is configured, so no delivery could be verified, and closeout does not start without one."
    " Put `secrets: {{ webhook: env:CLOSEOUT_WEBHOOK_SECRET }}` into {file} and set that variable to the secret of the"
    " GitHub webhook"
)


class Runtime:
    """Everything behind the server. Open it with `open_runtime`, end it with `close`."""

    def __init__(
        self,
        loaded: Loaded,
        config: Path,
        ledger: Ledger,
        *,
        redactor: Redactor,
        report: Report,
        on_finish: OnFinish,
    ) -> None:
        self.loaded = loaded
        self.ledger = ledger
        self.views = Views(ledger.path)
        self.clock = SystemClock()
        self.redactor = redactor
        self._directory = loaded.directory
        self.clients = SharedClients(
            loaded.settings, self.clock, redactor.add, directory=self._directory, report=report
        )
        self.details: Callable[[Execution], str | None] = lambda _execution: None
        self._automations = {automation.name: automation for automation in loaded.automations}
        self.webhook = self.clients.cached(webhook_references(loaded, config), report)
        _ = self.clients.token  # a token that cannot be read ends the start, not the first run
        setting_value(loaded.settings.api_url, "github.api-url")
        self.receiver = Receiver.of(loaded.automations, self.webhook.keys)
        self.engine = Engine(
            ledger,
            self._run_function(),
            clock=self.clock,
            redact=redactor.text,
            on_request=self._on_request,
            on_finish=on_finish,
            report=report,
        )

    def start(self) -> None:
        """Recover what an earlier process left and take up work."""
        self.engine.start()

    def close(self, timeout: float = 20.0) -> None:
        """Drain the engine, then close the ledger. What did not end in time goes on at the next start."""
        self.engine.stop(timeout)
        self.ledger.close()

    def _details_link(self, execution: Execution) -> str | None:
        return self.details(execution)

    def _run_function(self) -> RunFunction:
        from closeout.actions.registry import builtin

        return make(
            RunDeps(
                actions=builtin(),
                clients=self.clients,
                github=_LazyGitHub(self.clients),
                journal=self.ledger,
                clock=self.clock,
                switch=self.ledger,
                redact=self.redactor,
                current=self._automations.get,
                functions=self.loaded.functions,
                details=self._details_link,
                directory=self._directory,
                own_contexts=status_contexts(self.loaded.automations),
                has_token=self.clients.has_token,
            )
        )

    # --- what another process asked -------------------------------------------------------------------------

    def _on_request(self, request: Request) -> str:
        """Carry out a rerun, a replay or a prune and say what came of it; errors are sentences, never raised."""
        try:
            if request.kind == "prune":
                return json.dumps(self.ledger.prune(float(str(request.target))))
            if request.kind == "rerun":
                return self._rerun(request)
            if request.kind == "replay":
                return self._replay(request)
        except CloseoutError as error:
            return error.message
        return f"unknown request {request.kind!r}"

    def _rerun(self, request: Request) -> str:
        run = self.views.run(str(request.target))
        if run is None:
            return f"there is no run {request.target}"
        if run.state != "finished":
            return f"run {request.target} has not finished; cancel it first"
        automation = self._automations.get(run.automation)
        if automation is None:
            return f"the configuration no longer has the automation {run.automation}"
        # The key too is today's: with yesterday's it could run beside a run that holds the key of today.
        matched = self.receiver.runs(run.event, run.guid, self.views.body(run.delivery))
        today = next((new for new in matched if new.run_id == run.id), None)
        execution = self.ledger.new_attempt(
            run.id,
            automation.canonical(),
            request.by,
            queue_timeout=automation.queue_timeout,
            request=request.id,
            **({"key": today.key} if today else {}),
        )
        self.engine.enqueue([execution])
        return execution

    def _replay(self, request: Request) -> str:
        """Match a kept delivery against today's file: new runs begin, finished ones get their next attempt."""
        number = int(str(request.target))
        delivery = self.views.delivery(number)
        if delivery is None:
            return f"there is no delivery {number}"
        runs = self.receiver.runs(delivery.event, delivery.guid, self.views.body(number))
        started = list(self.ledger.add_runs(number, runs, request.by))
        fresh = {execution.rpartition("-")[0] for execution in started}
        for run in runs:
            if run.run_id in fresh:
                continue
            found = self.views.run(run.run_id)
            if found is not None and found.state == "finished":
                started.append(
                    self.ledger.new_attempt(
                        run.run_id, run.definition, request.by, key=run.key, queue_timeout=run.queue_timeout
                    )
                )
        self.engine.enqueue(started)
        return (
            ", ".join(started)
            if started
            else "nothing to start: no automation matches, or its run has not finished"
        )


class _LazyGitHub:
    """`ports.GitHub` whose client is made at the first call, so that a start costs no import of it."""

    def __init__(self, clients: SharedClients) -> None:
        self._clients = clients

    def __getattr__(self, name: str) -> Any:
        return getattr(self._clients.github, name)


def open_runtime(
    loaded: Loaded, config: Path, db: Path, *, redactor: Redactor, report: Report, on_finish: OnFinish
) -> Runtime:
    """Open the ledger, take its lock, and compose; `report` gets sentences for the operator, `on_finish` each end.

    Raises `SecretError` when no webhook secret can be had, `LedgerError`, `LedgerInUse` or `ConfigError`.
    """
    webhook_references(loaded, config)
    ledger = Ledger(db, clock=SystemClock(), redact=redactor.text).open()
    try:
        return Runtime(loaded, config, ledger, redactor=redactor, report=report, on_finish=on_finish)
    except BaseException:
        ledger.close()
        raise


def webhook_references(loaded: Loaded, config: Path) -> tuple[str, ...]:
    """Give the references of the webhook's secrets. Raises `SecretError` that says how when there is none."""
    references = loaded.settings.secrets_webhook
    if not references:
        raise SecretError(UNVERIFIABLE.format(file=config))
    return references


def public_url(loaded: Loaded, given: str | None) -> str | None:
    """Give the configured base of Details links, None when the server's own address is to be used."""
    text = given or loaded.settings.public_url
    return setting_value(text, "public-url").rstrip("/") if text else None
