"""Queues under any order of invocations, cancels and deaths: one run of a key at a time, nobody dropped, nobody overtaken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closeout.core.errors import StepFailed
from closeout.engine.durable import Abandoned
from closeout.engine.lambda_ import DONE
from closeout.ports import Durable, Ending, Execution
from closeout.testing.durable import FakeClock
from tests.contract.remote_harness import FOREVER, RemoteBench
from tests.stack_aws import StackAws

NAMES = ("a", "b", "c")
PAUSE = 20.0
STEPS = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(("advance", "advance", "advance", "die", "cancel", "later"))
    ),
    max_size=14,
)


@pytest.fixture(scope="module")
def aws() -> Iterator[StackAws]:
    """An emulator in this process."""
    with StackAws() as server:
        yield server


class Scene:
    """Three runs of one key; each looks, whenever it does something, that the others do nothing."""

    def __init__(self, aws: StackAws) -> None:
        self.clock = FakeClock()
        self.bench = RemoteBench(aws, self.run, clock=self.clock)
        self.dying = False
        self.entered: list[str] = []
        self.broken: list[str] = []
        self.executions: dict[str, str] = {}
        for name in NAMES:
            self.executions[name] = self.bench.accept(name, key="k")
            self.clock.advance(0.01)

    def run(self, durable: Durable, execution: Execution) -> Ending:
        """Do something, wait, do something; a cancel or a crash ends it."""
        name = execution.automation
        try:
            durable.record("enter", lambda: self.act(name))
            durable.sleep("pause", PAUSE)
            durable.record("work", lambda: self.act(name))
        except StepFailed as error:
            durable.record("final", lambda: None)
            return Ending("cancelled" if error.kind == "cancelled" else "failure", error.kind)
        return Ending("success", "done")

    def act(self, name: str) -> None:
        """See whether it is alone with the key; then perhaps die."""
        for other, execution in self.executions.items():
            if other != name and self.bench.state(execution) not in ("queued", "finished"):
                self.broken.append(f"{name} acts while {other} holds the key")
        self.entered.append(name)
        if self.dying:
            raise Abandoned

    def step(self, name: str, what: str) -> None:
        """Let one thing happen."""
        execution = self.executions[name]
        if what == "later":
            self.clock.advance(7)
        elif what == "cancel":
            self.bench.attempts.cancel(execution, "dev")
        else:
            self.dying = what == "die"
            self.advance(execution)
            self.dying = False

    def advance(self, execution: str) -> dict[str, Any]:
        """Advance a run in a process of its own."""
        return self.bench.process().advance(execution, lambda: FOREVER)

    def ends(self) -> list[str]:
        """Advance whoever is not done until nobody is left, and everybody once more; return the verdicts."""
        left = list(self.executions.values())
        for _ in range(30):
            left = [run for run in left if self.advance(run) != DONE]
            if not left:
                assert [self.advance(run) for run in self.executions.values()] == [DONE] * 3
                return [self.bench.ending(run).verdict for run in self.executions.values()]
            self.clock.advance(PAUSE)
        raise AssertionError(f"not all have ended: {self.bench.reports}")


@pytest.mark.timeout(600)
@settings(max_examples=6)
@given(steps=STEPS)
def test_one_at_a_time_in_order_and_everybody_ends(aws: StackAws, steps: list[tuple[str, str]]) -> None:
    """Whichever run advances, dies or is cancelled, and when: a key has one lock holder, in the order of tickets."""
    scene = Scene(aws)
    for step in steps:
        scene.step(*step)
    verdicts = scene.ends()
    assert scene.broken == []
    assert "internal error" not in " ".join(
        scene.bench.ending(run).summary for run in scene.executions.values()
    )
    first = list(dict.fromkeys(scene.entered))
    assert first == sorted(first)
    cancelled = {name for name, what in steps if what == "cancel"}
    died = {name for name, what in steps if what == "die"}
    for name, verdict in zip(NAMES, verdicts, strict=True):
        assert verdict == "success" or name in cancelled | died, (name, verdict)
    holder = scene.bench.store.first("k")
    assert holder is None
