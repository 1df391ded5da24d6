"""The objects of a worker on AWS: its ledger, its run function, and its engine.

Composed once for each Lambda environment, from variables that the stack sets and the configuration in the bundle. The
stack's secrets replace the file's, and Details links lead to the run's lines in CloudWatch Logs.
"""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable, Iterator, Mapping
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
from closeout.ports import Clock, Execution, RunRecord
from closeout.run.deps import RunDeps
from closeout.run.finalize import make_finalizer
from closeout.run.workflow import make_run_function
from closeout.stack import invocation
from closeout.stack.console import run_log_url
from closeout.wiring.clients import LazyGitHub, SharedClients
from closeout.wiring.stack_ledger import Place, StackLedger

if TYPE_CHECKING:
    from closeout.actions.registry import Registry
    from closeout.config.load import Loaded

Value = TypeVar("Value")

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
        load: Callable[[], Loaded],
        *,
        directory: Path,
        region: str,
        api_url: str,
        token: str,
        client: Callable[[str], Any],
        clock: Clock,
        rechecks: str | None = None,
        drain: float = DRAIN,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._place = place
        self._client = client
        self._rechecks = rechecks
        self._load = load
        self._directory = directory
        self._region = region
        self.redactor = Redactor()
        self.journal = LogJournal(clock, self.redactor.text)
        self.ledger = StackLedger(place, client, clock)
        self._clients = SharedClients(
            clock,
            self.redactor.add,
            api_url=api_url,
            token=f"aws-secretsmanager:{token}",
            region=region,  # for secrets without an ARN: every step carries its own
            directory=directory,
            secrets_client=self._secrets_client(client),
            report=self.journal.report,
            step_secrets=lambda: self._loaded.step_secrets,
        )
        self._drain = drain
        self._clock = clock
        self.deps = self._deps()
        self.engine = LambdaEngine(
            self.ledger.store,
            make_run_function(self.deps),
            starts=self.ledger.starts,
            finalize=self._finalize,
            clock=clock,
            token=lambda: uuid.uuid4().hex,
            jitter=jitter,
            redact=self.redactor.text,
            report=self.journal.about,
            on_finish=self._finished,
            on_end=self._recheck,
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

    @cached_property
    def _loaded(self) -> Loaded:
        """Return the configuration in the bundle. Raises `ConfigError`: the run that needs it fails with this text.

        Nothing before `pending` needs it: a run's own definition is in the ledger.
        """
        return self._load()

    def _secrets_client(self, client: Callable[[str], Any]) -> Callable[[str | None], Any]:
        def of_region(region: str | None) -> Any:
            service = "secretsmanager"
            return client(service) if region == self._region else boto_client(service, region)

        return of_region

    def _deps(self) -> RunDeps:
        region = self._region
        return RunDeps(
            actions=Late(_builtin),
            clients=self._clients,
            github=LazyGitHub(self._clients),
            journal=self.journal,
            clock=self._clock,
            switch=self.ledger.switch,
            redact=self.redactor,
            current=self._current,
            functions=Late(lambda: self._loaded.functions),
            details=lambda run: run_log_url(region, self._place.log_group, run.run_id, run.accepted_at),
            directory=self._directory,
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
        if self._rechecks is None:
            return
        from closeout.wiring.stack_rechecks import RecheckStarts, with_boto

        invoke, report = (
            with_boto(self._client("lambda"), self._clock.now),
            partial(self.journal.about, record.execution),
        )
        RecheckStarts(invoke, self._rechecks, self._clock.now, report).ended(record)

    def _finished(self, finished: Finished) -> None:
        execution, ending = finished.execution, finished.ending
        self.journal.finished(
            execution.id,
            execution.automation,
            ending.verdict,
            ending.summary,
            finished.finished_at - execution.accepted_at,
        )
        if ending.verdict == "success":
            self._count(execution, ending.summary)

    def _count(self, execution: Execution, summary: str) -> None:
        """Count a run that found nothing; an outage costs one count and no run."""
        try:
            count = self.ledger.empty_runs.note(execution.automation, summary)
        except CloseoutError:
            return
        if count >= FIRST_RUNS:
            told = f"automation {execution.automation} has found nothing to delete in any of its {count} runs"
            self.journal.about(execution.id, f"{told}: check the names that its steps make")


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
    place = Place(
        environment["CLOSEOUT_TABLE"],
        environment["CLOSEOUT_BUCKET"],
        environment.get("CLOSEOUT_WORKER") or f"{environment['AWS_LAMBDA_FUNCTION_NAME']}:{ALIAS}",
        environment["CLOSEOUT_LOG_GROUP"],
        float(environment["CLOSEOUT_RETENTION_DAYS"]),
    )
    return StackRuntime(
        place,
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


class Late(Mapping[str, Value]):
    """A mapping that is made when somebody first looks into it."""

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
