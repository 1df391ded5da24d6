"""If another system ends the process after a while, no call exceeds that: it would be killed, and repeated."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from closeout.actions.general import python, shell
from closeout.actions.spec import Limit
from tests.unit.actions.general import example_functions
from tests.unit.run.world import DELETE, Scene, step

SHORT = Limit(0.4, "Lambda ends a call after 15 minutes")


def scene(uses: str, inputs: dict[str, object], *, timeout: float, longest: Limit | None) -> Scene:
    """One step of the user's own code, with the time that it may take."""
    own = step(
        id="own", uses=uses, inputs=inputs, destructive=False, retry_attempts=1, timeout=timeout, account=None
    )
    actions = {"test/delete": DELETE, "shell": shell.ACTION, "python": python.ACTION}
    made = Scene(actions=actions, longest_call=longest)
    return made.with_automation(steps=(replace(own, region=None),))


def test_a_script_with_an_hour_is_stopped_when_a_call_may_not_take_as_long(tmp_path: Path) -> None:
    """As at its own time limit: once, with its last output, and with the reason for the shorter time."""
    script = f"echo begun >> {tmp_path}/begun; echo halfway; sleep 60"
    one = scene("shell", {"run": script}, timeout=3600.0, longest=SHORT)
    ending = one.play()
    assert ending.verdict == "failure"
    why = "own: stopped: it did not end within 0 s (Lambda ends a call after 15 minutes): halfway"
    assert ending.summary == why
    assert (tmp_path / "begun").read_text() == "begun\n"


def test_a_function_is_given_up_at_the_same_limit() -> None:
    """A thread cannot be stopped, and the message says so."""
    example_functions.go.clear()
    inputs: dict[str, object] = {"function": "tests.unit.actions.general.example_functions:slow"}
    one = scene("python", inputs, timeout=900.0, longest=SHORT)
    threading.Timer(1.0, example_functions.go.set).start()
    ending = one.play()
    assert (
        "did not return within 0 s (Lambda ends a call after 15 minutes); a call cannot be" in ending.summary
    )


@pytest.mark.parametrize("longest", [None, Limit(840.0, "Lambda")])
def test_a_steps_own_shorter_limit_is_reported_as_its_own(longest: Limit | None) -> None:
    """The other system's limit is not mentioned then."""
    one = scene("shell", {"run": "sleep 60"}, timeout=0.5, longest=longest)
    assert one.play().summary == "own: stopped: it did not end within 0 s"
