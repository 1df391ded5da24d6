"""The chore that stops runs when the stack is deleted: in which order, how long it waits, and that it never keeps the stack."""

from __future__ import annotations

from typing import Any, cast

import pytest

from test_housekeeping import CloudFormation, cloudformation, handler

__all__ = ["cloudformation", "handler"]

RUN, QUEUED, PAUSED, CONTINUED = (f"{letter * 26}-1" for letter in "abcd")


class Account:
    """Lambda, DynamoDB and CloudFormation as the chore sees them: `open_` are its executions, by the time they started.

    A run that is stopped has finished after two looks at its row, unless it is `stuck` there; `refused` is not stopped.
    """

    def __init__(self, status: str = "DELETE_IN_PROGRESS", *, stuck: str = "", refused: str = "") -> None:
        self.open_ = {RUN: ("RUNNING", 1), QUEUED: ("RUNNING", 2), PAUSED: ("PAUSED", 3)}
        self.status = status
        self.stuck = stuck
        self.refused = refused
        self.stopped: list[str] = []
        self.written: list[Any] = []
        self.looks: dict[str, int] = {}
        self.seconds = 840.0

    def describe_stacks(self, StackName: str) -> dict[str, Any]:  # noqa: N803
        return {"Stacks": [{"StackStatus": self.status, "StackId": StackName}]}

    def get_paginator(self, name: str) -> Any:
        assert name == "list_durable_executions_by_function"
        return self

    def paginate(self, FunctionName: str, Statuses: list[str]) -> Any:  # noqa: N803
        assert FunctionName == "worker"
        for name, (status, at) in self.open_.items():
            if [status] == Statuses:
                # As the name of a first execution, and as that of one that continues it in another stack's digest.
                named = {"DurableExecutionName": name if at == 1 else f"{'7' * 8}_{name}_2"}
                yield {
                    "DurableExecutions": [
                        {"DurableExecutionArn": f"arn:{name}", "StartTimestamp": at, **named}
                    ]
                }

    def stop_durable_execution(self, DurableExecutionArn: str, Error: dict[str, str]) -> None:  # noqa: N803
        assert self.written, "the handler of failed executions could not know why"
        run = DurableExecutionArn.removeprefix("arn:")
        if run == self.refused:
            raise RuntimeError("TooManyRequestsException")
        assert Error["ErrorMessage"] == "the stack was removed"
        self.stopped.append(run)

    def put_item(self, **request: Any) -> None:
        self.written.append(request["Item"]["sk"]["S"])

    def get_item(self, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        run = Key["pk"]["S"].removeprefix("run#") + "-" + Key["sk"]["S"].removeprefix("attempt#").lstrip("0")
        self.looks[run] = self.looks.get(run, 0) + 1
        over = run in self.stopped and run != self.stuck and self.looks[run] > 2
        return {"Item": {"state": {"S": "finished" if over else "waiting"}}}

    def sleep(self, seconds: float) -> None:
        self.seconds -= seconds


def stop(
    handler: Any, cloudformation: CloudFormation, account: Account, kind: str = "Delete"
) -> dict[str, Any]:
    """Ask for the chore, on a clock that only its own waits move."""
    event = {
        "RequestType": kind,
        "ResponseURL": cloudformation.url,
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "StopRuns",
        "ResourceProperties": {"Chore": "stop", "Worker": "worker", "Table": "table"},
    }
    handler.handle(event, lambda _service: account, account.sleep, lambda: account.seconds)
    return cloudformation.answers[-1]


def test_runs_are_stopped_when_the_stack_goes_and_their_ends_are_waited_for(
    handler: Any, cloudformation: CloudFormation
) -> None:
    """The newest first: a queued run begins when the one before it has ended."""
    account = Account()
    answer = stop(handler, cloudformation, account)
    assert (answer["Status"], answer["Reason"]) == ("SUCCESS", "done")
    assert account.stopped == [PAUSED, QUEUED, RUN]
    assert account.written == ["removal"]
    assert account.seconds == 840.0 - 2 * handler.PAUSE


def test_an_execution_that_one_list_missed_is_stopped_too(
    handler: Any, cloudformation: CloudFormation
) -> None:
    """It changed its status while the statuses were read one after the other, or another one has just started it."""

    class Changing(Account):
        def paginate(self, FunctionName: str, Statuses: list[str]) -> Any:  # noqa: N803
            pages = list(super().paginate(FunctionName, Statuses))
            if Statuses == ["RUNNING"]:
                self.open_[PAUSED] = ("RUNNING", 3)
            return pages

        def stop_durable_execution(self, DurableExecutionArn: str, Error: dict[str, str]) -> None:  # noqa: N803
            super().stop_durable_execution(DurableExecutionArn, Error)
            if DurableExecutionArn.endswith(QUEUED):
                self.open_[CONTINUED] = ("RUNNING", 4)

    account = Changing()
    assert stop(handler, cloudformation, account)["Reason"] == "done"
    assert account.stopped == [QUEUED, RUN, CONTINUED, PAUSED]


def test_a_later_list_that_fails_keeps_no_run_from_its_end(
    handler: Any, cloudformation: CloudFormation
) -> None:
    """What the first list showed is stopped, and waited for."""

    class Failing(Account):
        def paginate(self, FunctionName: str, Statuses: list[str]) -> Any:  # noqa: N803
            if self.stopped:
                raise RuntimeError("TooManyRequestsException")
            return super().paginate(FunctionName, Statuses)

    account = Failing()
    assert stop(handler, cloudformation, account)["Reason"] == "done"
    assert account.stopped == [PAUSED, QUEUED, RUN]
    assert account.looks[RUN] > 2


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_no_run_is_stopped_by_a_deployment(handler: Any, cloudformation: CloudFormation, kind: str) -> None:
    """Neither by one that goes back to a release without the chore, which deletes the chore alone."""
    for account, request in (
        (Account(), kind),
        (Account("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"), "Delete"),
        (Account("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"), "Delete"),
    ):
        assert stop(handler, cloudformation, account, request)["Status"] == "SUCCESS"
        assert (account.stopped, account.written) == ([], [])


def test_what_could_not_be_ended_is_named_and_the_stack_goes_all_the_same(
    handler: Any, cloudformation: CloudFormation
) -> None:
    """The wait is bounded: CloudFormation must have its answer while the function may still run."""
    account = Account(stuck=RUN, refused=PAUSED)
    answer = stop(handler, cloudformation, account)
    assert answer["Status"] == "SUCCESS"
    assert answer["Reason"] == f"left without a final status: {RUN}, {PAUSED}"
    assert 0 < account.seconds <= handler.RESERVED
    account = Account(refused=PAUSED)
    assert stop(handler, cloudformation, account)["Reason"].endswith(f": {PAUSED}")
    assert account.seconds > 800, "it does not wait for what was not stopped"


def test_a_row_that_cannot_be_read_once_does_not_end_the_wait(
    handler: Any, cloudformation: CloudFormation
) -> None:
    """Otherwise the functions that post the other runs' statuses would be deleted too early. An execution without a run has no row."""

    class Throttled(Account):
        def get_item(self, Key: dict[str, Any], **given: Any) -> dict[str, Any]:  # noqa: N803
            item = super().get_item(Key, **given)
            if self.looks.get(QUEUED) == 1 and Key["pk"]["S"].endswith(QUEUED[:26]):
                raise RuntimeError("ProvisionedThroughputExceededException")
            return item

    account = Throttled()
    account.open_["f81d4fae-7dec-11d0-a765-00a0c91e6bf6"] = ("RUNNING", 1)
    assert stop(handler, cloudformation, account)["Reason"] == "done"
    assert account.seconds == 840.0 - 2 * handler.PAUSE


def test_looks_that_take_long_leave_time_for_the_answer(handler: Any, cloudformation: CloudFormation) -> None:
    """There may be thousands of runs. Without an answer CloudFormation waits, and then the stack cannot be deleted."""

    class Slow(Account):
        def get_item(self, Key: dict[str, Any], **given: Any) -> dict[str, Any]:  # noqa: N803
            self.seconds -= 60.0
            return super().get_item(Key, **given)

    account = Slow(stuck=RUN)
    account.open_ |= {f"{letter * 26}-1": ("PAUSED", 4) for letter in "defghijklmnop"}
    assert stop(handler, cloudformation, account)["Status"] == "SUCCESS"
    assert account.seconds > 0


def test_an_account_that_refuses_everything_does_not_keep_the_stack(
    handler: Any, cloudformation: CloudFormation
) -> None:
    """If the chore answered FAILED, the stack could not be deleted."""
    account = Account()
    account.open_ = cast("Any", None)  # every listing raises
    answer = stop(handler, cloudformation, account)
    assert answer["Status"] == "SUCCESS"
    assert "the runs could not be stopped" in answer["Reason"]


def test_a_throttled_beginning_is_tried_again(handler: Any, cloudformation: CloudFormation) -> None:
    """What is not stopped now, CloudFormation may wait for as long as it waits itself."""

    class Throttled(Account):
        calls = 0

        def paginate(self, FunctionName: str, Statuses: list[str]) -> Any:  # noqa: N803
            self.calls += 1
            if self.calls == 2:
                raise RuntimeError("TooManyRequestsException")
            return super().paginate(FunctionName, Statuses)

    account = Throttled()
    assert stop(handler, cloudformation, account)["Reason"] == "done"
    assert account.stopped == [PAUSED, QUEUED, RUN]


def test_runs_are_stopped_though_their_handler_cannot_be_told_why(
    handler: Any, cloudformation: CloudFormation
) -> None:
    """Then their statuses say that somebody stopped them."""

    class Refuses(Account):
        def put_item(self, **request: Any) -> None:
            self.written.append("tried")
            raise RuntimeError("AccessDeniedException")

    account = Refuses()
    assert stop(handler, cloudformation, account)["Reason"] == "done"
    assert account.stopped == [PAUSED, QUEUED, RUN]
