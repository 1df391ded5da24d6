"""Start rechecks on AWS: a durable execution for each teardown, which waits until each is due and only reads.

The worker starts it when a teardown has succeeded, and the guard starts one that looks at once. It is an execution of patrol's
function, whose role cannot delete anything; `stack_rechecker` advances it. The two are apart, because the guard must start fast
and does not recheck anything itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from closeout.core.automation import Automation
from closeout.core.errors import ServiceError
from closeout.core.ids import parse_execution, short_digest
from closeout.ledger.dynamodb.starts import GONE, STARTED
from closeout.ports import RunRecord
from closeout.stack.table import durable_name

HURRIED = 60
"""Seconds in which any number of deploys of one pull request that ask the guard bring forward one recheck."""
START_WITHIN = 600.0
"""Seconds after the end of a teardown during which a failed start of its rechecks is tried again."""


Invoke = Callable[[str, bytes, str], object]
"""Starts a durable execution: the function's alias, the payload, the execution's name. As `AwsClient.invoke` does."""


class RecheckStarts(NamedTuple):
    """Starts the executions that look again. `function` is the alias of patrol's function: its ARN, or `name:alias`."""

    invoke: Invoke
    function: str
    now: Callable[[], float]
    report: Callable[[str], None]

    def ended(self, record: RunRecord) -> None:
        """Start the rechecks of a run that has ended, if it has any.

        Raises the `ServiceError` of a start that may succeed a little later: the run is over, and its execution is invoked again.
        """
        if record.run.verdict != "success" or record.event != "pull_request.closed" or not record.accepted:
            return
        definition = record.accepted.definition
        if not definition or not Automation.from_canonical(definition).recheck:
            return
        run_id, attempt = parse_execution(record.execution)
        try:
            self._start(f"recheck-{record.execution}", {"run_id": run_id, "attempt": attempt})
        except ServiceError as error:
            late = self.now() - (record.run.finished_at or 0.0) > START_WITHIN
            if error.transient and not late:
                raise
            self.report(f"run {run_id} is not rechecked: its rechecks cannot be started: {error.message}")

    def recheck_now(self, repository: str, number: int) -> None:
        """Recheck at once what was torn down for a pull request: a deploy of it has just asked, and is too late.

        Once a minute. Raises `ServiceError`.
        """
        about = short_digest(f"{repository.lower()}#{number}")
        turn = int(self.now() // HURRIED)
        self._start(f"hurry-{about}-{turn}", {"repository": repository, "number": number})

    def _start(self, name: str, asked: Mapping[str, Any]) -> None:
        """Start an execution once by its name: the same name always comes with the same payload."""
        payload = json.dumps({"recheck": asked}, separators=(",", ":"), sort_keys=True).encode()
        try:
            self.invoke(self.function, payload, durable_name(self.function, name))
        except ServiceError as error:
            if error.reason == GONE:
                self.report("nothing is rechecked: patrol's function does not exist; deploy the stack again")
            elif error.reason != STARTED:
                raise
