"""Runs that wait for their turn on AWS: who wakes them, what that costs in operations, and how a run is handed over.

The worker's driver, the engine and the ledger are the real ones, over DynamoDB (moto); Lambda's durable service is in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from closeout.core.errors import RunCancelled
from closeout.engine.key_queue import SUSPECT
from closeout.lambdas import worker
from closeout.ledger.dynamodb.requests import Requests
from closeout.ledger.dynamodb.starts import LambdaStarts
from closeout.ports import Durable, Ending, Execution
from closeout.stack import table as layout
from closeout.testing.durable import FakeClock
from tests.aws.durable_service import Client, Context, DurableExecution, Killed
from tests.contract.remote_harness import WORKER, RemoteBench
from tests.emulator.meter import LIMIT
from tests.stack_aws import StackAws

DAY = 86_400.0


def named(execution: str, number: int = 0) -> str:
    """The name of a durable execution of this worker."""
    return layout.durable_name(WORKER, layout.execution_name(execution, number))


class Account:
    """A ledger, its worker, and the durable service that invokes it. Runs note their name in `begun`."""

    def __init__(self, aws: StackAws) -> None:
        self.clock = FakeClock()
        self.bench = RemoteBench(aws, self._run, clock=self.clock)
        self.client = Client(self.clock, self._work)
        self.starts = self.bench.starts = Mortal(self.client, self.clock, self.bench)
        self.bench.engine = self.bench.process()
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.takes: dict[str, float] = {}
        """Seconds that a run sleeps, by name; one hour unless told otherwise."""
        self.most = worker.MOST_OPERATIONS

    def accept(self, name: str, key: str | None = "k", queue_timeout: float = 30 * DAY) -> str:
        """Accept and start a run, as the receiver does; return its execution."""
        execution = self.bench.accept(name, key=key, queue_timeout=queue_timeout)
        self.starts.start(execution)
        return execution

    def cancel(self, execution: str) -> str:
        """Ask for a run's end, as the command line does."""
        requests = Requests(
            self.bench.attempts, self.starts, self.bench.switch, rerun=_unused, replay=_unused
        )
        return str(requests.outcome(requests.add_request("cancel", execution, "ada", None)))

    def durable(self, execution: str, number: int = 0) -> DurableExecution:
        """The durable execution that carries a run on, or did."""
        return self.client.executions[named(execution, number)]

    def names(self) -> list[str]:
        """Of the durable executions, without the stack's digits."""
        return [layout.without_stack(name) for name in self.client.executions]

    def until(self, reached: Callable[[], bool], most: int = 2_000) -> None:
        """Let the account work until something is so."""
        for _ in self.client.steps(most):
            if reached():
                return
        raise AssertionError("it never came to that")

    def _work(self, event: dict[str, Any], context: Context) -> dict[str, Any]:
        return worker.work(event, context, self.bench.engine, self.most)

    def _run(self, durable: Durable, execution: Execution) -> Ending:
        name = execution.automation
        if execution.queue_expired:
            return Ending("failure", "it never had its turn")
        try:
            durable.record("begin", lambda: self.begun.append(name))
            durable.sleep("work", self.takes.get(name, 3_600.0))
        except RunCancelled as error:
            return Ending("cancelled", error.message)
        durable.record("end", lambda: self.ended.append(name))
        return Ending("success", "done")


class Mortal(LambdaStarts):
    """The real calls of Lambda, at which the process may be killed, by what it is about to call."""

    def __init__(self, client: Client, clock: FakeClock, bench: RemoteBench) -> None:
        super().__init__(client, WORKER, now=clock.now, attempts=bench.attempts)
        self.kill_at: list[str] = []
        self.woken: list[str] = []

    def wake(self, execution: str) -> None:
        """Wake, or die before it."""
        self._moment("wake")
        self.woken.append(execution)
        super().wake(execution)

    def _invoke(self, execution: str, number: int) -> str:
        self._moment("begin")
        arn = super()._invoke(execution, number)
        self._moment("begun")
        return arn

    def _moment(self, name: str) -> None:
        if name in self.kill_at:
            self.kill_at.remove(name)
            raise Killed


def _unused(_target: str, _by: str) -> str:
    raise AssertionError


@pytest.fixture
def account(aws: StackAws) -> Account:
    """An empty ledger and nothing started."""
    return Account(aws)


# --- being woken -------------------------------------------------------------------------------------------------


@pytest.mark.timeout(400)
def test_two_hundred_runs_of_one_key_run_once_each_in_their_order(account: Account) -> None:
    """Each is woken by the one before it; nobody asks Lambda more often than the first in line looks for itself."""
    names = [f"{first}{second}" for first in "abcdefghijklmnopqrst" for second in "abcdefghij"]
    account.takes = {**dict.fromkeys(names, 0.0), names[0]: 10.0}
    executions = []
    for name in names:
        executions.append(account.accept(name))
        account.clock.advance(0.01)
    account.client.run()
    assert account.begun == names
    assert account.ended == names
    assert account.starts.woken == executions[1:]
    assert max(each.count for each in account.client.executions.values()) < 20
    assert account.client.asked == []


def test_a_run_is_woken_as_soon_as_the_key_is_given_back(account: Account) -> None:
    """It does not wait until it would look for itself, and does not poll meanwhile."""
    a, b = account.accept("a"), account.accept("b")
    account.until(lambda: "a" in account.begun)
    account.durable(a).status = "PAUSED"
    account.until(lambda: account.clock.now() > FakeClock().now() + 7 * DAY)
    account.durable(a).status = "RUNNING"
    account.until(lambda: "a" in account.ended)
    given_back = account.clock.now()
    account.until(lambda: "b" in account.begun)
    assert account.clock.now() - given_back <= 1.0
    account.client.run()
    assert account.durable(b).count < 700, "a wait of a week ends well under the quota of operations"


def test_a_giver_that_is_killed_before_it_wakes_the_next_wakes_it_when_lambda_retries(
    account: Account,
) -> None:
    """Its run has ended: the retried invocation only makes up for what was missed."""
    account.accept("a")
    account.accept("b")
    account.starts.kill_at = ["wake"]
    account.until(lambda: "a" in account.ended)
    given_back = account.clock.now()
    account.until(lambda: "b" in account.begun)
    assert account.clock.now() - given_back <= 2.0
    account.client.run()
    assert (account.begun, account.ended) == (["a", "b"], ["a", "b"])


def test_a_run_that_nobody_wakes_looks_for_itself(account: Account) -> None:
    """Lambda gave up the giver's execution as well: the callback's timeout is the second string."""
    a, _ = account.accept("a"), account.accept("b")
    account.starts.kill_at = ["wake"]
    account.until(lambda: "a" in account.ended)
    account.durable(a).status = "FAILED"
    given_back = account.clock.now()
    account.until(lambda: "b" in account.begun)
    assert 1.0 < account.clock.now() - given_back <= 3_600.0 / 4 + 60
    assert account.starts.woken == []


def test_a_key_that_is_given_back_between_the_look_and_the_suspension_wakes_nobody_too_late(
    account: Account,
) -> None:
    """The run has stored its callback before it looks once more: either it sees its turn, or the giver sees the callback."""
    account.takes = {"a": 0.0}
    account.accept("a")
    b = account.accept("b")
    store = account.bench.store
    listened: list[str] = []
    a_ends = store.listen

    def listen(execution: str, wake_up: Any) -> None:
        if not listened:  # a ends at this very moment, and finds no callback of b
            listened.append(execution)
            account.durable(f"{'a' * 26}-1").due = account.clock.now()
            account.bench.engine.advance(f"{'a' * 26}-1", lambda: 840.0)
        a_ends(execution, wake_up)

    account.bench.store.listen = listen  # type: ignore[method-assign]
    account.durable(f"{'a' * 26}-1").due = account.clock.now() + 5.0
    account.until(lambda: "b" in account.begun)
    assert listened == [b]
    assert account.clock.now() - FakeClock().now() < 5.0


def test_a_queued_run_that_is_cancelled_ends_at_once_and_the_others_keep_their_order(
    account: Account,
) -> None:
    """It is woken for it; its place is given up, and no one else is woken before the holder has ended."""
    account.accept("a")
    b = account.accept("b")
    account.accept("c")
    account.until(lambda: all(each.count >= 3 for each in account.client.executions.values()))
    asked = account.clock.now()
    assert account.cancel(b) == "done"
    account.until(lambda: account.bench.state(b) == "finished")
    assert account.clock.now() == asked
    assert account.bench.ending(b) == Ending("cancelled", "cancelled by ada")
    account.client.run()
    assert account.ended == ["a", "c"]


def test_a_run_that_leaves_the_queue_when_its_turn_has_just_come_wakes_the_next(account: Account) -> None:
    """The giver woke it alone; it was already about to end without the key."""
    account.takes = {"a": 100.0}
    account.accept("a")
    b = account.accept("b")
    account.accept("c")
    account.until(lambda: all(each.count >= 3 for each in account.client.executions.values()))
    account.bench.attempts.cancel(b, "ada")
    store = account.bench.store
    take = store.take

    def late_take(found: Any, taken: Any, *, hold: bool, leave: bool) -> bool:
        if leave:  # a ends between b's look and b's leaving
            account.clock.advance(200.0)
            account.bench.engine.advance(f"{'a' * 26}-1", lambda: 840.0)
        return take(found, taken, hold=hold, leave=leave)

    store.take = late_take  # type: ignore[method-assign]
    account.bench.engine.advance(b, lambda: 840.0)
    ended = account.clock.now()
    account.until(lambda: "c" in account.begun)
    assert account.clock.now() - ended <= 1.0


def test_a_run_whose_queue_timeout_is_over_ends_then_and_not_later(account: Account) -> None:
    """The callback never outlasts it."""
    a, b = account.accept("a"), account.accept("b", queue_timeout=3 * DAY)
    account.until(lambda: "a" in account.begun)
    account.durable(a).status = "PAUSED"
    account.until(lambda: account.bench.state(b) == "finished")
    assert account.clock.now() - FakeClock().now() == pytest.approx(3 * DAY, abs=2.0)
    assert account.bench.ending(b).summary == "it never had its turn"


# --- who asks Lambda ---------------------------------------------------------------------------------------------


def test_only_the_first_in_line_asks_lambda_about_the_run_before_it(account: Account) -> None:
    """`GetDurableExecution` allows 30 requests a second for the whole account."""
    a = account.accept("a")
    for name in "bcdefg":
        account.accept(name)
    account.until(lambda: "a" in account.begun)
    account.durable(a).status = "PAUSED"
    account.until(lambda: account.clock.now() > FakeClock().now() + DAY / 2)
    assert set(account.client.asked) == {account.durable(a).arn}
    first = account.durable("b" * 1 + "a" * 25 + "-1")
    assert len(account.client.asked) <= first.invocations


def test_a_first_in_line_that_died_is_noticed_by_the_one_behind_it(account: Account) -> None:
    """It said when it would look for itself, and did not: only then it is asked about, ended, and passed over."""
    account.takes = {"a": 7_200.0}
    a = account.accept("a")
    b = account.accept("b")
    account.accept("c")
    account.until(lambda: account.clock.now() > FakeClock().now() + 600)
    account.durable(b).status = account.durable(a).status = "FAILED"
    account.until(lambda: "c" in account.begun)
    assert {run for run, _ in account.bench.buried} == {a, b}
    assert account.clock.now() - FakeClock().now() < 3_600 + 2 * SUSPECT


# --- handing over ------------------------------------------------------------------------------------------------


def test_a_run_that_polls_for_long_is_continued_by_another_execution(account: Account) -> None:
    """Nothing is repeated, every execution stays under its quota, and the names count up."""
    account.most = 40
    account.takes = {"a": DAY}
    a = account.accept("a", key=None)
    account.client.run()
    assert (account.begun, account.ended) == (["a"], ["a"])
    names = account.names()
    assert names == [layout.execution_name(a, number) for number in range(len(names))]
    assert len(names) == pytest.approx(DAY / 300 / 38, abs=2)
    assert {each.status for each in account.client.executions.values()} == {"SUCCEEDED"}
    assert max(each.count for each in account.client.executions.values()) <= 41
    row = account.bench.attempts.in_lambda(a)
    assert row == (len(names) - 1, account.durable(a, len(names) - 1).arn)


@pytest.mark.parametrize("moment", ["begin", "begun"])
def test_a_handover_that_is_repeated_starts_one_execution(account: Account, moment: str) -> None:
    """The process dies before or after the start, and Lambda invokes the predecessor again."""
    account.most = 40
    account.takes = {"a": 4 * 3_600.0}
    a = account.accept("a", key=None)
    account.starts.kill_at = [moment]
    account.client.run()
    assert account.starts.kill_at == []
    assert account.names() == [a, f"{a}_1"]
    assert account.bench.attempts.in_lambda(a) == (1, account.durable(a, 1).arn)
    assert account.ended == ["a"]


def test_a_predecessor_that_is_killed_when_it_has_handed_over_leaves_the_run_alone(account: Account) -> None:
    """Lambda invokes it again, and its successor is in the middle of a step: two of them must not carry that out."""
    account.most = 40
    a = account.accept("a", key=None)
    calls: list[str] = []

    def step() -> None:
        calls.append("step")
        if len(calls) == 1:
            account.client.invoke_again(account.durable(a))

    def run(durable: Durable, _execution: Execution) -> Ending:
        durable.sleep("work", 4 * 3_600.0)
        durable.record("step", step)
        return Ending("success", "done")

    account.bench.functions["a"] = run
    account.starts.kill_at = ["begun"]
    account.until(lambda: account.starts.kill_at == [])
    account.durable(a).due += DAY
    account.client.run()
    assert calls == ["step"]
    assert account.names() == [a, f"{a}_1"]


def test_a_handover_of_a_predecessor_that_comes_late_starts_nothing(account: Account) -> None:
    """The run was handed on by its successor meanwhile."""
    account.takes = {"a": DAY}
    a = account.accept("a", key=None)
    for number in (0, 1, 0, 1, 0):
        account.starts.hand_over(a, number)
    assert account.names() == [a, f"{a}_1", f"{a}_2"]
    assert account.bench.attempts.in_lambda(a).number == 2


def test_a_queued_run_is_handed_over_too(account: Account) -> None:
    """And is still woken in its turn."""
    account.most = 40
    a, b = account.accept("a"), account.accept("b")
    account.until(lambda: "a" in account.begun)
    account.durable(a).status = "PAUSED"
    account.until(lambda: account.clock.now() > FakeClock().now() + DAY / 2)
    account.durable(a).status = "RUNNING"
    account.until(lambda: "a" in account.ended)
    given_back = account.clock.now()
    account.until(lambda: "b" in account.begun)
    assert account.clock.now() - given_back <= 1.0
    assert f"{b}_1" in account.names()
    assert max(each.count for each in account.client.executions.values()) <= 45 < LIMIT


def test_an_execution_of_the_commit_before_that_polls_goes_on(account: Account) -> None:
    """Its one operation has no count yet, its row no number; it may have been named by the clock."""
    account.takes = {"a": 600.0}
    a = account.accept("a")
    b = account.bench.accept("b", key="k")
    account.client.invoke(DurableExecutionName=f"{b}_1700000000", Payload=layout.worker_event(b))
    account.bench.attempts.mark_started(b, account.client.executions[f"{b}_1700000000"].arn, 0)
    old = {"type": "STEP", "state": {"wake": 0.0}, "polls": 30, "due": 0.0, "result": None}
    account.client.executions[f"{b}_1700000000"].operations["run"] = old
    account.client.executions[f"{b}_1700000000"].order.append("run")
    account.client.run()
    assert account.ended == ["a", "b"]
    assert json.loads(str(old["result"]))["operations"] == 1 + 31
    assert [each.status for each in account.client.executions.values()] == ["SUCCEEDED", "SUCCEEDED"]
    assert account.bench.state(a) == "finished"
