"""The objects of a worker on AWS: its ledger, its run function, and its engine.

Composed once for each Lambda environment, from variables that the stack sets and the configuration in the bundle. The
stack's secrets replace the file's, and Details links lead to the run's lines in CloudWatch Logs.
"""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from closeout.actions.spec import Limit
from closeout.adapters.clock import SystemClock
from closeout.config.load import Loaded
from closeout.config.load import load as load_config
from closeout.core.automation import Current, status_contexts
from closeout.core.redact import Redactor
from closeout.engine.lambda_ import DRAIN, LambdaEngine
from closeout.engine.recorder import Finished
from closeout.ledger.dynamodb.journal import LogJournal
from closeout.ports import Clock, Execution, RunFunction
from closeout.run.deps import RunDeps
from closeout.run.finalize import make_finalizer
from closeout.run.workflow import make_run_function
from closeout.stack import invocation
from closeout.stack.console import run_log_url
from closeout.wiring.clients import LazyGitHub, SharedClients
from closeout.wiring.stack_ledger import Place, StackLedger

ALIAS = "live"
"""The worker's alias in the stack."""
CALL = Limit(invocation.LONGEST_CALL, invocation.WHY)
"""How long one call of a step may take, whatever its timeout: a call that Lambda interrupts would run twice."""
SHORT = 5.0
"""Seconds that an invocation spends at most on ending another run that blocks it, waits included."""


class StackRuntime:
    """A worker, or the handler of failed executions, which needs the same except the user's modules."""

    def __init__(  # noqa: PLR0913 - a composition root
        self,
        place: Place,
        loaded: Loaded,
        *,
        region: str,
        token: str,
        client: Callable[[str], Any],
        clock: Clock,
        drain: float = DRAIN,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._place = place
        self._loaded = loaded
        self._region = region
        self.redactor = Redactor()
        self.journal = LogJournal(clock, self.redactor.text)
        self.ledger = StackLedger(place, client, clock)
        settings = replace(
            loaded.settings,
            secrets_webhook=(),
            secrets_github=f"aws-secretsmanager:{token}",
            public_url=None,
            # Every step carries its own region; this one is for secrets without an ARN.
            aws=replace(loaded.settings.aws, region=region),
        )
        self._clients = SharedClients(
            settings,
            clock,
            self.redactor.add,
            directory=loaded.directory,
            report=self.journal.report,
            step_secrets=loaded.step_secrets,
        )
        self._drain = drain
        self._clock = clock
        self.deps = self._deps()
        self.engine = LambdaEngine(
            self.ledger.store,
            self._run_function(),
            starts=self.ledger.starts,
            finalize=self._finalize,
            clock=clock,
            token=lambda: uuid.uuid4().hex,
            jitter=jitter,
            redact=self.redactor.text,
            report=self.journal.about,
            on_finish=self._finished,
            drain=drain,
            longest=CALL.seconds + invocation.AROUND_A_CALL,
        )

    def end(self, execution: str, status: str, remaining: Callable[[], float]) -> bool:
        """End an execution that Lambda has given up; return whether it has ended. Raises `StoreUnavailable`."""
        if status == "STOPPED" and self.ledger.deployed.is_removed():
            status = invocation.REMOVED
        return self.engine.end(execution, make_finalizer(self.deps, status), remaining)

    def lost(self, execution: str, remaining: Callable[[], float]) -> bool:
        """Start an execution again that Lambda could not start, or end it if it is over; return whether that is done."""
        record = self.ledger.store.look(execution)
        if record is None or record.run.state == "finished":
            return True
        status = self.ledger.starts.ensure(execution)
        return status in invocation.ALIVE or self.end(execution, status, remaining)

    def _finalize(self, execution: str, status: str, remaining: Callable[[], float]) -> bool:
        return self.end(execution, status, lambda: min(remaining(), self._drain + SHORT))

    def _run_function(self) -> RunFunction:
        return make_run_function(self.deps)

    def _deps(self) -> RunDeps:
        from closeout.actions.registry import builtin

        return RunDeps(
            actions=builtin(),
            clients=self._clients,
            github=LazyGitHub(self._clients),
            journal=self.journal,
            clock=self._clock,
            switch=self.ledger.switch,
            redact=self.redactor,
            current=self._current,
            functions=self._loaded.functions,
            details=self._details,
            directory=self._loaded.directory,
            own_contexts=status_contexts(self._loaded.automations),
            has_token=self._clients.has_token,
            learn=self._clients.step_secrets.learn,
            longest_call=CALL,
        )

    def _current(self, name: str) -> Current:
        """Read what was deployed last, because a waiting run keeps an old version of this worker.

        Raises `StoreUnavailable`. A stack that an earlier closeout deployed has no such item; then the bundle counts.
        """
        deployed = self.ledger.deployed.read()
        return self._loaded.current(name) if deployed is None else deployed.current(name)

    def _details(self, execution: Execution) -> str:
        return run_log_url(self._region, self._place.log_group, execution.run_id, execution.accepted_at)

    def _finished(self, finished: Finished) -> None:
        execution, ending = finished.execution, finished.ending
        self.journal.finished(
            execution.id,
            execution.automation,
            ending.verdict,
            ending.summary,
            finished.finished_at - execution.accepted_at,
        )


def open_stack_runtime(
    environment: Mapping[str, str] = os.environ,
    *,
    modules: bool = True,
    drain: float = DRAIN,
    clock: Clock | None = None,
) -> StackRuntime:
    """Compose from a Lambda's environment. Raises `ConfigError` when the bundled configuration cannot be used.

    Without `modules` the user's code is not imported: what a run has stored is enough to end it, and a module that fails to
    import may be the reason to end it.
    """
    from closeout.actions.registry import builtin

    path = Path(environment.get("LAMBDA_TASK_ROOT", ".")) / environment["CLOSEOUT_CONFIG"]
    loaded = load_config(path, builtin(), modules=modules)
    region = environment["AWS_REGION"]
    place = Place(
        environment["CLOSEOUT_TABLE"],
        environment["CLOSEOUT_BUCKET"],
        environment.get("CLOSEOUT_WORKER") or f"{environment['AWS_LAMBDA_FUNCTION_NAME']}:{ALIAS}",
        environment["CLOSEOUT_LOG_GROUP"],
        float(environment["CLOSEOUT_RETENTION_DAYS"]),
    )
    return StackRuntime(
        place,
        loaded,
        region=region,
        token=environment["CLOSEOUT_GITHUB_SECRET"],
        client=boto_clients(region),
        clock=clock or SystemClock(),
        drain=drain,
    )


def boto_clients(region: str) -> Callable[[str], Any]:
    """Return boto3's low-level clients of a region, each made once. Their waits are short, because the engine retries."""
    import boto3
    from botocore.config import Config

    session = boto3.Session(region_name=region)
    config = Config(
        connect_timeout=3.0,
        read_timeout=10.0,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=16,
        user_agent_extra="closeout",
    )
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = session.client(service, config=config)
        return made[service]

    return client
