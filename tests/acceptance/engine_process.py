"""A server without HTTP, for crash tests: accepts deliveries from its input, runs them, writes down every effect.

Its arguments are LEDGER JOURNAL TURN; tests fork it. TURN are the seconds of a suspect's first turn alone. Each line of
input is `accept NAME KEY`; once it is committed the process prints `accepted NAME`. Every call of an operation's function
is one fsynced line `NAME operation` in the journal, written before the effect would be recorded, so that what was called
can be compared with what was recorded. The name says what a run does besides: `poison` ends the process (`-at-once`: with
its very first operation, `-late`: after a quarter of a second), `slow` takes a tenth of a second for its delete, `long`
more than a second.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from closeout.core.errors import CloseoutError, ServiceError
from closeout.core.records import NewDelivery, NewRun
from closeout.core.retry import Backoff, Retry
from closeout.engine.local import Engine
from closeout.ledger.sqlite import Ledger
from closeout.ports import Durable, Ending, Execution

SLOW_DOWN = Retry(attempts=10_000, backoff=Backoff(first=0.01))
"""More than there are restarts in a test: the service is slow once for each process, and tries are never forgotten."""

OPERATIONS = ("begin", "plan", "delete", "gone", "verify", "final")


class Clock:
    """The system's time."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()


class Journal:
    """An append-only file that other processes may read at any time."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, text: str) -> None:
        """Write one line and see that it is on disk."""
        os.write(self._handle, f"{text}\n".encode())
        os.fdatasync(self._handle)


def main(arguments: list[str]) -> int:
    """Run until the input ends, then drain."""
    ledger_path, journal_path, turn = arguments
    journal = Journal(Path(journal_path))
    slowed: set[str] = set()

    def run(durable: Durable, execution: Execution) -> Ending:
        name = execution.automation

        def note(operation: str) -> str:
            journal.write(f"{name} {operation}")
            if operation == "poison":
                time.sleep(0.25 if name.endswith("-late") else 0.0)
                os.kill(os.getpid(), 9)
            time.sleep(0.002)
            return operation

        def delete() -> str:
            note("delete")
            time.sleep(0.1 if name.startswith("slow") else 1.2 if name.startswith("long") else 0.0)
            if execution.delivery % 3 == 0 and name not in slowed:
                slowed.add(name)
                raise ServiceError(
                    "slow down", service="s3", operation="d", reason="SlowDown", transient=True
                )
            return "deleted"

        try:
            if name == "poison-at-once":
                durable.record("poison", lambda: os.kill(os.getpid(), 9))
            durable.record("begin", lambda: note("begin"))
            if name.startswith("poison"):
                durable.record("poison", lambda: note("poison"))
            durable.record("plan", lambda: note("plan"))
            durable.record("delete", delete, SLOW_DOWN)
            durable.sleep("settle", 0.01)
            durable.wait_until(
                "gone", lambda: note("gone") if time.time() % 0.05 > 0.02 else None, 0.01, 30.0
            )
            durable.record("verify", lambda: note("verify"))
        except CloseoutError as error:
            durable.record("final", lambda: note("final"))
            return Ending("failure", error.message)
        durable.record("final", lambda: note("final"))
        return Ending("success", "gone")

    with Ledger(Path(ledger_path), clock=Clock()) as ledger:
        engine = Engine(
            ledger, run, clock=Clock(), turn=float(turn), report=lambda text: print(text, file=sys.stderr)
        )
        engine.start()
        print("ready", flush=True)
        for line in sys.stdin:
            _, name, key = line.split()
            delivery = NewDelivery(
                "1", f"guid-{name}", "push", None, None, b"{}", False, time.time(), "github"
            )
            ledger.accept_wait(delivery, [NewRun(name, name, None if key == "-" else key, "{}", 3_600.0)])
            engine.wake()
            print(f"accepted {name}", flush=True)
        engine.stop(5.0)
    return 0
