"""What AWS's conformance suite for durable SDKs requires of histories, for the operations that the worker has.

`aws/aws-durable-execution-conformance-tests` (August 2026) numbers its requirements: 4-N are callbacks, 6-N are conditions
that are waited for. It deploys functions with SAM and compares their histories on AWS; these tests ask the same of the
emulated account, with functions of our own. They say how far its histories can be believed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.aws.contracts.emulated import Functions, eventually

CALLBACKS, WAITED_FOR = range(1, 20), range(1, 14)
"""The suite's requirements 4-N and 6-N."""
NOT_OURS = {
    "4-15": "a deserializer of the function's own: the worker sets none, and reads no result of a callback",
    "4-16": "the same, for a number",
    "6-11": "a serializer of the function's own for the state: the worker's state is JSON",
}
"""Requirements that no function of ours can meet or miss, and why. The others are restated below by their ids."""

POLLS = ["StepStarted", "StepSucceeded", "InvocationCompleted"]
LAST = ["StepStarted", "StepSucceeded", "InvocationCompleted", "ExecutionSucceeded"]
FAILED = ["StepStarted", "StepFailed", "InvocationCompleted", "ExecutionFailed"]

CONDITIONS: dict[str, tuple[str, Any, list[str], Any]] = {
    "6-1 polls until a threshold": (
        "return poll(context, lambda state: state + 1, lambda state: state >= event)",
        3,
        [*POLLS, *POLLS, *LAST],
        "3",
    ),
    "6-2 is met at once": ("return poll(context, lambda state: 5, lambda state: True)", 5, LAST, "5"),
    "6-3 has a name": (
        "return poll(context, lambda state: state + 1, lambda state: state >= event, name='poll-status')",
        2,
        [*POLLS, *LAST],
        "2",
    ),
    "6-4 has an initial state": (
        "return poll(context, lambda state: state + 1, lambda state: state >= event, initial=5)",
        8,
        [*POLLS, *POLLS, *LAST],
        "8",
    ),
    "6-6 the strategy gives up": (
        "return poll(context, lambda state: state + 1, lambda state: state >= 3 and 1 // 0)",
        None,
        [*POLLS, *POLLS, *FAILED],
        None,
    ),
    "6-7 a check that raises fails it": (
        "return poll(context, lambda state: 1 // 0, lambda state: True)",
        None,
        FAILED,
        None,
    ),
    "6-8 the function may catch that": (
        """
try:
    return poll(context, lambda state: 1 // 0, lambda state: True)
except Exception:
    return "recovered"
""",
        None,
        [*FAILED[:3], "ExecutionSucceeded"],
        '"recovered"',
    ),
    "6-9 has a state of an object": (
        "return poll(context, lambda s: {'n': s['n'] + 1}, lambda s: s['n'] == 2, initial={'n': 0})",
        None,
        [*POLLS, *LAST],
        '{"n":2}',
    ),
    "6-10 a state of null": (
        "return poll(context, lambda state: None, lambda state: True)",
        None,
        LAST,
        "null",
    ),
    "6-13 two of them": (
        """
first = poll(context, lambda state: state + 1, lambda state: state >= 2)
return poll(context, lambda state: state + 1, lambda state: state >= 4, initial=first)
""",
        None,
        [
            *POLLS,
            "StepStarted",
            "StepSucceeded",
            "StepStarted",
            "StepSucceeded",
            "InvocationCompleted",
            *LAST,
        ],
        "4",
    ),
}

WAITS = "return context.create_callback(name=event, config=CallbackConfig({timeouts})).result()"


def types(functions: Functions, arn: str) -> list[str]:
    """Return the types of an execution's events after its start."""
    events = functions.history(arn)
    assert events[0]["EventType"] == "ExecutionStarted"
    return [event["EventType"] for event in events[1:]]


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_that_is_waited_for(functions: Functions, name: str) -> None:
    """Each poll is a started and an ended step of one operation; then the invocation ends until the next is due."""
    body, event, expected, result = CONDITIONS[name]
    arn = functions.start(body, event)
    found = functions.ended(arn)
    assert found.get("Result", "").replace(" ", "") == (result or "").replace(" ", "")
    assert types(functions, arn) == expected
    steps = [one for one in functions.history(arn) if one["EventType"].startswith("Step")]
    assert {one["SubType"] for one in steps} == {"WaitForCondition"}
    assert len({one["Id"] for one in steps}) == (2 if name.startswith("6-13") else 1)
    if name.startswith("6-3"):
        assert {one["Name"] for one in steps} == {"poll-status"}


def test_a_poll_says_when_the_next_is_due(functions: Functions) -> None:
    """6-5: the delay of the wait strategy is in the event of each poll but the last."""
    arn = functions.start("return poll(context, lambda s: s + 1, lambda s: s >= 3, seconds=2)")
    functions.ended(arn)
    ends = [one for one in functions.history(arn) if one["EventType"] == "StepSucceeded"]
    delays = [
        one["StepSucceededDetails"].get("RetryDetails", {}).get("NextAttemptDelaySeconds") for one in ends
    ]
    assert delays == [2, 2, None]
    assert [one["StepSucceededDetails"]["Result"]["Payload"] for one in ends] == ["1", "2", "3"]


def callback_of(functions: Functions, arn: str, number: int = 0) -> str:
    """Return the id of a callback once it was created and its invocation has ended."""

    def found() -> str | None:
        events = functions.history(arn)
        made = [one for one in events if one["EventType"] == "CallbackStarted"]
        idle = events[-1]["EventType"] == "InvocationCompleted"
        return (
            str(made[number]["CallbackStartedDetails"]["CallbackId"]) if idle and len(made) > number else None
        )

    return str(eventually(found, f"{arn} has no callback"))


def test_a_callback_that_succeeds(functions: Functions) -> None:
    """4-1 and 4-2: the execution suspends without a timeout, and continues at once when the callback is completed."""
    arn = functions.start(WAITS.format(timeouts=""), "approval")
    token = callback_of(functions, arn)
    functions.client.send_durable_execution_callback_success(CallbackId=token, Result=b"yes")
    found = functions.ended(arn, skip=0.0)
    assert (found["Status"], found["Result"]) == ("SUCCEEDED", '"yes"')
    assert types(functions, arn) == [
        "CallbackStarted",
        "InvocationCompleted",
        "CallbackSucceeded",
        "InvocationCompleted",
        "ExecutionSucceeded",
    ]
    named = [one["Name"] for one in functions.history(arn) if one["EventType"].startswith("Callback")]
    assert named == ["approval", "approval"]


@pytest.mark.parametrize(
    ("timeouts", "error"),
    [
        ("timeout=Duration.from_seconds(5)", "Callback.Timeout"),
        ("heartbeat_timeout=Duration.from_seconds(5)", "Callback.Heartbeat"),
    ],
    ids=["4-3", "4-4"],
)
def test_a_callback_that_times_out(functions: Functions, timeouts: str, error: str) -> None:
    """4-3 and 4-4: the service itself ends it, the event says which timeout it was, and the function raises."""
    arn = functions.start(WAITS.format(timeouts=timeouts), "approval")
    assert functions.ended(arn)["Status"] == "FAILED"
    assert types(functions, arn) == [
        "CallbackStarted",
        "InvocationCompleted",
        "CallbackTimedOut",
        "InvocationCompleted",
        "ExecutionFailed",
    ]
    (ended,) = (one for one in functions.history(arn) if one["EventType"] == "CallbackTimedOut")
    assert ended["CallbackTimedOutDetails"]["Error"]["Payload"]["ErrorType"] == error
    started = functions.history(arn)[1]["CallbackStartedDetails"]
    detail = "Timeout" if error == "Callback.Timeout" else "HeartbeatTimeout"
    assert {name: value for name, value in started.items() if name != "CallbackId"} == {detail: 5}


def test_a_heartbeat_keeps_a_callback_open(functions: Functions) -> None:
    """4-5: it may be completed later than the first interval."""
    arn = functions.start(WAITS.format(timeouts="heartbeat_timeout=Duration.from_seconds(60)"), "approval")
    token = callback_of(functions, arn)
    for _ in range(3):
        functions.cloud.skip(40)
        functions.client.send_durable_execution_callback_heartbeat(CallbackId=token)
    functions.client.send_durable_execution_callback_success(CallbackId=token, Result=b"alive")
    assert functions.ended(arn, skip=0.0)["Result"] == '"alive"'


def test_a_callback_that_fails(functions: Functions) -> None:
    """4-6: what the other side says is in the event and fails a function that does not catch it."""
    arn = functions.start(WAITS.format(timeouts=""), "approval")
    said = {"ErrorType": "RejectedError", "ErrorMessage": "not approved"}
    functions.client.send_durable_execution_callback_failure(
        CallbackId=callback_of(functions, arn), Error=said
    )
    assert functions.ended(arn, skip=0.0)["Status"] == "FAILED"
    (ended,) = (one for one in functions.history(arn) if one["EventType"] == "CallbackFailed")
    assert said.items() <= ended["CallbackFailedDetails"]["Error"]["Payload"].items()


def test_a_callback_that_is_completed_before_it_is_waited_for(functions: Functions) -> None:
    """4-9: completed while the function waits for time to pass; its result is there afterwards."""
    body = "made = context.create_callback(name=event)\ncontext.wait(Duration.from_seconds(5))\nreturn made.result()"
    arn = functions.start(body, "approval")
    token = callback_of(functions, arn)
    functions.client.send_durable_execution_callback_success(CallbackId=token, Result=b"early")
    assert functions.ended(arn)["Result"] == '"early"'


def test_a_failure_that_the_function_catches(functions: Functions) -> None:
    """4-13: it goes on, and its next wait is replayed after it."""
    body = f"""
try:
    {WAITS.format(timeouts="")}
except Exception as error:
    context.wait(Duration.from_seconds(2))
    return str(error)
"""
    arn = functions.start(body, "approval")
    said = {"ErrorType": "RejectedError", "ErrorMessage": "not approved"}
    functions.client.send_durable_execution_callback_failure(
        CallbackId=callback_of(functions, arn), Error=said
    )
    assert "not approved" in functions.ended(arn)["Result"]


def test_a_timeout_that_the_function_catches(functions: Functions) -> None:
    """4-14: it goes on, and its next wait is replayed after it."""
    body = f"""
try:
    {WAITS.format(timeouts="timeout=Duration.from_seconds(3)")}
except Exception:
    context.wait(Duration.from_seconds(2))
    return "late"
"""
    assert functions.ended(functions.start(body, "approval"))["Result"] == '"late"'


def test_one_callback_after_another(functions: Functions) -> None:
    """4-17: each has an id of its own, and each is completed once."""
    body = "return [context.create_callback(name=name).result() for name in event]"
    arn = functions.start(body, ["a", "b"])
    first = callback_of(functions, arn)
    functions.client.send_durable_execution_callback_success(CallbackId=first, Result=b"1")
    second = callback_of(functions, arn, 1)
    assert second != first
    with pytest.raises(functions.client.exceptions.CallbackTimeoutException):
        functions.client.send_durable_execution_callback_success(CallbackId=first, Result=b"again")
    functions.client.send_durable_execution_callback_success(CallbackId=second, Result=b"2")
    assert functions.ended(arn, skip=0.0)["Result"].replace(" ", "") == '["1","2"]'


SUSPENDS, ENDS = ["InvocationCompleted"], ["InvocationCompleted", "ExecutionSucceeded"]
STEP = ["StepStarted", "StepSucceeded"]
THEN_STEP = """
made = context.create_callback(name=event, config=CallbackConfig({timeouts}))
context.step(lambda _: "done")
return made.result()
"""
THEN_WAIT = """
made = context.create_callback(name=event, config=CallbackConfig({timeouts}))
context.wait(Duration.from_seconds(60))
return made.result()
"""
BOTH = """
made = [context.create_callback(name=name) for name in event]
return [made[number].result() for number in {order}]
"""

BESIDE: dict[str, tuple[str, Any, str | None, list[str]]] = {
    "4-7 a failure after a step": (
        THEN_STEP.format(timeouts=""),
        "a",
        "failure",
        ["CallbackStarted", *STEP, *SUSPENDS, "CallbackFailed", *SUSPENDS, "ExecutionFailed"],
    ),
    "4-8 a timeout after a step": (
        THEN_STEP.format(timeouts="timeout=Duration.from_seconds(5)"),
        "a",
        None,
        ["CallbackStarted", *STEP, *SUSPENDS, "CallbackTimedOut", *SUSPENDS, "ExecutionFailed"],
    ),
    "4-10 a failure during a wait": (
        THEN_WAIT.format(timeouts=""),
        "a",
        "failure",
        [
            *("CallbackStarted", "WaitStarted", *SUSPENDS, "CallbackFailed", *SUSPENDS),
            *("WaitSucceeded", *SUSPENDS, "ExecutionFailed"),
        ],
    ),
    "4-11 a timeout during a wait": (
        THEN_WAIT.format(timeouts="timeout=Duration.from_seconds(25)"),
        "a",
        None,
        [
            *("CallbackStarted", "WaitStarted", *SUSPENDS, "CallbackTimedOut", *SUSPENDS),
            *("WaitSucceeded", *SUSPENDS, "ExecutionFailed"),
        ],
    ),
    "4-12 a wait after a success": (
        """
said = context.create_callback(name=event).result()
context.wait(Duration.from_seconds(2))
return said
""",
        "a",
        "success",
        [
            *("CallbackStarted", *SUSPENDS, "CallbackSucceeded", "WaitStarted", *SUSPENDS),
            *("WaitSucceeded", *ENDS),
        ],
    ),
    "4-18 two at once": (
        BOTH.format(order="(0, 1)"),
        ["a", "b"],
        "success",
        [
            *("CallbackStarted", "CallbackStarted", *SUSPENDS, "CallbackSucceeded", *SUSPENDS),
            *("CallbackSucceeded", *ENDS),
        ],
    ),
    "4-19 two at once, waited for in the other order": (
        BOTH.format(order="(1, 0)"),
        ["a", "b"],
        "success",
        [
            *("CallbackStarted", "CallbackStarted", *SUSPENDS, "CallbackSucceeded", *SUSPENDS),
            *("CallbackSucceeded", *ENDS),
        ],
    ),
    "6-12 a step with the state that was reached": (
        """
reached = poll(context, lambda state: state + 1, lambda state: state >= event)
return context.step(lambda _: reached * 10)
""",
        2,
        None,
        [*POLLS, *STEP, *STEP, *ENDS],
    ),
}


@pytest.mark.parametrize("name", BESIDE)
def test_other_operations_beside_it(functions: Functions, name: str) -> None:
    """A callback that ends during a wait makes an invocation, which suspends again; nothing runs a second time."""
    body, event, said, expected = BESIDE[name]
    arn = functions.start(body, event)
    for number in range(0 if said is None else len(event)):
        token = callback_of(functions, arn, number)
        if said == "success":
            functions.client.send_durable_execution_callback_success(CallbackId=token, Result=b"yes")
        else:
            error = {"ErrorType": "RejectedError", "ErrorMessage": "not approved"}
            functions.client.send_durable_execution_callback_failure(CallbackId=token, Error=error)
        idle_again(functions, arn, number + 1)
    if (
        said is None and "WaitStarted" in expected
    ):  # the clock must not pass the wait's end before that is over
        functions.cloud.skip(30)
        idle_again(functions, arn, 1)
    found = functions.ended(arn)
    assert types(functions, arn) == expected
    results = {"4-12": '"yes"', "4-18": '["yes","yes"]', "4-19": '["yes","yes"]', "6-12": "20"}
    assert found.get("Result", "").replace(" ", "") == results.get(name.partition(" ")[0], "")


CALLBACK_ENDS = ("CallbackSucceeded", "CallbackFailed", "CallbackTimedOut")


def idle_again(functions: Functions, arn: str, ended: int) -> None:
    """Wait until so many callbacks have ended, and the invocation which that made has ended, too."""

    def found() -> bool:
        said = [one["EventType"] for one in functions.history(arn)]
        ends = [place for place, one in enumerate(said) if one in CALLBACK_ENDS]
        return len(ends) == ended and "InvocationCompleted" in said[ends[-1] :]

    eventually(found, f"{arn} was not invoked for its callback")


def test_every_requirement_is_restated_or_not_ours() -> None:
    """By its id, in this file."""
    text = Path(__file__).read_text("utf-8")
    known = {f"4-{number}" for number in CALLBACKS} | {f"6-{number}" for number in WAITED_FOR}
    tested = set(re.findall(r'(?:\n    "|"""|and )([46]-\d+)\b', text)) - NOT_OURS.keys()
    assert (tested | NOT_OURS.keys(), tested & NOT_OURS.keys()) == (known, set())
