"""`python`: a user's function, with clear errors, JSON results, and an honest time limit."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from closeout.actions.general import python
from closeout.actions.general.python import ACTION, anything_running, still_running
from closeout.core.errors import ActionFailed, InputError
from tests.unit.actions.general import example_functions
from tests.unit.actions.general.parts import nothing
from tests.work import Crashed, ImmediateWork

HERE = "tests.unit.actions.general"


def call(function: str, work: ImmediateWork | None = None, **args: Any) -> tuple[Any, ImmediateWork]:
    """Plan and apply; return the result and the work."""
    work = work or ImmediateWork(nothing(), event={"n": 17})
    inputs = {"function": f"{HERE}.{function}", "args": args}
    (change,) = ACTION.plan(inputs, work.clients)
    return ACTION.apply(change, inputs, work), work


def test_a_function_is_called_with_its_context_and_arguments() -> None:
    """Event, run id, attempt and log; its result is stored with the run."""
    result, work = call("example_functions:good", number=17, table="x")
    assert result["outputs"] == {
        "number": 17,
        "rest": {"table": "x"},
        "attempt": 1,
        "run": work.run_id,
        "pr": 17,
    }
    assert work.lines == ["dropping 17", "second line"]


def test_a_function_in_a_class_can_be_named() -> None:
    """`module:Class.function`."""
    assert call("example_functions:Group.inner")[0]["outputs"] == {"result": "inner"}


def test_an_exception_is_the_reason_and_its_traceback_is_in_the_log() -> None:
    """So that the function's author finds the line."""
    work = ImmediateWork(nothing(), event={"n": 17})
    with pytest.raises(ActionFailed, match="raised KeyError: 'database'"):
        call("example_functions:raising", work)
    assert any("example_functions.py" in line for line in work.lines)


def test_a_function_cannot_end_the_server() -> None:
    """SystemExit is a failure like any other."""
    with pytest.raises(ActionFailed, match="SystemExit"):
        call("example_functions:leaving")


@pytest.mark.parametrize("name", ["not_json", "infinite", "huge"])
def test_a_result_that_cannot_be_stored_is_a_failure(name: str) -> None:
    """It must be JSON of a reasonable size, or the run could not be replayed."""
    with pytest.raises(ActionFailed, match="JSON"):
        call(f"example_functions:{name}")


def test_wrong_arguments_are_reported() -> None:
    """With Python's own message."""
    with pytest.raises(ActionFailed, match="number"):
        call("example_functions:good")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("nothing:f", "there is no module tests.unit.actions.general.nothing"),
        ("example_functions:nothing", "has no function nothing"),
        ("example_functions:not_a_function", "is not a function"),
        ("example_broken:f", "cannot be imported: RuntimeError: settings are missing"),
        ("example_needing:f", "needs the module a_module_that_nobody_has"),
        ("example_functions.good", "pkg.module:name"),
        ("example_functions:", "pkg.module:name"),
    ],
)
def test_a_function_that_cannot_be_found_fails_the_plan_with_the_reason(function: str, words: str) -> None:
    """Before anything runs; each kind of mistake has its own message."""
    with pytest.raises(InputError, match=words.replace(".", r"\.")):
        ACTION.plan({"function": f"{HERE}.{function}", "args": {}}, nothing())


def test_a_call_over_its_time_limit_fails_and_is_reported_as_still_running() -> None:
    """A thread cannot be killed: the step ends, the call does not, and closeout says so. The server can still stop."""
    written: list[str] = []

    class Hurried(ImmediateWork):
        def remaining(self) -> float:
            return 0.05

        def log(self, text: str) -> None:
            written.append(text)

    example_functions.go.clear()
    work = Hurried(nothing(), execution="z" * 26 + "-1", event={"n": 1})
    with pytest.raises(ActionFailed, match="still runs"):
        call("example_functions:slow", work)
    assert still_running("z" * 26 + "-1")
    assert not still_running("y" * 26 + "-1")
    assert anything_running()
    assert {each.daemon for each in threading.enumerate() if each.name == "closeout-python-teardown"} == {
        True
    }
    example_functions.go.set()
    deadline = time.monotonic() + 30
    while still_running("z" * 26 + "-1") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not still_running("z" * 26 + "-1")
    assert written == []
    assert not [key for key in python._running if key.startswith("z" * 26)], "it is not kept for ever"


def test_a_call_is_waited_for() -> None:
    """As long as time remains."""
    example_functions.go.clear()
    timer = threading.Timer(0.02, example_functions.go.set)
    timer.start()
    _, work = call("example_functions:slow")
    assert work.lines == ["too late"]
    assert not still_running(work.execution)


def test_a_crash_in_the_middle_raises_the_attempt() -> None:
    """The function learns that it may have been called before."""
    kept: dict[str, Any] = {}
    work = ImmediateWork(nothing(), event={"n": 1}, operations=kept, crash=lambda name: name == "run-1")
    with pytest.raises(Crashed):
        call("example_functions:good", work, number=1)
    result, _ = call(
        "example_functions:good", ImmediateWork(nothing(), event={"n": 1}, operations=kept), number=1
    )
    assert result["outputs"]["attempt"] == 2


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        ({"function": "a.b:c", "args": {"x": 1}}, None),
        ({"function": "a.b"}, "pkg.module:name"),
        ({"function": "a:b", "args": [1]}, "map"),
        ({"function": "a:b", "args": {"not a name": 1}}, "name of an argument"),
    ],
)
def test_mistakes_are_found_at_load(inputs: Any, word: str | None) -> None:
    """The form of the name and the arguments; the plan finds out whether the function exists."""
    assert ACTION.check is not None
    problems = ACTION.check(inputs)
    assert (problems == []) if word is None else (word in problems[0])


def test_the_plan_is_the_call() -> None:
    """Function and arguments."""
    inputs = {"function": f"{HERE}.example_functions:good", "args": {"number": 17}}
    (change,) = ACTION.plan(inputs, nothing())
    assert (change.verb, change.resource, change.reason) == ("call", inputs["function"], "with number=17")
    assert ACTION.verify((change,), nothing()) == ()
    assert ACTION.permissions({}) == ()
