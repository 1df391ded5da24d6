"""How the Lambda engine wakes the next queued run, and hands a run over to another durable execution.

`tests/aws/test_turns.py` plays the same with the worker's driver, at length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from closeout.engine.invocation import LONGEST_WAIT
from closeout.engine.key_queue import SUSPECT, KeyQueue
from closeout.engine.lambda_ import DONE
from closeout.ledger.dynamodb.starts import LambdaStarts
from closeout.ports import Durable, Ending, Execution, RunRecord, WakeUp
from closeout.stack import table as layout
from closeout.testing.durable import FakeClock
from tests.contract.remote_harness import FOREVER, WORKER, RemoteBench, client
from tests.stack_aws import StackAws


class Queue:
    """A ledger whose runs wait an hour in their step, and note when they begin."""

    def __init__(self, aws: StackAws) -> None:
        self.clock = FakeClock()
        self.bench = RemoteBench(aws, self._run, clock=self.clock)
        self.begun: list[str] = []
        self._before = len(aws.callbacks())
        self._calls = len(aws.requests())

    def accept(self, name: str) -> str:
        """Accept and start a run; return its execution."""
        execution = self.bench.accept(name, key="k", queue_timeout=86_400.0)
        self.bench.starts.start(execution)
        return execution

    def advance(self, execution: str, callback: str | None = None) -> dict[str, Any]:
        """Make one invocation."""
        return self.bench.engine.advance(execution, lambda: FOREVER, callback and self.id(callback))

    def id(self, callback: str) -> str:
        """The id of a callback, unique to this test."""
        return self.bench.name.replace("-", "/") + callback

    def completed(self) -> list[str]:
        """The callbacks that were completed."""
        ids = self.bench.aws.callbacks()[self._before :]
        return [one.removeprefix(self.id("")) for one in ids]

    def executions(self) -> list[dict[str, Any]]:
        """The durable executions so far, named without the stack's digits."""
        return [one | {"name": layout.without_stack(one["name"])} for one in self.bench.aws.executions()]

    def asked(self) -> list[str]:
        """The calls of Lambda so far."""
        calls = self.bench.aws.requests(self._calls)
        return [one["operation"] for one in calls if one["service"] == "lambda"]

    def _run(self, durable: Durable, execution: Execution) -> Ending:
        if execution.queue_expired:
            return Ending("failure", "it never had its turn")
        durable.record("begin", lambda: self.begun.append(execution.automation))
        durable.sleep("work", 3_600.0)
        return Ending("success", "done")


@pytest.fixture
def queue(aws: StackAws) -> Queue:
    """An empty ledger."""
    return Queue(aws)


def test_releasing_the_key_wakes_only_the_next_run(queue: Queue) -> None:
    """It completes the callback that the next run has stored."""
    a, b, c = (queue.accept(name) for name in "abc")
    queue.advance(a)
    for execution, callback in ((b, "b1"), (c, "c1")):
        assert "queued" in queue.advance(execution, callback)
    queue.clock.advance(3_600.0)
    assert queue.completed() == []
    assert queue.advance(a) == DONE
    assert queue.completed() == ["b1"]
    queue.advance(b, "b2")
    assert queue.begun == ["a", "b"]


def test_a_callback_is_stored_before_the_queue_is_read(queue: Queue) -> None:
    """The key is released between the two: the releasing run finds the callback."""
    a, b = queue.accept("a"), queue.accept("b")
    queue.advance(a)
    queue.clock.advance(3_600.0)

    class Looking(KeyQueue):
        """The queue, whose holder ends while another run reads it."""

        def turn(self, record: RunRecord, key: str, remaining: Callable[[], float]) -> str | None:
            found = super().turn(record, key, remaining)
            if record.execution == b:
                assert queue.advance(a) == DONE
            return found

    queue.bench.engine.queue = Looking(**vars(queue.bench.engine.queue))
    assert "queued" in queue.advance(b, "b1"), "it has seen the holder"
    assert queue.completed() == ["b1"]


def test_a_cancel_during_the_storing_of_the_callback_takes_effect(queue: Queue) -> None:
    """The canceller finds no callback to complete yet, and the run has already read its row."""
    a, b = queue.accept("a"), queue.accept("b")
    queue.advance(a)
    listen = queue.bench.store.listen

    def late(execution: str, wake_up: WakeUp) -> None:
        assert queue.bench.attempts.cancel(b, "ada")
        queue.bench.starts.wake(b)
        listen(execution, wake_up)

    queue.bench.store.listen = late  # type: ignore[method-assign]
    assert queue.advance(b, "b1") == DONE
    assert (queue.bench.state(b), queue.completed()) == ("finished", [])


def test_a_run_checks_the_queue_again_after_storing_its_callback(queue: Queue) -> None:
    """The key was released before that, when there was no callback to complete."""
    a, b = queue.accept("a"), queue.accept("b")
    queue.advance(a)
    assert "queued" in queue.advance(b)
    queue.clock.advance(3_600.0)
    assert queue.advance(a) == DONE
    assert queue.completed() == []
    assert "queued" not in queue.advance(b, "b1")
    assert queue.begun == ["a", "b"]


def test_a_run_that_leaves_the_queue_at_its_turn_wakes_the_next(queue: Queue) -> None:
    """Only that run was woken, while it was about to end without taking the key."""
    a, b, c = (queue.accept(name) for name in "abc")
    queue.advance(a)
    queue.advance(b, "b1")
    queue.advance(c, "c1")
    queue.bench.attempts.cancel(b, "ada")
    queue.clock.advance(3_600.0)
    take = queue.bench.store.take

    def late(found: RunRecord, taken: RunRecord, *, hold: bool, leave: bool) -> bool:
        if leave:
            assert queue.advance(a) == DONE
        return take(found, taken, hold=hold, leave=leave)

    queue.bench.store.take = late  # type: ignore[method-assign]
    queue.advance(b)
    assert queue.completed() == ["b1", "c1"]


def test_a_run_killed_before_it_woke_the_next_wakes_it_later(
    queue: Queue,
) -> None:
    """The run is finished; at its next invocation, waking the next one is all that is left."""
    a, b = queue.accept("a"), queue.accept("b")
    queue.advance(a)
    queue.advance(b, "b1")
    queue.clock.advance(3_600.0)
    next_in_line = queue.bench.store.next_in_line
    queue.bench.store.next_in_line = _killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        queue.advance(a)
    queue.bench.store.next_in_line = next_in_line  # type: ignore[method-assign]
    assert (queue.bench.state(a), queue.completed()) == ("finished", [])
    assert queue.advance(a) == DONE
    assert queue.completed() == ["b1"]


def _killed(key: str) -> str | None:
    raise KeyboardInterrupt


def test_a_run_that_is_ended_for_lambda_wakes_the_next(queue: Queue) -> None:
    """The handler of failed executions releases the key too, and so does its second attempt."""
    a, b = queue.accept("a"), queue.accept("b")
    queue.advance(a)
    queue.advance(b, "b1")
    assert queue.bench.engine.end(a, lambda _durable, _execution: Ending("failure", "gone"), lambda: FOREVER)
    assert queue.completed() == ["b1"]


def test_a_closed_callback_is_not_an_error(queue: Queue) -> None:
    """It timed out, so its run checks the queue itself."""
    a, b = queue.accept("a"), queue.accept("b")
    queue.advance(a)
    queue.advance(b, "b1")
    queue.clock.advance(3_600.0)
    queue.bench.starts.wake(b)
    assert queue.advance(a) == DONE
    assert (queue.completed(), queue.bench.reports) == (["b1"], [])


def test_a_wake_up_that_lambda_refuses_does_not_stop_the_end_of_the_run(queue: Queue) -> None:
    """The operator is notified, and the next run checks the queue itself."""
    a, b = queue.accept("a"), queue.accept("b")
    queue.advance(a)
    queue.advance(b, "b1")
    queue.clock.advance(3_600.0)
    queue.bench.aws.fault(
        service="lambda",
        operation="SendDurableExecutionCallbackSuccess",
        code="AccessDeniedException",
        status=403,
        times=1,
    )
    assert queue.advance(a) == DONE
    assert "it could not be woken" in queue.bench.reports[-1]
    assert queue.completed() == []
    queue.advance(b, "b2")
    assert queue.begun == ["a", "b"]


def test_releasing_the_key_starts_the_next_run_if_it_never_started(queue: Queue) -> None:
    """The receiver died between its commit and its start."""
    a = queue.accept("a")
    queue.advance(a)
    b = queue.bench.accept("never", key="k")  # no other test starts a run with this name
    queue.clock.advance(3_600.0)
    assert queue.advance(a) == DONE
    assert [entry["starts"] for entry in queue.executions() if entry["name"] == b] == [1]


def test_no_run_is_next_while_the_key_is_held(queue: Queue) -> None:
    """Otherwise two executions would be woken for one key."""
    a, b = queue.accept("a"), queue.accept("b")
    store = queue.bench.store
    assert store.next_in_line("k") == a
    queue.advance(a)
    assert (store.next_in_line("k"), store.first("k")) == (None, a)
    queue.clock.advance(3_600.0)
    queue.advance(a)
    assert store.next_in_line("k") == b
    assert store.next_in_line("another") is None


def test_only_the_first_in_line_asks_lambda_about_the_holder(queue: Queue) -> None:
    """The others ask only about a run ahead of them that is overdue."""
    a, b, c = (queue.accept(name) for name in "abc")
    queue.advance(a)
    queue.advance(b, "b1")
    queue.clock.advance(SUSPECT + 1)
    until = queue.advance(b, "b2")["wake"]
    before = queue.asked().count("GetDurableExecution")
    assert before == 1
    queue.advance(c, "c1")
    queue.clock.advance(until + SUSPECT - 1 - queue.clock.now())
    queue.advance(c, "c2")
    assert queue.asked().count("GetDurableExecution") == before
    queue.clock.advance(2)
    queue.advance(c, "c3")
    assert queue.asked().count("GetDurableExecution") == before + 1
    assert queue.bench.store.wake_up(b) == WakeUp(queue.id("b2"), until)


# --- handing over ------------------------------------------------------------------------------------------------


def test_a_handover_has_a_number_and_repeating_it_starts_nothing(queue: Queue) -> None:
    """However late and by whichever invocation; the row has the last execution's ARN."""
    a = queue.accept("counts")
    for number, seconds in ((0, 0), (0, 5), (1, 0), (1, 7), (0, 9)):
        queue.clock.advance(seconds)
        assert queue.bench.engine.hand_over(a, number) == DONE
    mine = [entry for entry in queue.executions() if entry["name"].startswith(a)]
    assert [entry["name"] for entry in mine] == [a, f"{a}_1", f"{a}_2"]
    assert mine[2]["payload"].encode() == layout.worker_event(a, 2)
    number, arn = queue.bench.attempts.in_lambda(a)
    assert (number, layout.execution_place(str(arn))) == (2, f"{layout.durable_name(WORKER, a)}_2/00000000")


def test_a_start_that_is_recorded_late_does_not_replace_its_successor(queue: Queue) -> None:
    """The receiver's note of the first execution comes after the handover."""
    a = queue.accept("a")
    queue.bench.engine.hand_over(a, 0)
    after = queue.bench.attempts.in_lambda(a)
    queue.bench.attempts.mark_started(a, "arn:late/durable-execution/late/1", 0)
    assert queue.bench.attempts.in_lambda(a) == after


def test_a_handover_that_lambda_refuses_is_tried_again_minutes_later(queue: Queue) -> None:
    """Rarely enough to leave quota for it."""
    a = queue.accept("a")
    queue.bench.aws.fault(service="lambda", operation="Invoke", code="ServiceException", status=500, times=9)
    assert queue.bench.engine.hand_over(a, 0) == {"wake": queue.clock.now() + LONGEST_WAIT}
    queue.bench.aws.clear_faults()
    assert queue.bench.engine.hand_over(a, 0) == DONE
    assert queue.bench.attempts.in_lambda(a).number == 1


def test_a_handover_whose_answer_was_lost_counts_as_made(queue: Queue) -> None:
    """It cannot be repeated, since another version of the worker was deployed meanwhile."""
    a = queue.accept("a")
    code = "DurableExecutionAlreadyStartedException"
    queue.bench.aws.fault(service="lambda", operation="Invoke", code=code, status=409, times=9)
    assert queue.bench.engine.hand_over(a, 0) == DONE
    queue.bench.aws.clear_faults()
    assert queue.bench.attempts.in_lambda(a) == (1, None)


def nothing() -> None:
    """Nothing happens."""


class Late(LambdaStarts):
    """Asks Lambda, and something happens `before` the first question or `after` the answer."""

    def __init__(
        self, queue: Queue, *, before: Callable[[], None] = nothing, after: Callable[[], None] = nothing
    ) -> None:
        bench = queue.bench
        super().__init__(client(bench.aws, "lambda"), WORKER, now=queue.clock.now, attempts=bench.attempts)
        self._before = before
        self._after = after

    def ensure(self, execution: str) -> str:
        status = super().ensure(execution)
        self._after()
        return status

    def _status(self, arn: str) -> str:
        before, self._before = self._before, nothing
        before()
        return super()._status(arn)


def test_a_run_handed_over_while_lambda_is_asked_stays_alive(queue: Queue) -> None:
    """Lambda reports how the predecessor ended, which must not end the run."""
    a = queue.accept("handed")

    def hand_over() -> None:
        queue.bench.starts.hand_over(a, 0)
        queue.bench.aws.execution_status(a, "SUCCEEDED")

    assert Late(queue, before=hand_over).ensure(a) == "RUNNING"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_two_concurrent_revivals_of_a_run_start_one_execution(queue: Queue, moment: str) -> None:
    """Two executions would carry out the run twice."""
    a = queue.accept(f"revived{moment}")
    queue.bench.aws.execution_status(a, "FAILED")
    late: Any = {moment: lambda: queue.bench.starts.revive(a)}
    Late(queue, **late).revive(a)
    names = [entry["name"] for entry in queue.executions()]
    assert [name for name in names if name.startswith(a)] == [a, f"{a}_1"]
