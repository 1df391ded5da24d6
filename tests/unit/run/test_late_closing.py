"""A payload that does not say when the pull request was closed: GitHub is asked first."""

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


def test_the_run_claims_the_closing_that_github_reports() -> None:
    """No other delivery of it starts a run any more."""
    run = scene()
    assert run.play().verdict == "success"
    assert run.world.owners == {OF_CLOSING: ME}
    assert run.world.log[0] == f"GET {PATH}", "asked before anything else is done"
    assert run.world.resources == set()
    told = f"the payload does not say when the pull request was closed; GitHub says {AT}"
    assert told in run.world.lines


def test_a_closing_that_belongs_to_another_run_is_left_to_that_run() -> None:
    """The run ends as skipped, names the other one, and posts nothing."""
    run = scene()
    run.world.owners[OF_CLOSING] = "o" * 26
    ending = run.play()
    assert (ending.verdict, ending.summary) == ("skipped", f"run {'o' * 26} acts on this closing")
    assert run.world.log == [f"GET {PATH}"]


def test_an_open_pull_request_is_read_again_for_a_minute() -> None:
    """GitHub's API may lag behind its webhooks; after that it counts as reopened, and nothing is deleted."""
    run = scene(state="open", closed_at=None)
    ending = run.play()
    assert (ending.verdict, run.world.owners) == ("cancelled", {})
    assert run.world.resources == {"preview-17", "preview-17/bucket"}
    assert 2 < run.world.log.count(f"GET {PATH}") < 12
    assert run.world.statuses == [("success", "acme/shop#17 is open; nothing was deleted")]


def test_a_pull_request_that_is_closed_a_moment_later_is_torn_down() -> None:
    """The late answer counts."""
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
def test_an_incomplete_or_other_pull_request_deletes_nothing(answer: Any) -> None:
    """Only a complete answer about this pull request means "closed"."""
    run = scene(answer)
    assert run.play().verdict == "failure"
    assert (run.world.owners, run.world.resources) == ({}, {"preview-17", "preview-17/bucket"})


@pytest.mark.parametrize("error", [unreachable(), ServiceError("gone", service="github", operation="x", reason="404", http_status=404)])  # fmt: skip
def test_an_outage_of_github_is_waited_for_and_a_404_is_a_failure(error: ServiceError) -> None:
    """Neither ever means "closed"."""
    run = scene()
    run.world.faults[f"GET {PATH}"] = [error]
    verdict = run.play().verdict
    assert verdict == ("success" if error.transient else "failure")
    assert bool(run.world.resources) is not error.transient


def test_a_payload_that_names_its_closing_asks_nothing() -> None:
    """Nor does another event, or a server without a token."""
    for run in (Scene(), Scene(payload={**pull_payload(closed_at=None), "action": "edited"})):
        run.play()
        assert f"GET {PATH}" not in run.world.log
    unarmed = scene()
    unarmed.has_token = False
    unarmed.play()
    assert f"GET {PATH}" not in unarmed.world.log
