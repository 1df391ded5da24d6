"""A payload that does not say when the pull request was closed: GitHub is asked before anything is done."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.core.closing import Closing
from closeout.core.errors import ServiceError
from tests.unit.run.world import Scene, pull_payload, unreachable

PATH = "/repos/acme/shop/pulls/17"
AT = "2026-03-14T09:26:53Z"
ME = "r" * 26
OF_CLOSING = Closing(1, 1700, AT).run_id("preview-cleanup")


def scene(answer: Any = None, **pull: Any) -> Scene:
    """A run whose payload says `closed` with `state: open` and no time of it; GitHub answers with a closed one."""
    found = Scene(payload=pull_payload(state="open", closed_at=None))
    shown = {**pull_payload()["pull_request"], "state": "closed", **pull}
    found.world.answers[PATH] = shown if answer is None else answer
    return found


def test_the_run_takes_the_closing_that_github_tells_of() -> None:
    """No other delivery of it starts a run any more."""
    run = scene()
    assert run.play().verdict == "success"
    assert run.world.owners == {OF_CLOSING: ME}
    assert run.world.log[0] == f"GET {PATH}", "asked before anything else is done"
    assert run.world.resources == set()
    told = f"the payload does not say when the pull request was closed; GitHub says {AT}"
    assert told in run.world.lines


def test_a_closing_that_another_run_has_is_left_to_that_run() -> None:
    """It ends as skipped, names the other one, and posts nothing."""
    run = scene()
    run.world.owners[OF_CLOSING] = "o" * 26
    ending = run.play()
    assert (ending.verdict, ending.summary) == ("skipped", f"run {'o' * 26} acts on this closing")
    assert run.world.log == [f"GET {PATH}"]


def test_a_pull_request_that_is_open_is_asked_about_for_a_minute() -> None:
    """GitHub's API may lag behind its webhooks; after that it was opened again, and nothing is deleted."""
    run = scene(state="open", closed_at=None)
    ending = run.play()
    assert (ending.verdict, run.world.owners) == ("cancelled", {})
    assert run.world.resources == {"preview-17", "preview-17/bucket"}
    assert 2 < run.world.log.count(f"GET {PATH}") < 12
    assert run.world.statuses == [("success", "acme/shop#17 is open; nothing was deleted")]


def test_one_that_is_closed_a_moment_later_is_torn_down() -> None:
    """The answer that was late counts."""
    run = scene(state="open", closed_at=None)

    def closes(call: str) -> None:
        if run.world.log.count(call) == 2:
            run.world.answers[PATH] = scene().world.answers[PATH]

    run.world.before = closes
    assert run.play().verdict == "success"
    assert run.world.owners == {OF_CLOSING: ME}


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"id": 1700, "number": 17, "state": "closed"},
        {**pull_payload()["pull_request"], "state": "closed", "closed_at": None},
        {**pull_payload()["pull_request"], "state": "closed", "id": 5},
    ],
)
def test_half_an_answer_or_another_pull_request_deletes_nothing(answer: Any) -> None:
    """No answer is read as "closed" unless it is the whole pull request."""
    run = scene(answer)
    assert run.play().verdict == "failure"
    assert (run.world.owners, run.world.resources) == ({}, {"preview-17", "preview-17/bucket"})


@pytest.mark.parametrize("error", [unreachable(), ServiceError("gone", service="github", operation="x", reason="404", http_status=404)])  # fmt: skip
def test_github_that_cannot_be_asked_is_no_answer(error: ServiceError) -> None:
    """An outage is waited for; a 404 is a failure, never "closed"."""
    run = scene()
    run.world.faults[f"GET {PATH}"] = [error]
    verdict = run.play().verdict
    assert verdict == ("success" if error.transient else "failure")
    assert bool(run.world.resources) is not error.transient


def test_a_payload_that_names_its_closing_asks_nothing() -> None:
    """Nor does an event that is none, or a server without a token."""
    for run in (Scene(), Scene(payload={**pull_payload(closed_at=None), "action": "edited"})):
        run.play()
        assert f"GET {PATH}" not in run.world.log
    unarmed = scene()
    unarmed.has_token = False
    unarmed.play()
    assert f"GET {PATH}" not in unarmed.world.log
