"""Writes down every call that a session makes, as botocore sends and reads it.

It hooks botocore's own events and needs nothing of the questions: a call that a question makes cannot be forgotten.
"""

from __future__ import annotations

import threading
from typing import Any

SKIPPED = frozenset(("sqs", "sts"))
"""Services that are only tools of the recording: what the queues hold is kept as events and dead letters."""
_REQUEST = "closeout_recording_request"


class Recorder:
    """Keeps calls while `question` is set."""

    def __init__(self) -> None:
        self.question: str | None = None
        self.calls: list[dict[str, Any]] = []
        self.used: set[tuple[str, str]] = set()
        """Every operation that was called, as (service, operation): what a policy must allow."""
        self._lock = threading.Lock()

    def watch(self, session: Any) -> None:
        """Hook the events of a boto3 session; clients that are made of it later are watched."""
        session.events.register("before-parameter-build.*.*", self._before)
        session.events.register("after-call.*.*", self._after)

    def _before(self, params: dict[str, Any], context: dict[str, Any], **_more: Any) -> None:
        context[_REQUEST] = dict(params)

    def _after(self, parsed: dict[str, Any], model: Any, context: dict[str, Any], **_more: Any) -> None:
        service = model.service_model.service_name
        with self._lock:
            self.used.add((service, model.name))
            if self.question is None or service in SKIPPED:
                return
            status = parsed.get("ResponseMetadata", {}).get("HTTPStatusCode")
            request = {key: value for key, value in context.get(_REQUEST, {}).items() if key != "Body"}
            call = {"call": f"{service}.{model.name}", "request": request, "status": status, "answer": parsed}
            self.calls.append({"question": self.question, **call})

    def of(self, question: str) -> list[dict[str, Any]]:
        """Return the calls of a question, in order."""
        with self._lock:
            kept = [dict(one) for one in self.calls if one["question"] == question]
        for one in kept:
            del one["question"]
        return kept
