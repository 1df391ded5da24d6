"""The public emulator of AWS with what only a stack of closeout needs: durable executions, serializable transactions, IAM's simulation.

Here and not in the package, because no automation of a user calls any of it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from closeout.testing.aws.app import Emulator
from closeout.testing.aws.calls import Answer, Call, Request
from closeout.testing.aws.server import FakeAws
from tests.stack_aws.executions import Executions
from tests.stack_aws.simulation import Simulation
from tests.stack_aws.transactions import spare_copies


class StackEmulator(Emulator):
    """The emulator of one account with a stack."""

    def __init__(self, **options: Any) -> None:
        spare_copies()
        self.executions = Executions()
        self.simulation = Simulation()
        self._serial = threading.Lock()
        """DynamoDB's transactions are serializable; moto's undo what others write meanwhile, so one call at a time."""
        super().__init__(**options)

    def reset(self) -> None:
        """Start a new, empty world."""
        super().reset()
        self.executions.clear()
        self.simulation.denied.clear()

    def read_call(self, request: Request) -> Call:
        """Return what is called, Lambda's operations by their names too."""
        call = super().read_call(request)
        return self.executions.named(call, request) if call.service == "lambda" else call

    def answer(self, call: Call, request: Request) -> Answer | None:
        """Answer in moto's place."""
        return (
            super().answer(call, request) or self.simulation.answer(call) or self.executions.answer(request)
        )

    def ask_moto(self, call: Call, environ: dict[str, Any]) -> tuple[Iterable[bytes], str, Any]:
        """Return moto's answer."""
        with self._serial if call.service == "dynamodb" else contextlib.nullcontext():
            return super().ask_moto(call, environ)

    def routes(self, query: str) -> dict[tuple[str, str], Callable[[dict[str, Any]], Any]]:
        """Return what carries out each control request."""
        return super().routes(query) | {
            ("GET", "executions"): lambda _: self.executions.seen(),
            ("GET", "callbacks"): lambda _: list(self.executions.completed),
            ("POST", "executions"): self.executions.turn,
        }


class StackAws(FakeAws):
    """`FakeAws` with a stack's services, always in this process."""

    emulator: ClassVar[type[Emulator]] = StackEmulator

    def executions(self) -> list[dict[str, Any]]:
        """Return every durable execution that was started: function, name, payload, status, starts."""
        answer: list[dict[str, Any]] = self.control("GET", "executions")
        return answer

    def callbacks(self) -> list[str]:
        """Return the ids of the durable callbacks that were completed, in order."""
        answer: list[str] = self.control("GET", "callbacks")
        return answer

    def execution_status(self, name: str, status: str) -> None:
        """Set the status of a durable execution."""
        self.control("POST", "executions", {"name": name, "status": status})
