"""What an event asks of patrol's function: done once, in its own durable step; anything else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pytest

from closeout.core.errors import UsageError
from closeout.lambdas.patrol_events import carry_out
from closeout.patrol.report import Report
from closeout.stack.patrol import BUSY, EVERYTHING, cleaning, recovering
from closeout.wiring.stack_patrols import RoundResult

T = TypeVar("T")
ARN = "arn:aws:lambda:eu-central-1:123456789012:function:patrol:1/durable-execution/p/1"


class Execution:
    """A durable execution that records its operations, and patrols that record their calls."""

    arn = ARN

    def __init__(self, made: RoundResult | None = None) -> None:
        self.made = made
        self.steps: list[str] = []
        self.done: list[Any] = []
        self.lines: list[str] = []

    def step(self, name: str, work: Callable[[], T]) -> T:
        """Do the work."""
        self.steps.append(name)
        return work()

    def recheck(self, asked: Mapping[str, Any]) -> None:
        """Note it."""
        self.done.append(("recheck", asked))

    def remaining(self) -> float:
        """Return the seconds that are left."""
        return 900.0

    def patrol(
        self, execution: str, remaining: Callable[[], float], *, everything: bool = False
    ) -> RoundResult | None:
        """Note a round."""
        self.done.append(("patrol", execution, remaining(), everything))
        return self.made

    def clean(self, target: str, by: str) -> str:
        """Note it."""
        self.done.append(("clean", target, by))
        return "run-1"

    def recover(self, guid: str) -> dict[str, str]:
        """Note it."""
        self.done.append(("recover", guid))
        return {"delivery": "77/g"}

    def carry_out(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Carry an event out."""
        return carry_out(event, self, self, self.lines.append)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "steps", "done", "result"),
    [
        ({"patrol": {}}, ["patrol"], ("patrol", ARN, 900.0, False), BUSY),
        (EVERYTHING, ["patrol"], ("patrol", ARN, 900.0, True), BUSY),
        (cleaning("acme/shop#1 teardown", "ada"), ["clean"], ("clean", "acme/shop#1 teardown", "ada"), {"outcome": "run-1"}),
        (recovering("g"), ["recover"], ("recover", "g"), {"delivery": "77/g"}),
        ({"recheck": {"run_id": "r", "attempt": 1}}, [], ("recheck", {"run_id": "r", "attempt": 1}), {}),
    ],
)  # fmt: skip
def test_an_event_decides_what_is_done(
    event: Mapping[str, Any], steps: list[str], done: tuple[Any, ...], result: Mapping[str, Any]
) -> None:
    """In one durable step, which Lambda does not repeat once it is done. A recheck is an operation itself."""
    execution = Execution()
    assert execution.carry_out(event) == result
    assert (execution.steps, execution.done, execution.lines) == (steps, [done], [])


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"clean": {"target": "acme/shop#1 teardown"}},
        {"recover": {"guid": 1}},
        {"patrol": {}, "clean": {"target": "acme/shop#1 teardown", "by": "ada"}},
        {"patrol": "everything"},
        {"patrlo": {}},
    ],
)
def test_any_other_event_is_refused(event: dict[str, Any]) -> None:
    """By its keys, and nothing is done."""
    execution = Execution()
    with pytest.raises(UsageError, match="nothing that can be done; its keys are") as refused:
        execution.carry_out(event)
    assert str(sorted(event)) in refused.value.message
    assert (execution.steps, execution.done) == ([], [])


def test_a_round_is_logged_and_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The alarms count its line; the caller reads the report, with the notes for people."""
    monkeypatch.setenv("CLOSEOUT_METRICS", "closeout/staging")
    execution = Execution(RoundResult(Report(started=2, notes=["new"]), None))
    result = execution.carry_out(EVERYTHING)
    assert (result["closings"]["started"], result["notes"]) == (2, ["new"])
    (line,) = map(json.loads, execution.lines)
    assert (line["PatrolStarted"], line["_aws"]["CloudWatchMetrics"][0]["Namespace"]) == (
        2,
        "closeout/staging",
    )
