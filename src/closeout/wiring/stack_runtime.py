"""The objects of a worker on AWS: its ledger, its run function, and its engine.

Composed once for each Lambda environment, from variables that the stack sets and the configuration in the bundle. The
stack's secrets replace the file's, and Details links lead to the run's lines in CloudWatch Logs.
"""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from closeout.actions.spec import Limit
from closeout.adapters.boto import boto_client, boto_clients
from closeout.adapters.clock import SystemClock
from closeout.core.automation import Current, status_contexts
from closeout.core.errors import CloseoutError
from closeout.core.redact import Redactor
from closeout.core.runs import FIRST_RUNS
from closeout.engine.lambda_ import DRAIN, LambdaEngine
from closeout.engine.recorder import Finished
from closeout.ledger.dynamodb.journal import LogJournal
from closeout.ledger.dynamodb.starts import start_by_name
from closeout.ports import Clock, RunRecord
from closeout.run.deps import RunDeps
from closeout.run.finalize import make_finalizer
from closeout.run.workflow import make_run_function
from closeout.stack import invocation
from closeout.stack.console import run_log_url
from closeout.wiring.clients import LazyGitHub, SharedClients
from closeout.wiring.stack_ledger import LedgerResources, StackLedger

if TYPE_CHECKING:
    from closeout.actions.registry import Registry
    from closeout.config.load import Loaded

Value = TypeVar("Value")

CALL = Limit(invocation.LONGEST_CALL, invocation.WHY)
"""How long one call of a step may take, whatever its timeout: a call that Lambda interrupts would run twice."""
SHORT = 5.0
"""Seconds that an invocation spends at most on ending another run that blocks it, waits included."""


@dataclass
class StackRuntime:
    """A worker, or the handler of failed executions, which needs the same except the user's modules."""

    resources: LedgerResources
    load: Callable[[], Loaded]
    directory: Path
    region: str
    api_url: str
    token: str
    client: Callable[[str], Any]
    clock: Clock
    rechecks: str | None = None
    drain: float = DRAIN
    jitter: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        self.redactor = Redactor()
        self.journal = LogJournal(self.clock, self.redactor.text)
        self.ledger = StackLedger(self.resources, self.client, self.clock)
        self._clients = SharedClients(
            self.clock,
            self.redactor.add,
            api_url=self.api_url,
            token_reference=f"aws-secretsmanager:{self.token}",
            region=self.region,  # for secrets without an ARN: every step carries its own
            directory=self.directory,
            secrets_client=self._secrets_client,
            report=self.journal.report,
            step_references=lambda: self._loaded.step_secrets,
        )
        self.deps = self._deps()
        self.engine = LambdaEngine(
            self.ledger.store,
            make_run_function(self.deps),
            starts=self.ledger.starts,
            finalize=self._finalize,
            clock=self.clock,
            token=lambda: uuid.uuid4().hex,
            jitter=self.jitter,
            redact=self.redactor.text,
            report=self.journal.about,
            on_finish=self._finished,
            on_end=self._recheck,
            drain=self.drain,
            longest=CALL.seconds + invocation.AROUND_A_CALL,
        )

    def end(self, execution: str, status: str, remaining: Callable[[], float]) -> bool:
        """End an execution that Lambda has given up; return whether it has ended. Raises `StoreUnavailable`."""
        if status == "STOPPED" and self.ledger.deployed.is_removed():
            status = invocation.REMOVED
        return self.engine.end(execution, make_finalizer(self.deps, status), remaining)

    def lost(self, execution: str, remaining: Callable[[], float]) -> bool:
        """Start again an execution that Lambda could not start, or end it if it is over; return whether that is done."""
        record = self.ledger.store.look(execution)
        if record is None or record.run.state == "finished":
            return True
        status = self.ledger.starts.ensure(execution)
        return status in invocation.ALIVE or self.end(execution, status, remaining)

    def _finalize(self, execution: str, status: str, remaining: Callable[[], float]) -> bool:
        return self.end(execution, status, lambda: min(remaining(), self.drain + SHORT))

    @cached_property
    def _loaded(self) -> Loaded:
        """Return the configuration in the bundle. Raises `ConfigError`: the run that needs it fails with this text.

        Nothing before `pending` needs it: a run's own definition is in the ledger.
        """
        return self.load()

    def _secrets_client(self, region: str | None) -> Any:
        service = "secretsmanager"
        return self.client(service) if region == self.region else boto_client(service, region)

    def _deps(self) -> RunDeps:
        return RunDeps(
            actions=LazyMapping(_builtin),
            clients=self._clients,
            github=LazyGitHub(self._clients),
            journal=self.journal,
            clock=self.clock,
            switch=self.ledger.switch,
            redact=self.redactor,
            current=self._current,
            functions=LazyMapping(lambda: self._loaded.functions),
            details=lambda run: run_log_url(
                self.region, self.resources.log_group, run.run_id, run.accepted_at
            ),
            directory=self.directory,
            own_contexts=lambda: status_contexts(self._loaded.automations),
            has_token=self._clients.has_token,
            claim_closing=self.ledger.attempts.claim_closing,
            learn=lambda: self._clients.step_secrets.learn(),  # noqa: PLW0108 - made when first needed
            longest_call=CALL,
            deleted_before=lambda *asked: self.ledger.teardowns.deleted_before(*asked),  # noqa: PLW0108
        )

    def _current(self, name: str) -> Current:
        """Read what was deployed last, because a waiting run keeps an old version of this worker.

        Raises `StoreUnavailable`. A stack that an earlier closeout deployed has no such item; then the bundle counts.
        """
        deployed = self.ledger.deployed.read()
        return self._loaded.current(name) if deployed is None else deployed.current(name)

    def _recheck(self, record: RunRecord) -> None:
        """Start the rechecks of a run. A stack that an earlier closeout deployed has no function for them."""
        if self.rechecks is None:
            return
        from closeout.wiring.stack_rechecks import RecheckStarts

        invoke = partial(start_by_name, self.client("lambda"), self.clock.now)
        report = partial(self.journal.about, record.execution)
        RecheckStarts(invoke, self.rechecks, self.clock.now, report).ended(record)

    def _finished(self, finished: Finished) -> None:
        execution, ending = finished.execution, finished.ending
        self.journal.finished(
            execution.id,
            execution.automation,
            ending.verdict,
            ending.summary,
            finished.finished_at - execution.accepted_at,
        )
        if ending.verdict != "success":
            return
        try:
            count = self.ledger.empty_runs.note(execution.automation, ending.summary)
        except CloseoutError:
            return  # an outage costs one count and no run
        if count >= FIRST_RUNS:
            warning = (
                f"automation {execution.automation} has found nothing to delete in any of its {count} runs"
            )
            self.journal.about(execution.id, f"{warning}: check the names that its steps make")


def open_stack_runtime(
    environment: Mapping[str, str] = os.environ,
    *,
    modules: bool = True,
    drain: float = DRAIN,
    clock: Clock | None = None,
    client: Callable[[str], Any] | None = None,
) -> StackRuntime:
    """Compose from a Lambda's environment. `client` returns the client of a service, boto3's unless given.

    Without `modules` the user's code is not imported: what a run has stored is enough to end it, and a module that fails to
    import may be the reason to end it.
    """
    path = (Path(environment.get("LAMBDA_TASK_ROOT", ".")) / environment["CLOSEOUT_CONFIG"]).resolve()

    def load() -> Loaded:
        from closeout.config.load import load

        return load(path, _builtin(), modules=modules)

    region = environment["AWS_REGION"]
    return StackRuntime(
        LedgerResources.of(environment),
        load,
        directory=path.parent,
        region=region,
        api_url=environment["CLOSEOUT_API_URL"],
        token=environment["CLOSEOUT_GITHUB_SECRET"],
        client=client or boto_clients(region),
        clock=clock or SystemClock(),
        rechecks=environment.get("CLOSEOUT_RECHECKS"),
        drain=drain,
    )


class LazyMapping(Mapping[str, Value]):
    """A mapping that is made when it is first read."""

    def __init__(self, make: Callable[[], Mapping[str, Value]]) -> None:
        self._make = make

    def __getitem__(self, key: str) -> Value:
        return self._make()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._make())

    def __len__(self) -> int:
        return len(self._make())


def _builtin() -> Registry:
    from closeout.actions.registry import builtin

    return builtin()
