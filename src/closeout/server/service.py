"""`closeout serve`: load the configuration, open the ledger, serve until a signal.

Errors are found in this order, before any request is answered: the file, the secrets, the ledger, the port.
"""

from __future__ import annotations

import gc
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.core.redact import Redactor
from closeout.core.runs import clip
from closeout.engine.recorder import Finished
from closeout.ledger.sqlite import Requests
from closeout.patrol.report import Report
from closeout.ports import Secrets
from closeout.server import details, serve, startup
from closeout.server.access import Access
from closeout.server.app import Application
from closeout.server.connection_limits import LOOPBACK
from closeout.server.log import Log
from closeout.server.parts import PageActions, ServerParts
from closeout.wiring import recovery
from closeout.wiring.clients import setting_value
from closeout.wiring.orphans import STOPPING
from closeout.wiring.preview import Planner
from closeout.wiring.runtime import Runtime, open_runtime, public_url
from closeout.wiring.workflow_guard import WorkflowGuard

ENGINE_DRAIN_SECONDS = 20.0
YOUNG = 50_000
"""New objects between two garbage collections. At Python's default of 700, a server with many active runs scans all their
objects again and again, which delays answers."""
METRICS_TOKEN = "CLOSEOUT_METRICS_TOKEN"  # noqa: S105  (the variable's name)


def serve_forever(  # noqa: PLR0913 - each argument is an option of `serve`
    config: Path,
    db: Path,
    host: str,
    port: int,
    *,
    base_url: str | None,
    json_logs: bool,
    on_listening: Callable[[str], None],
    trusted_proxies: Sequence[str] = LOOPBACK,
    pages: socket.socket | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; the pages at a bound socket of their own, if `pages` is one.

    Raises `ConfigError`, `SecretError`, `LedgerError`, `LedgerInUse`, `OSError`.
    """
    loaded = load(config, builtin())
    redactor = Redactor()
    log = Log(as_json=json_logs, redact=redactor.text)
    log.take_over()
    base = public_url(loaded, base_url)
    if not db.exists():
        serve.bind(host, port).close()  # a port in use must not leave a new ledger behind
    runtime = open_runtime(
        loaded, config, db, redactor=redactor, report=log.report, on_finish=lambda run: _finished(log, run)
    )
    try:
        key = runtime.ledger.setting(details.KEY_SETTING, lambda: os.urandom(details.KEY_BYTES))
        parts = parts_of(runtime, key, log, None if pages else base)
        app = Application(replace(parts, guard=_guard(runtime).ask, pages_apart=pages is not None))
        app.metrics.patrol = runtime.patrols.figures
        app.metrics.drill = runtime.drills.figures
        app.metrics.notifiers = runtime.notifying.figures

        def listening(address: str) -> None:
            own = base or address
            runtime.page = lambda execution: details.link(own, key, execution, time.time())
            runtime.base = own
            on_listening(address)  # must write the first line: other programs wait for it
            _remember(runtime, own, pages, log)
            for text in (*startup.summary(loaded, address, own), *runtime.patrols.notices()):
                log.line(text)
            open_runs = runtime.start()
            if open_runs:
                log.line(f"continuing {open_runs} open run{'' if open_runs == 1 else 's'}")
            runtime.patrols.start(lambda report: _patrolled(log, report))
            runtime.drills.start(log.line)
            runtime.notifying.start(log.line)

        def draining() -> None:
            app.drain()
            log.line(_stopping(runtime.engine.under_way()))

        relax_garbage_collection()
        patient = serve.run(
            app, host, port, listening, on_draining=draining, trusted_proxies=trusted_proxies, pages=pages
        )
        _stop(runtime, log, ENGINE_DRAIN_SECONDS if patient else 0.0)
    finally:
        runtime.close(0.0)


def _guard(runtime: Runtime) -> WorkflowGuard:
    return WorkflowGuard(
        lambda: runtime.loaded.automations,
        runtime.clients,
        runtime.views.teardowns,
        api_url=setting_value(runtime.loaded.settings.api_url, "github.api-url"),
        audience=lambda: runtime.base or "",
        clock=runtime.clock,
        late=runtime.rechecks.recheck_now,
    )


def _remember(runtime: Runtime, base: str, pages: socket.socket | None, log: Log) -> None:
    """Store the bases of links for the command line: `base` for runs, the pages' own address for sign-in."""
    own = serve.base_address(pages, wildcard=False) if pages else None
    runtime.ledger.replace_setting(details.BASE_SETTING, base.encode())
    runtime.ledger.replace_setting(details.PAGES_SETTING, (own or base).encode())
    if own:
        log.line(f"pages: {own}/, and nowhere else; `closeout open` signs you in")


def relax_garbage_collection() -> None:
    """Exclude all objects so far from garbage collection, and collect after `YOUNG` new ones.

    Objects without reference cycles are still freed at once; cycles are freed a little later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])


def _stop(runtime: Runtime, log: Log, seconds: float) -> None:
    with serve.signals() as received:
        ended = runtime.stop(seconds, lambda: bool(received))
    left = runtime.engine.counts().total()
    goes = "1 run continues" if left == 1 else f"{left} runs continue"
    repeated = "" if ended else "; the interrupted operation runs again"
    log.line(f"stopped; {goes} at the next start{repeated}" if left else "stopped")


def _stopping(under_way: list[str]) -> str:
    if not under_way:
        return "stopping"
    some = ", ".join(under_way[:5]) + (", …" if len(under_way) > 5 else "")
    what = f"{len(under_way)} operation{'' if len(under_way) == 1 else 's'} ({some})"
    return f"stopping; waiting up to {ENGINE_DRAIN_SECONDS:g} s for {what}. A second Ctrl-C or SIGTERM ends it at once"


def _finished(log: Log, finished: Finished) -> None:
    """Log how a run ended, so that the journal of the service shows what it did.

    At most one line a second for each verdict, with the number of others, so that a burst cannot fill a pipe that is not
    read. The ledger has every run.
    """
    execution, ending = finished.execution, finished.ending
    log.throttled(
        f"a run has finished: {ending.verdict}",
        run=execution.id,
        automation=execution.automation,
        seconds=round(finished.finished_at - execution.accepted_at, 1),
        summary=clip(ending.summary),
    )


def _patrolled(log: Log, report: Report) -> None:
    """Log what a round of patrol found, and what it could not read. A round without either appears only in the metrics.

    What a stopping server did not read is not an error, because the next start reads it.
    """
    for note in report.notes:
        log.line(f"patrol: {note}")
    if report.found:
        recovered = f"{report.recovered} deliveries recovered, {report.gaps} gaps"
        log.line(f"patrol: {report.started} closings started, {recovered}")
    for error in report.errors:
        if not error.endswith(STOPPING):
            log.throttled("patrol could not read all", error=error)


def metrics_token(secrets: Secrets) -> str | None:
    """Return the token for `/metrics`; None when it is not set. Raises `SecretError` when it is not UTF-8 text."""
    return secrets.read(f"env:{METRICS_TOKEN}")[0] if os.environ.get(METRICS_TOKEN) else None


def parts_of(runtime: Runtime, key: bytes, log: Log, base: str | None) -> ServerParts:
    """Return what the application needs of a runtime. `base` is the public URL of the pages, if it is known."""
    return ServerParts(
        receiver=runtime.receiver,
        accept=runtime.ledger.accept_group,
        started=lambda _executions: runtime.engine.wake(),
        refresh=runtime.webhook.refresh,
        secrets=", ".join(runtime.loaded.settings.secrets_webhook),
        ready=runtime.ready,
        views=runtime.views,
        link_key=key,
        page_actions=_page_actions(runtime),
        loaded=runtime.loaded,
        marks=runtime.ledger.marks,
        redact=runtime.redactor.text,
        ledger_path=runtime.ledger.path,
        access=Access(key, runtime.ledger.credentials, time.time, base),
        public_logs=runtime.loaded.settings.public_logs,
        metrics_token=metrics_token(runtime.clients.secrets),
        log=log,
    )


def _page_actions(runtime: Runtime) -> PageActions:
    planner = Planner(runtime.loaded, runtime.clients, runtime.redactor)
    return PageActions(
        requests=Requests(runtime.ledger.path, clock=runtime.clock),
        plan=planner.plan,
        plan_cleaning=planner.plan_cleaning,
        audit=runtime.audit,
        left_alone=lambda guid: recovery.find(runtime.ledger, runtime.clock.now(), guid),
        read=lambda each: recovery.read(runtime.clients.github, each),
    )
