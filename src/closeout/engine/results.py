"""Which results may be recorded, and how an error becomes data, the same on every engine.

A replay sees only a result's JSON. So the first execution also receives the value decoded from JSON: otherwise a run
function could rely on a tuple that a replay returns as a list.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from closeout.core.errors import CloseoutError, RunCancelled, StepFailed, WaitTimeout
from closeout.ports import Operation

LARGEST = 200_000
"""Bytes of JSON in one result that every engine can store."""
LONGEST_MESSAGE = 4_000
"""Characters of an error's message that are stored."""


def encode(name: str, value: Any) -> str:
    """Return the JSON text of a result. Raises `StepFailed` of kind `not-json` or `result-too-large`."""
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        message = f"the result of {name} cannot be stored as JSON: {error}"
        raise StepFailed(name, "not-json", message) from None
    if len(text) > LARGEST:
        size = f"{len(text)} bytes of JSON and {LARGEST} can be stored"
        message = f"the result of {name} is {size}; store it elsewhere and return its location"
        raise StepFailed(name, "result-too-large", message)
    return text


def failure(error: BaseException, redact: Callable[[str], str] = str) -> str:
    """Return an exception as JSON text: its stable code (or its type's name) and its message."""
    kind = type(error).__name__
    if isinstance(error, StepFailed):
        kind = error.kind
    elif isinstance(error, CloseoutError):
        kind = error.code
    try:
        message = redact(str(error)) or type(error).__name__
    except Exception:  # noqa: BLE001 - a user's __str__ may fail; the error itself matters
        message = f"{type(error).__name__} (its message cannot be shown)"
    return json.dumps({"kind": kind, "message": message[:LONGEST_MESSAGE]})


def recorded_error(operation: Operation) -> StepFailed:
    """Return the exception of a recorded error: equal in the first execution and in every replay."""
    data = json.loads(operation.result or "{}")
    kind, message = data.get("kind", "unknown"), data.get("message", "")
    if operation.state == "cancelled":
        return RunCancelled(operation.name, kind, message)
    if operation.kind == "wait" and kind == WaitTimeout.code:
        return WaitTimeout(operation.name, kind, message)
    return StepFailed(operation.name, kind, message)
