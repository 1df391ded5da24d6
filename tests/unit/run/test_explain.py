"""Explanations: what an event would lead to, by the same rules as a run's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from closeout.core.errors import ServiceError
from closeout.run.explain import FAIL, NOTHING, RUN, SKIP, UNKNOWN, explain
from closeout.testing import deliveries
from tests.unit.run.world import AUTOMATION, pull_payload, step, unreachable

BY_PATHS = replace(
    AUTOMATION,
    triggers=({"event": "pull_request", "types": ["closed"], "branches": ["develop"], "paths": ["src/**"]},),
)


def outcome(automation: Any, event: str, payload: Any, paths: Any = None) -> tuple[str, str]:
    """Return the outcome of one automation, and why."""
    (row,) = explain([automation], event, payload, paths)
    assert row["name"] == automation.name
    assert row["matched"] is (row["outcome"] == RUN)
    return row["outcome"], row["reason"]


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        (None, RUN),
        ("event.pull_request.number == 17", RUN),
        ("event.pull_request.number == 18", SKIP),
        ("event.pull_request.nope == 17", FAIL),
    ],
)
def test_a_condition_decides_and_a_missing_one_is_true(condition: str | None, outcome: str) -> None:
    """False skips the run, and a condition that cannot be evaluated fails it."""
    (row,) = explain([replace(AUTOMATION, condition=condition)], "pull_request", pull_payload())
    assert (row["outcome"], row["matched"]) == (outcome, outcome == RUN)


def test_an_event_that_matches_no_trigger_starts_no_run() -> None:
    """With the reason."""
    assert outcome(AUTOMATION, "pull_request", pull_payload(base={"ref": "main"}))[0] == NOTHING
    assert outcome(AUTOMATION, "push", deliveries.push())[0] == NOTHING


def test_the_paths_of_a_pull_request_are_read_if_possible() -> None:
    """Without a client they are undecided, and the explanation says so."""
    asked: list[tuple[str, int]] = []

    def paths(*found: str) -> Any:
        def read(repository: str, number: int) -> tuple[str, ...]:
            asked.append((repository, number))
            return found

        return read

    payload = deliveries.pull_request()
    assert outcome(BY_PATHS, "pull_request", payload, paths("src/a.py"))[0] == RUN
    assert outcome(BY_PATHS, "pull_request", payload, paths("docs/a.md"))[0] == SKIP
    assert asked == [("acme/shop", 17)] * 2
    undecided = outcome(BY_PATHS, "pull_request", payload)
    assert undecided[0] == RUN
    assert "only GitHub knows its paths, and closeout did not ask" in undecided[1]
    assert "paths" not in outcome(AUTOMATION, "pull_request", payload)[1]


def test_paths_of_a_repository_without_a_name_cannot_be_read() -> None:
    """The run would fail with the same message."""
    payload = deliveries.pull_request()
    del payload["repository"]
    anywhere = replace(BY_PATHS, repositories=())
    ended, why = outcome(anywhere, "pull_request", payload, lambda *_: ("src/a.py",))
    assert ended == FAIL
    assert why == "the payload lacks the pull request's repository or number, so its paths are unknown"


def test_an_unanswered_question_to_github_is_unknown() -> None:
    """Neither a run nor none, and the error has a code."""

    def silent(_repository: str, _number: int) -> Any:
        raise unreachable()

    (row,) = explain([BY_PATHS], "pull_request", deliveries.pull_request(), silent)
    assert (row["outcome"], row["matched"], row["code"]) == (UNKNOWN, False, ServiceError.code)


def test_names_that_an_outsider_chose_start_nothing() -> None:
    """A fork's branch, if a step uses it in a name; and GitHub's own branches of a merge queue."""
    lets_in = replace(AUTOMATION, steps=(step(allow_untrusted=True),))
    fork = pull_payload(head={"ref": "x", "sha": "a" * 40, "repo": {"id": 2}})
    assert outcome(lets_in, "pull_request", fork)[0] == SKIP
    assert outcome(AUTOMATION, "pull_request", fork)[0] == RUN
    assert outcome(lets_in, "pull_request", pull_payload())[0] == RUN
    deleted = replace(AUTOMATION, triggers=({"event": "delete"},))
    assert outcome(deleted, "delete", deliveries.delete("gh-readonly-queue/main/pr-5"))[0] == SKIP
    assert outcome(deleted, "delete", deliveries.delete("feature"))[0] == RUN
