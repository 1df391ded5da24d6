"""One invocation of the worker in a process of its own: the event on standard input, the answer on standard output.

`KILL_AT` is `<operation>:<moment>` and the process kills itself there, `KILL_TIMES` times over all processes; effects
are lines of the file `JOURNAL`. The run function deletes something, waits until it is gone, and posts a status.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import types
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, durable_execution

from closeout.adapters.boto import boto_clients
from closeout.adapters.clock import SystemClock
from closeout.core.errors import StepFailed
from closeout.engine.lambda_ import LambdaEngine
from closeout.lambdas import worker
from closeout.ports import Durable, Ending, Execution, Operation
from closeout.wiring.stack_ledger import LedgerResources, StackLedger

JOURNAL = Path(os.environ["JOURNAL"])
KILL_AT = os.environ.get("KILL_AT", "")
KILL_TIMES = int(os.environ.get("KILL_TIMES", "1"))


def note(text: str) -> None:
    """Add a line to the journal, on disk before this returns."""
    with JOURNAL.open("a", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def lines() -> list[str]:
    """The journal so far."""
    return JOURNAL.read_text("utf-8").splitlines() if JOURNAL.exists() else []


def moment(name: str) -> None:
    """Die here if this is the place and it has not happened often enough."""
    if name == KILL_AT and lines().count("killed") < KILL_TIMES:
        note("killed")
        os.kill(os.getpid(), signal.SIGKILL)


def effect(name: str, result: Callable[[], Any]) -> Callable[[], Any]:
    """An operation's function: its effect is one line."""

    def call() -> Any:
        moment(f"{name}:before")
        note(name)
        moment(f"{name}:after")
        return result()

    return call


def run(durable: Durable, execution: Execution) -> Ending:
    """Delete, wait until it is gone, tell."""
    verdict, reason = "success", "deleted"
    try:
        durable.record("delete", effect("delete", lambda: "asked"))
        gone = effect("gone", lambda: True if lines().count("gone") >= 3 else None)
        durable.wait_until("gone", gone, 1.0, 3_600.0)
    except StepFailed as error:
        verdict, reason = "failure", error.kind
    durable.record("final", effect("final", lambda: verdict))
    return Ending(verdict, reason)


class Mortal:
    """The ledger's store, with the moments right after a commit."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def take(self, *args: Any, **named: Any) -> bool:
        """Take, and perhaps die."""
        taken = bool(self._inner.take(*args, **named))
        moment("run:taken")
        return taken

    def save(
        self, record: Any, after: Any, operations: Sequence[Operation] = (), seal: str | None = None
    ) -> bool:
        """Save, and perhaps die."""
        saved = bool(self._inner.save(record, after, operations, seal))
        for operation in operations:
            if operation.state != "waiting":
                moment(f"{operation.name}:stored")
        return saved

    def finish(self, *end: Any) -> bool:
        """Finish, and perhaps die before Lambda hears of it."""
        finished = bool(self._inner.finish(*end))
        moment("run:finished")
        return finished


def engine() -> LambdaEngine:
    """What the worker composes, with this run function and this store."""
    resources = LedgerResources(os.environ["TABLE"], "bodies", "worker:live", "/closeout/worker")
    ledger = StackLedger(resources, boto_clients("us-east-1"), SystemClock())
    return LambdaEngine(
        Mortal(ledger.store),
        run,
        starts=ledger.starts,
        finalize=lambda *_: False,
        clock=SystemClock(),
        token=lambda: uuid.uuid4().hex,
        jitter=lambda: 0.0,
        redact=str,
        report=lambda execution, text: print(execution, text, file=sys.stderr),
    )


@durable_execution
def handler(event: dict[str, Any], context: DurableContext) -> dict[str, Any]:
    """The worker's handler over this composition."""
    return worker.work(event, context, engine())


def main() -> None:
    """Answer one invocation."""
    context = types.SimpleNamespace(
        aws_request_id=str(uuid.uuid4()),
        function_name="worker",
        function_version="1",
        memory_limit_in_mb=1024,
        log_group_name="/closeout/worker",
        log_stream_name="stream",
        invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:worker:1",
        identity=None,
        client_context=None,
        tenant_id=None,
        get_remaining_time_in_millis=lambda: 840_000,
    )
    answer = handler(json.load(sys.stdin), context)
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
