"""The questions about durable executions: starting them once, how they end, and who is told."""

from __future__ import annotations

from collections.abc import Callable

from tests.live.question import Document, Expected, Findings, Question, Recording

GUIDE = "https://docs.aws.amazon.com/lambda/latest/dg"
API = "https://docs.aws.amazon.com/lambda/latest/api"
CONFLICT = "DurableExecutionAlreadyStartedException"
SAME, ANOTHER = "the same execution", "another execution"


def _again(recording: Recording, first: str, seconds: float, part: str = "long") -> str:
    """Start by the same name once more; return what came of it."""
    arn, said = recording.start("start-twice", {"do": "wait", "seconds": seconds}, part)
    return said if arn is None else SAME if arn == first else ANOTHER


def start_twice(recording: Recording) -> Findings:
    """Start by one name: while the first runs, and after it has ended."""
    seconds = recording.times.wait
    first, said = recording.start("start-twice", {"do": "wait", "seconds": seconds})
    if first is None:
        return {"started": said}
    found = {
        "same payload, running": _again(recording, first, seconds),
        "another payload, running": _again(recording, first, seconds + 1),
        "another function": _again(recording, first, seconds, "short"),
    }
    ended = recording.ended(first, recording.times.end)
    return {
        **found,
        "status": ended["Status"],
        "same payload, ended": _again(recording, first, seconds),
        "another payload, ended": _again(recording, first, seconds + 1),
    }


def stop(recording: Recording) -> Findings:
    """Stop an execution that waits, twice."""
    from botocore.exceptions import ClientError

    arn, said = recording.start("stop", {"do": "wait", "seconds": 3600})
    if arn is None:
        return {"started": said}
    recording.suspended(arn)
    client = recording.account.client("lambda")
    error = {"ErrorType": "Recorded", "ErrorMessage": "stopped by the recording"}
    client.stop_durable_execution(DurableExecutionArn=arn, Error=error)
    found = recording.outcome(arn, "stop", recording.times.end)
    try:
        client.stop_durable_execution(DurableExecutionArn=arn)
        found["stopped again"] = "accepted"
    except ClientError as caught:
        found["stopped again"] = caught.response["Error"]["Code"]
    return found


def operations(recording: Recording) -> Findings:
    """Return how an execution of more than 3,000 steps ended."""
    return _without_history(recording, "operations", recording.times.end)


def polls(recording: Recording) -> Findings:
    """Return how an execution that polled more than 3,000 times ended: it takes an hour."""
    patience = recording.times.polls * 2.5 + recording.times.end
    return _without_history(recording, "polls", patience)


def _without_history(recording: Recording, name: str, patience: float) -> Findings:
    arn = recording.begun[name]
    found = recording.ended(arn, patience)
    return {
        "status": found["Status"],
        "error": (found.get("Error") or {}).get("ErrorType"),
        **recording.heard(arn, name),
    }


def _outcome(name: str, patience: str = "end") -> Callable[[Recording], Findings]:
    return lambda recording: recording.outcome(
        recording.begun[name], name, getattr(recording.times, patience)
    )


def _begin(name: str, part: str = "long", **payload: object) -> Callable[[Recording], None]:
    return lambda recording: recording.begin(name, payload, part)


def _execution(operations: float, seconds: float) -> dict[str, float]:
    """Return what executions use of the price list: each operation is an invocation at most, of 256 MB."""
    return {
        "Lambda requests": operations,
        "Lambda time": seconds * 0.25,
        "Durable operations": operations,
        "Durable data written": operations * 1_024,
        "CloudWatch Logs": operations * 600,
    }


_ONCE = Document(
    "The name is the key of idempotency: the same name and payload get the execution that exists, running or closed;"
    " another payload is an error.",
    f"{GUIDE}/durable-execution-idempotency.html",
)
_UNIQUE = Document(
    "Names are unique within the account and the region.", f"{GUIDE}/durable-execution-idempotency.html"
)
_UNIQUE_TOO = Document(
    "Names are unique within the function.",
    "https://docs.aws.amazon.com/botocore/latest/reference/services/lambda/client/exceptions/"
    "DurableExecutionAlreadyStartedException.html",
)
_STOP = Document(
    "A running execution is stopped for good; its status is STOPPED.", f"{API}/API_StopDurableExecution.html"
)
_TELL = Document(
    "EventBridge hears of RUNNING, SUCCEEDED, FAILED, STOPPED and TIMED_OUT.",
    f"{GUIDE}/durable-monitoring.html",
)
_LETTER = Document(
    "After FAILED, STOPPED and TIMED_OUT of an asynchronous execution its event goes to the function's dead-letter queue.",
    f"{GUIDE}/durable-best-practices.html",
)
_RETRY = Document(
    "An invocation that crashed or timed out is tried again, a limited number of times.",
    f"{GUIDE}/durable-execution-sdk-retries.html",
)
_LIMIT = Document(
    "An execution has at most 3,000 durable operations; the quota cannot be raised.",
    f"{GUIDE}/gettingstarted-limits.html",
)
_METER = Document(
    "wait_for_condition is metered as one operation and one for each poll, and an execution has at most 3,000.",
    f"{GUIDE}/gettingstarted-limits.html",
)
_TIMEOUT = Document(
    "ExecutionTimeout ends the whole execution, however many invocations it has had.",
    f"{API}/API_DurableConfig.html",
)


def _told(status: str) -> tuple[Expected, ...]:
    """Return what the documents say of an execution that ended like this: an event of it, and a dead letter."""
    return Expected("events", ["RUNNING", status], _TELL), Expected("dead letters", 1, _LETTER)


def _ended(status: str, document: Document) -> tuple[Expected, ...]:
    return Expected("status", status, document), *_told(status)


QUESTIONS = (
    Question(
        id="start-twice",
        asks="What answers a second start by the same name, with the same payload and with another?",
        expects=(
            Expected("same payload, running", SAME, _ONCE),
            Expected("another payload, running", CONFLICT, _ONCE),
            Expected("same payload, ended", SAME, _ONCE),
            Expected("another payload, ended", CONFLICT, _ONCE),
            Expected("another function", CONFLICT, _UNIQUE),
            Expected("another function", ANOTHER, _UNIQUE_TOO),
        ),
        ask=start_twice,
        uses=_execution(20, 20),
    ),
    Question(
        id="stop",
        asks="Which services report an execution that was stopped, and can it be stopped twice?",
        expects=_ended("STOPPED", _STOP),
        ask=stop,
        uses=_execution(10, 10),
    ),
    Question(
        id="fail",
        asks="Which services report an execution that failed?",
        expects=_told("FAILED"),
        begin=_begin("fail", do="raise"),
        ask=_outcome("fail"),
        uses=_execution(10, 10),
    ),
    Question(
        id="crash",
        asks="How often is an invocation tried again whose process ends, and what is its execution then?",
        expects=_ended("FAILED", _RETRY),
        begin=_begin("crash", do="crash"),
        ask=_outcome("crash", "crash"),
        uses=_execution(100, 100),
        minutes=3,
    ),
    Question(
        id="hang",
        asks="How often is an invocation tried again that runs over the function's timeout?",
        expects=_ended("FAILED", _RETRY),
        begin=_begin("hang", "brief", do="hang"),
        ask=_outcome("hang", "crash"),
        uses=_execution(100, 1_000),
    ),
    Question(
        id="time-out",
        asks="Which services report an execution that exceeded its ExecutionTimeout?",
        expects=_ended("TIMED_OUT", _TIMEOUT),
        begin=_begin("time-out", "short", do="wait", seconds=3600),
        ask=_outcome("time-out"),
        uses=_execution(10, 10),
    ),
    Question(
        id="operations",
        asks="What ends an execution of 3,001 steps?",
        expects=_ended("FAILED", _LIMIT),
        begin=lambda recording: recording.begin(
            "operations", {"do": "steps", "times": recording.times.steps}
        ),
        ask=operations,
        uses=_execution(3_100, 1_000),
        minutes=2,
    ),
    Question(
        id="polls",
        asks="Do polls count as operations: what ends an execution that polls 3,001 times?",
        expects=_ended("FAILED", _METER),
        begin=lambda recording: recording.begin("polls", {"do": "poll", "times": recording.times.polls}),
        ask=polls,
        uses=_execution(6_100, 3_100),
        minutes=60,
    ),
)
