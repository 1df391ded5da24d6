"""No wait that a file allows brings an execution near Lambda's quota of operations.

The worker's driver and the engine are the real ones, over a store in memory, so that weeks take milliseconds.
"""

from __future__ import annotations

import importlib
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from closeout.actions.registry import builtin
from closeout.config.load import load
from closeout.core.automation import Automation
from closeout.core.errors import ConfigError
from closeout.core.runs import RunState
from closeout.engine.lambda_ import LambdaEngine
from closeout.lambdas import worker
from closeout.ports import (
    ClaimStatus,
    Durable,
    Ending,
    Execution,
    Loaded,
    Operation,
    RunFunction,
    RunRecord,
    WakeUp,
)
from closeout.run.workflow import make_run_function
from closeout.stack import table as layout
from closeout.testing.durable import FakeClock
from tests.aws.durable_service import Client, Context, DurableExecution
from tests.emulator.meter import LIMIT
from tests.unit.run.world import ACCOUNT, DELETE, Scene

ROOT = Path(__file__).parents[2]
UNITS = ((100, "s"), (100, "m"), (100, "h"), (30, "d"), (365, "d"))
DAY = 86_400.0
LONGEST = 366 * DAY
"""`queue-timeout` and `timeout` together: synthesis rejects more."""
MOST_INVOCATIONS = 3_000
"""Of one example: enough for an execution that polls as often as it can, and the next."""


class Step(NamedTuple):
    """A wait of a run: a sleep, such as `grace`, or polls."""

    seconds: float
    every: float | None


class Memory:
    """`RemoteStore` and `Starts` of one run, whose key another run holds until `free_at`."""

    def __init__(
        self,
        clock: FakeClock,
        client: Client,
        free_at: float,
        queue_timeout: float,
        execution: Execution | None = None,
    ) -> None:
        self.clock = clock
        self.execution = execution or Execution(
            "", "a", 1, "a", "{}", "push", "d", "g", "h", b"{}", clock.now(), queue_expired=False
        )
        self.client = client
        self.free_at = free_at
        self.record = RunRecord("a" * 26 + "-1", RunState(), "k", clock.now(), queue_timeout, True, None)
        self.operations: dict[str, Operation] = {}
        self.number = 0
        self._listening: WakeUp | None = None

    def look(self, execution: str) -> RunRecord:
        """The run, or the one ahead of it, which runs."""
        if execution == self.record.execution:
            return self.record
        return self.record._replace(execution=execution, run=RunState("waiting"))

    def read(self, execution: str) -> RunRecord:
        """The run."""
        return self.look(execution)

    def ahead(self, record: RunRecord) -> str | None:
        """The holder."""
        return None if self.clock.now() >= self.free_at else "b" * 26 + "-1"

    def next_in_line(self, key: str) -> None:
        """Nobody waits behind it."""

    def listen(self, execution: str, wake_up: WakeUp) -> None:
        """Note it."""
        self._listening = wake_up

    def wake_up(self, execution: str) -> WakeUp | None:
        """What was noted."""
        return self._listening

    def take(self, found: RunRecord, taken: RunRecord, *, hold: bool, leave: bool) -> bool:
        """Write."""
        self.record = taken
        return True

    def load(self, record: RunRecord) -> Loaded:
        """Everything."""
        expired = record.run.turn == "expired"
        execution = self.execution._replace(id=record.execution, queue_expired=expired)
        return Loaded(execution, list(self.operations.values()), None, None, ClaimStatus(True, None))

    def heartbeat(self, record: RunRecord) -> ClaimStatus:
        """Nobody else has it."""
        return ClaimStatus(True, None)

    def save(
        self,
        record: RunRecord,
        after: RunState,
        operations: Sequence[Operation] = (),
        seal: str | None = None,
    ) -> bool:
        """Write."""
        self.record = record._replace(run=after)
        self.operations |= {operation.name: operation for operation in operations}
        return True

    def finish(self, record: RunRecord, after: RunState, *_end: object) -> bool:
        """Write."""
        return self.save(record, after)

    def clear(self, _key: str, execution: str) -> None:
        """Never asked for."""

    def ensure(self, execution: str) -> str:
        """The holder lives."""
        return "RUNNING"

    def wake(self, execution: str) -> None:
        """Never asked for."""

    def hand_over(self, execution: str, number: int) -> None:
        """Start the next one, once."""
        self.number = max(self.number, number + 1)
        if self.number == number + 1:
            name = layout.execution_name(execution, self.number)
            payload = layout.worker_event(execution, self.number)
            self.client.invoke(DurableExecutionName=name, Payload=payload)


def executions(
    held: float, queue_timeout: float, steps: list[Step], most: int = MOST_INVOCATIONS
) -> list[DurableExecution]:
    """Let a run wait for its key and then through its steps, for some invocations; return its executions."""
    clock = FakeClock()

    def run(durable: Durable, execution: Execution) -> Ending:
        if execution.queue_expired:
            return Ending("failure", "it never had its turn")
        for number, step in enumerate(steps):
            if step.every is None:
                durable.sleep(f"sleep-{number}", step.seconds)
                continue
            began = durable.record(f"began-{number}", clock.now)
            over = began + step.seconds

            def poll(over: float = over) -> bool | None:
                return True if clock.now() >= over else None

            durable.wait_until(f"poll-{number}", poll, step.every, step.seconds + 60.0)
        return Ending("success", "done")

    return carried_out(run, clock, held, queue_timeout, most=most)


def carried_out(
    run: RunFunction,
    clock: FakeClock,
    held: float,
    queue_timeout: float,
    *,
    execution: Execution | None = None,
    most: int = MOST_INVOCATIONS,
) -> list[DurableExecution]:
    """Carry a run out that gets its key after `held` seconds, for some invocations; return its executions."""

    def work(event: dict[str, Any], context: Context) -> dict[str, Any]:
        return worker.work(event, context, engine)

    client = Client(clock, work)
    memory = Memory(clock, client, clock.now() + held, queue_timeout, execution)
    engine = LambdaEngine(
        memory,
        run,
        starts=memory,
        finalize=lambda *_: False,
        clock=clock,
        token=lambda: uuid.uuid4().hex,
        jitter=lambda: 0.0,
        redact=str,
        report=lambda _execution, _text: None,
    )
    first = memory.record.execution
    client.invoke(DurableExecutionName=first, Payload=layout.worker_event(first))
    for count, _ in enumerate(client.steps(most + 1)):
        if count == most:
            break
    return list(client.executions.values())


SECONDS = st.one_of(st.floats(0, 3_600), st.floats(0, 30 * DAY), st.floats(0, LONGEST / 2))
POLLS = st.one_of(st.none(), st.floats(0.1, 60), st.floats(1, 3_600))


@settings(max_examples=25)
@given(held=SECONDS, queue_timeout=SECONDS, steps=st.lists(st.builds(Step, SECONDS, POLLS), max_size=4))
def test_no_wait_that_a_file_allows_comes_near_the_quota(
    held: float, queue_timeout: float, steps: list[Step]
) -> None:
    """However long a run waits for its key, sleeps and polls: each of its executions ends by itself, below the limit."""
    made = executions(held, queue_timeout, steps)
    assert {each.status for each in made} <= {"RUNNING", "SUCCEEDED"}
    assert {each.status for each in made[:-1]} <= {"SUCCEEDED"}, "one begins when the one before it has ended"
    assert max(each.count for each in made) <= worker.MOST_OPERATIONS + 5 < LIMIT


DELETED_BY = replace(
    DELETE,
    uses="aws/cloudformation-delete-stack",
    inputs={"stack-name": DELETE.inputs["name"]},
    plan=lambda inputs, clients: DELETE.plan({"name": inputs["stack-name"]}, clients),
)
"""An action that synth knows, over the small world of the run's tests."""


def text_of(durations: dict[str, str]) -> str:
    """Return a file with these durations."""
    return f"""\
version: 1
aws: {{ account: '{ACCOUNT}', region: eu-central-1 }}
automations:
  preview-cleanup:
    on: {{ pull_request: {{ types: [closed], branches: [develop] }} }}
    repositories: [acme/shop]
    timeout: {durations["timeout"]}
    queue-timeout: {durations["queue-timeout"]}
    grace: {durations["grace"]}
    steps:
      - uses: {DELETED_BY.uses}
        timeout: {durations["step"]}
        retry: {{ attempts: 5, backoff: {durations["backoff"]} }}
        with: {{ stack-name: 'preview-${{{{ event.pull_request.number }}}}' }}
"""


DURATIONS = st.one_of(
    *(st.integers(1, most).map(lambda count, unit=unit: f"{count}{unit}") for most, unit in UNITS)  # type: ignore[misc]
)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    durations=st.fixed_dictionaries(
        dict.fromkeys(("timeout", "queue-timeout", "grace", "step", "backoff"), DURATIONS)
    ),
    held=st.floats(0, DAY),
    paused=SECONDS,
    there=SECONDS,
)
def test_no_file_that_synth_accepts_comes_near_the_quota(
    synth: Callable[[str], Automation | None],
    durations: dict[str, str],
    held: float,
    paused: float,
    there: float,
) -> None:
    """However long its key is held, `closeout pause` lasts, and what it deletes is still there."""
    automation = synth(text_of(durations))
    assume(automation is not None)
    assert automation is not None
    scene = Scene(automation=automation, actions={DELETED_BY.uses: DELETED_BY})
    clock, world = scene.clock, scene.world
    begun = clock.now()

    def outside(call: str) -> None:
        if call == "poll" and clock.now() < begun + there:
            world.resources.add("preview-17")

    world.before = outside
    scene.paused = lambda: "dev" if clock.now() < begun + paused else None
    run = make_run_function(scene.deps())
    made = carried_out(run, clock, held, automation.queue_timeout, execution=scene.execution())
    assert {each.status for each in made} <= {"RUNNING", "SUCCEEDED"}
    assert max(each.count for each in made) <= worker.MOST_OPERATIONS + 5 < LIMIT


@pytest.fixture(scope="module")
def synth(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Automation | None]:
    """Return what `cdk synth` does with a file: None if it refuses it, else its automation."""
    path = tmp_path_factory.mktemp("file") / "closeout.yaml"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "cdk"))
        checks, parameters = (
            importlib.import_module(f"closeout_cdk.{name}") for name in ("checks", "parameters")
        )
    path.touch()
    committed = json.loads((ROOT / "cdk/cdk.context.json").read_text("utf-8"))
    given = parameters.read({**committed, "configFile": str(path), "retentionDays": 3650})

    def accepted(text: str) -> Automation | None:
        path.write_text(text, "utf-8")
        try:
            loaded = load(path, builtin())
            checks.check(loaded, given, ())
        except ConfigError:
            return None
        return loaded.automations[0]

    return accepted


def test_synth_refuses_a_file_whose_run_may_take_longer_than_an_execution(
    synth: Callable[[str], Automation | None],
) -> None:
    """So that the property above is about files that can be deployed, and not about all."""
    usual = {"timeout": "3h", "queue-timeout": "7d", "grace": "30d", "step": "1h", "backoff": "1m"}
    assert synth(text_of(usual)) is not None
    assert synth(text_of({**usual, "timeout": "200d", "queue-timeout": "200d"})) is None
    assert synth(text_of({**usual, "grace": "31d"})) is None


def test_a_week_in_a_queue_is_one_execution() -> None:
    """`queue-timeout: 7d`, and nobody wakes it: well under the quota."""
    (made,) = executions(30 * DAY, 7 * DAY, [])
    assert made.status == "SUCCEEDED"
    assert made.count < LIMIT / 4


def test_polls_of_every_second_are_carried_on_by_one_execution_after_another() -> None:
    """`wait_until(every=1)` for two hours."""
    made = executions(0.0, DAY, [Step(7_200.0, 1.0)], 9_000)
    assert len(made) == 3
    assert {each.status for each in made} == {"SUCCEEDED"}
