"""A command runs a function of a stack, and waits for its result."""

from __future__ import annotations

import json
import time
from typing import Any, cast

import pytest

from closeout.core.errors import Unavailable
from closeout.wiring import stack as wiring
from closeout.wiring.stack import Stack

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:patrol:live"


class Lambda:
    """Stands in for the client of Lambda: an execution is over after some looks."""

    def __init__(self, *looks: dict[str, Any]) -> None:
        self._looks = list(looks)
        self.invoked: list[dict[str, Any]] = []

    def aws(self, service: str) -> Lambda:
        """Return itself, as the client."""
        assert service == "lambda"
        return self

    def invoke(self, **given: Any) -> dict[str, str]:
        """Start one."""
        self.invoked.append(given)
        return {"DurableExecutionArn": f"{ARN}/durable-execution/1/2"}

    def get_durable_execution(self, **given: Any) -> dict[str, Any]:
        """Tell how it stands."""
        assert given["DurableExecutionArn"].startswith(ARN)
        return self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]


def execute(client: Lambda, monkeypatch: pytest.MonkeyPatch, seconds: float = 60.0) -> Any:
    """Execute something."""
    monkeypatch.setattr(wiring, "POLL", 0.0)
    stack = Stack("name", "eu-central-1", {}, cast("Any", client))
    return stack.execute(ARN, {"patrol": {}}, time.monotonic() + seconds)


def test_it_waits_for_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a name, so that a repeated call starts nothing twice."""
    client = Lambda({"Status": "RUNNING"}, {"Status": "SUCCEEDED", "Result": '{"errors": []}'})
    assert execute(client, monkeypatch) == {"errors": []}
    (given,) = client.invoked
    assert (given["InvocationType"], json.loads(given["Payload"])) == ("Event", {"patrol": {}})
    assert given["DurableExecutionName"]


def test_a_failure_is_an_error_and_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Lambda's message."""
    failed = {"Status": "FAILED", "Error": {"ErrorMessage": "no such key"}}
    with pytest.raises(Unavailable, match=r"FAILED.*no such key"):
        execute(Lambda(failed), monkeypatch)
    with pytest.raises(Unavailable, match=r"TIMED_OUT.*log group"):
        execute(Lambda({"Status": "TIMED_OUT"}), monkeypatch)


def test_the_wait_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The execution continues."""
    with pytest.raises(Unavailable, match="still working"):
        execute(Lambda({"Status": "RUNNING"}), monkeypatch, seconds=0.0)
