"""What a question is, and what it asks with: one account, its executions, and what the queues heard of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.live.account import Account
from tests.live.recorder import Recorder

Findings = dict[str, Any]
ENDED = ("SUCCEEDED", "FAILED", "STOPPED", "TIMED_OUT")
ORDER = ("RUNNING", *ENDED)
RETRIES_SOON = 2.0
"""Seconds that an emulator skips while an invocation may be tried again: its tries take minutes in all."""


class Document(NamedTuple):
    """What AWS's documents say, in our words, and the page that says it."""

    says: str
    page: str


class Expected(NamedTuple):
    """A finding that follows from a document. Two documents may contradict each other."""

    finding: str
    value: Any
    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing that only an account can tell.

    A finding that no document foretells is not in `expects`. `begin` starts what takes long, before any question is asked.
    `uses` are amounts of the price list, at most.
    """

    id: str
    asks: str
    expects: tuple[Expected, ...]
    ask: Callable[[Recording], Findings]
    begin: Callable[[Recording], None] | None = None
    uses: Mapping[str, float] = field(default_factory=dict)
    minutes: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long things take, in seconds but for the counts: on an account, or short for an emulator."""

    execution: float = 60.0
    """Lambda's limit for an execution of the short function."""
    invocation: float = 10.0
    wait: float = 20.0
    """A wait during which other questions about the same execution are asked."""
    messages: float = 45.0
    """How long an event or a dead letter may take to arrive."""
    crash: float = 1500.0
    """How long a crashing execution may be tried again."""
    end: float = 600.0
    stack: float = 1800.0
    polls: int = 3_001
    steps: int = 3_001


SHORT = Times(execution=20, invocation=2, wait=3, messages=1.5, crash=30, end=60, stack=60, polls=3, steps=3)
"""For the emulator, whose answers do not depend on how long one waits. Its `operations` and `polls` mean nothing."""


class Recording:
    """What every question has in its hands."""

    def __init__(
        self,
        account: Account,
        recorder: Recorder,
        times: Times,
        folder: Path,
        skip: Callable[[float], None] = lambda _seconds: None,
    ) -> None:
        self.account = account
        self.recorder = recorder
        self.times = times
        self.folder = folder
        self._skip = skip
        self.events: list[dict[str, Any]] = []
        self.letters: list[dict[str, Any]] = []
        self.begun: dict[str, str] = {}
        """Executions that `begin` has started, by the question's id."""
        self.known: dict[str, str] = {}
        """Texts that a fixture must not hold, and what stands for them there."""

    # --- executions -----------------------------------------------------------------------------------

    def start(self, name: str, payload: Mapping[str, Any], part: str = "long") -> tuple[str | None, str]:
        """Start an execution by name; return its ARN, and the code of AWS's error or `accepted`."""
        from botocore.exceptions import ClientError

        try:
            answer = self.account.client("lambda").invoke(
                FunctionName=f"{self.account.name}-{part}",
                Qualifier="live",
                InvocationType="Event",
                DurableExecutionName=f"{self.account.name}-{name}",
                Payload=json.dumps({"question": name, **payload}).encode(),
            )
        except ClientError as error:
            return None, str(error.response["Error"]["Code"])
        return answer.get("DurableExecutionArn"), "accepted"

    def begin(self, name: str, payload: Mapping[str, Any], part: str = "long") -> None:
        """Start an execution that a question asks about later."""
        arn, said = self.start(name, payload, part)
        if arn is None:
            raise RuntimeError(f"{name}: the execution was not started ({said})")
        self.begun[name] = arn

    def ended(self, arn: str, patience: float, skip: float = 0.0) -> dict[str, Any]:
        """Wait until an execution has ended; return what AWS says of it then, or when patience ends.

        An emulator's clock is set forward by `skip` at each look.
        """
        deadline = time.monotonic() + patience
        while (found := self.state(arn))["Status"] not in ENDED and time.monotonic() < deadline:
            self.pause()
            self._skip(skip)
        return found

    def state(self, arn: str) -> dict[str, Any]:
        """Return what AWS says of an execution; the status `unknown` if it does not know it (yet)."""
        from botocore.exceptions import ClientError

        try:
            found: dict[str, Any] = self.account.client("lambda").get_durable_execution(
                DurableExecutionArn=arn
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return {"Status": "unknown"}
        return found

    def suspended(self, arn: str, started: str = "WaitStarted") -> None:
        """Wait until an execution has begun its operation, and the invocation that began it has ended."""
        deadline = time.monotonic() + self.times.end
        while self.state(arn)["Status"] == "unknown" and time.monotonic() < deadline:
            self.pause()
        while not {started, "InvocationCompleted"} <= set(self.history(arn)):
            if time.monotonic() > deadline:
                raise RuntimeError("the execution did not begin to wait")
            self.pause()

    def pause(self) -> None:
        """Let a moment pass between two looks."""
        time.sleep(0.1 if self.account.emulated else 3.0)

    def outcome(self, arn: str, name: str, patience: float) -> Findings:
        """Return how an execution ended, and who was told of it."""
        found = self.ended(arn, patience, skip=RETRIES_SOON)
        if found["Status"] not in ENDED:
            self.account.client("lambda").stop_durable_execution(DurableExecutionArn=arn)
            self.heard(arn, name)
            return {"status": f"still {found['Status']} when the recording stopped it"}
        types = self.history(arn)
        return {
            "status": found["Status"],
            "error": (found.get("Error") or {}).get("ErrorType"),
            "invocations": types.count("InvocationCompleted"),
            **self.heard(arn, name),
        }

    def history(self, arn: str) -> list[str]:
        """Return the types of an execution's events, in order."""
        pages = self.account.client("lambda").get_paginator("get_durable_execution_history")
        return [
            str(event["EventType"])
            for page in pages.paginate(DurableExecutionArn=arn, PaginationConfig={"PageSize": 1000})
            for event in page["Events"]
        ]

    def heard(self, arn: str, name: str) -> Findings:
        """Return the statuses that EventBridge told, and the number of dead letters: after waiting for both."""
        deadline = time.monotonic() + self.times.messages
        while time.monotonic() < deadline:
            self.collect()
            if self._statuses(arn)[-1:] != ["RUNNING"] and self._statuses(arn) and self._letters(name):
                break
            self.pause()
        return {"events": self._statuses(arn), "dead letters": len(self._letters(name))}

    def _statuses(self, arn: str) -> list[str]:
        details = [event.get("detail", {}) for event in self.events]
        statuses = {one.get("status") for one in details if one.get("durableExecutionArn") == arn}
        return [status for status in ORDER if status in statuses]

    def _letters(self, name: str) -> list[dict[str, Any]]:
        return [one for one in self.letters if _question(one) == name]

    def collect(self) -> None:
        """Take what the queues hold."""
        for queue, kept in (("events", self.events), ("letters", self.letters)):
            client = self.account.client("sqs")
            url = client.get_queue_url(QueueName=f"{self.account.name}-{queue}")["QueueUrl"]
            while found := client.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], WaitTimeSeconds=0
            ).get("Messages"):
                for message in found:
                    kept.append(_decoded(message, queue))
                    client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def about(self, question: Question) -> tuple[list[Any], list[Any]]:
        """Return the events and dead letters of a question's execution."""
        name = f"{self.account.name}-{question.id}"
        events = [one for one in self.events if one.get("detail", {}).get("durableExecutionName") == name]
        return events, self._letters(question.id)


def _decoded(message: Mapping[str, Any], queue: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(message["Body"])
    return body if queue == "events" else {"body": body, "attributes": message.get("MessageAttributes", {})}


def _question(letter: Mapping[str, Any]) -> Any:
    return letter["body"].get("question")
