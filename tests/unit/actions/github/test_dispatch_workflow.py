"""`github/dispatch-workflow`: dispatched once, awaited, linked, and green only if the workflow was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from closeout.actions.github.dispatch_workflow import _MAX_INPUTS, _PAGES, ACTION, SETTLE, Dispatch
from closeout.actions.github.dispatch_workflow import _OLDER as OLDER
from closeout.core.errors import ActionFailed, CloseoutError, RunCancelled, ServiceError
from closeout.testing.github import FakeGitHub
from tests.unit.actions.github.conftest import GitHubOnly
from tests.work import Crashed, ImmediateWork

INPUTS = {
    "repository": "acme/infrastructure",
    "workflow": "teardown.yml",
    "ref": "main",
    "inputs": {"preview": "shop-17"},
    "wait": True,
}
TRACED = INPUTS | {"trace-input": "closeout_run"}
INTENDED = 1_700_000_000.0


class Clock:
    """A clock that a test advances; real enough for the fake's timestamps."""

    def __init__(self) -> None:
        import time

        self.time = time.time()

    def __call__(self) -> float:
        """Return the time."""
        return self.time


@pytest.fixture
def infrastructure(github: FakeGitHub) -> FakeGitHub:
    """Return the fake with a workflow that takes a preview and a trace, which it shows in its run name."""
    github.world.add_workflow(
        "acme/infrastructure",
        "teardown.yml",
        inputs=["preview", "closeout_run"],
        run_name="teardown {preview} {closeout_run}",
    )
    return github


def plain(github: FakeGitHub, **behaviour: Any) -> None:
    """Add a workflow without a trace."""
    github.world.add_workflow("acme/infrastructure", "teardown.yml", inputs=["preview"], **behaviour)


def dispatch(
    clients: GitHubOnly, inputs: Any = INPUTS, action: Dispatch | None = None, **options: Any
) -> tuple[Any, ImmediateWork]:
    """Plan and apply; return the result and the work."""
    action = action or Dispatch()
    (change,) = action.plan(inputs, clients)
    work = ImmediateWork(clients, **options)
    return action.apply(change, inputs, work), work


class Listening(ImmediateWork):
    """Records how long each failed attempt to dispatch asks to wait."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.heard: list[float | None] = []

    def change(self, name: str, call: Any, on_interrupted: Any = None, *, look: Any = None) -> Any:
        """Run it, and record."""

        def listened() -> Any:
            try:
                return call()
            except ServiceError as error:
                self.heard.append(error.retry_after)
                raise

        return super().change(name, listened)


def runs(github: FakeGitHub) -> list[Any]:
    """Return the workflow runs there are."""
    return list(github.world.repository("acme/infrastructure").runs.values())


def test_a_workflow_is_dispatched_and_awaited(github: FakeGitHub, clients: GitHubOnly) -> None:
    """With its inputs, at its ref; the summary links to the run."""
    plain(github, polls=3)
    result, work = dispatch(clients)
    (run,) = runs(github)
    assert run["inputs"] == {"preview": "shop-17"}
    assert run["html_url"] in result["summary"]
    assert result["conclusion"] == "success"
    assert work.changes == ["dispatch"]
    assert work.lines[0].startswith("dispatching ")
    assert work.lines[1] == f"dispatched: {run['html_url']}"
    assert work.lines[-1] == f"the workflow run ended as success: {run['html_url']}"


@pytest.mark.parametrize(
    "conclusion", ["failure", "cancelled", "timed_out", "skipped", "neutral", "action_required"]
)
def test_only_success_is_success(github: FakeGitHub, clients: GitHubOnly, conclusion: str) -> None:
    """Any other conclusion fails the step, and the message links to the run."""
    plain(github, conclusion=conclusion)
    with pytest.raises(ActionFailed, match=f"ended as {conclusion}: https://.*/actions/runs/"):
        dispatch(clients)


def test_waiting_can_be_turned_off(github: FakeGitHub, clients: GitHubOnly) -> None:
    """`wait: false` ends with the dispatch."""
    plain(github, conclusion=None)
    result, _ = dispatch(clients, INPUTS | {"wait": False})
    assert runs(github)[0]["html_url"] in result["summary"]


def test_a_server_that_returns_no_run_cannot_be_awaited(github: FakeGitHub, clients: GitHubOnly) -> None:
    """An older GHES answers 204: failing is better than guessing which run it was."""
    plain(github, details=False)
    with pytest.raises(ActionFailed, match="trace-input"):
        dispatch(clients)
    result, _ = dispatch(clients, INPUTS | {"wait": False})
    assert result["run"] is None


@pytest.mark.parametrize("broken", ["repository", "workflow", "ref"])
def test_a_missing_workflow_or_ref_fails_at_once(
    github: FakeGitHub, clients: GitHubOnly, broken: str
) -> None:
    """GitHub's 404 and 422 are permanent."""
    plain(github)
    wrong = {"repository": "acme/nothing", "workflow": "nothing.yml", "ref": "nothing"}
    with pytest.raises(CloseoutError, match=r"404|No ref"):
        dispatch(clients, INPUTS | {broken: wrong[broken]})
    assert len(github.requests()) == 1


def test_a_crash_after_the_dispatch_does_not_dispatch_twice(
    infrastructure: FakeGitHub, clients: GitHubOnly
) -> None:
    """The run's name contains this execution's token: the repetition finds the run and awaits it."""
    kept: dict[str, Any] = {}
    with pytest.raises(Crashed):
        dispatch(clients, TRACED, operations=kept, crash=lambda name: name == "dispatch")
    result, work = dispatch(clients, TRACED, operations=kept)
    (run,) = runs(infrastructure)
    assert result["run"] == run["id"]
    assert "found the run" in work.lines[0]


def test_a_lost_answer_does_not_dispatch_twice(infrastructure: FakeGitHub, clients: GitHubOnly) -> None:
    """GitHub started it before the connection broke: the next attempt looks for it first."""
    infrastructure.faults.add("drop", method="POST", path=r".*/dispatches", after=True)
    dispatch(clients, TRACED)
    assert len(runs(infrastructure)) == 1


def test_a_lost_answer_waits_until_the_list_has_caught_up(
    infrastructure: FakeGitHub, clients: GitHubOnly
) -> None:
    """GitHub's list of runs is seconds late."""
    infrastructure.faults.add("status", status=502, method="POST", path=r".*/dispatches", after=True)
    (change,) = ACTION.plan(TRACED, clients)
    work = Listening(clients)
    Dispatch().apply(change, TRACED, work)
    assert work.heard[0] == SETTLE


def test_after_a_crash_a_missing_trace_counts_only_after_the_lag(
    infrastructure: FakeGitHub, clients: GitHubOnly
) -> None:
    """A new process waits out the lag of GitHub's list before it concludes that nothing was dispatched."""
    kept: dict[str, Any] = {}
    clock = Clock()
    with pytest.raises(Crashed):
        dispatch(clients, TRACED, operations=kept, crash=lambda name: name == "intent")
    kept["intent"] = {"value": {"at": clock.time, "token": "closeout-" + "a" * 26 + "-1-teardown"}}
    reborn = Dispatch(clock)
    waits: list[int] = []

    def pause(_seconds: float) -> None:
        waits.append(len(runs(infrastructure)))
        clock.time += 5.0

    work = Listening(clients, operations=kept, pause=pause)
    (change,) = reborn.plan(TRACED, clients)
    reborn.apply(change, TRACED, work)
    assert waits[:3] == [0, 0, 0]
    assert work.heard == [SETTLE, SETTLE - 5.0, SETTLE - 10.0]
    assert len(runs(infrastructure)) == 1


def test_the_trace_of_another_run_does_not_match(infrastructure: FakeGitHub, clients: GitHubOnly) -> None:
    """Attempt 1 is not attempt 12, step `teardown` not `teardown-2`, and another run's trace is never ours."""
    for execution, step in (
        ("a" * 26 + "-12", "teardown"),
        ("a" * 26 + "-1", "teardown-2"),
        ("b" * 26 + "-1", "teardown"),
    ):
        dispatch(clients, TRACED, execution=execution, step=step)
    kept: dict[str, Any] = {}
    with pytest.raises(Crashed):
        dispatch(clients, TRACED, operations=kept, crash=lambda name: name == "intent")
    clock = Clock()
    reborn = Dispatch(clock)
    clock.time += SETTLE
    dispatch(clients, TRACED, reborn, operations=kept | _intent())
    assert len(runs(infrastructure)) == 4


def _intent() -> dict[str, Any]:
    """Return the intent of the first attempt, recorded a while ago."""
    return {"intent": {"value": {"at": INTENDED, "token": "closeout-" + "a" * 26 + "-1-teardown"}}}


def test_without_a_trace_an_interrupted_dispatch_is_repeated_and_logged(
    github: FakeGitHub, clients: GitHubOnly
) -> None:
    """At least once: two runs, and a line in the log."""
    plain(github)
    kept: dict[str, Any] = {}
    with pytest.raises(Crashed):
        dispatch(clients, operations=kept, crash=lambda name: name == "dispatch")
    _, work = dispatch(clients, operations=kept)
    assert len(runs(github)) == 2
    assert "may have dispatched" in work.lines[0]


def test_a_rerun_dispatches_again(infrastructure: FakeGitHub, clients: GitHubOnly) -> None:
    """The next attempt has its own token."""
    dispatch(clients, TRACED)
    dispatch(clients, TRACED, execution="a" * 26 + "-2")
    assert len(runs(infrastructure)) == 2


@pytest.mark.parametrize("kind", ["cancelled", "reopened"])
def test_cancelling_cancels_the_workflow_run_too(github: FakeGitHub, clients: GitHubOnly, kind: str) -> None:
    """The cancel itself continues unchanged."""
    plain(github, conclusion=None)
    looks: list[int] = []

    class Cancelling(ImmediateWork):
        def wait_until(self, name: str, poll: Any, every: Any = None) -> Any:
            looks.append(1)
            raise RunCancelled(name, kind, "enough")

    (change,) = ACTION.plan(INPUTS, clients)
    work = Cancelling(clients)
    with pytest.raises(RunCancelled):
        Dispatch().apply(change, INPUTS, work)
    assert runs(github)[0]["conclusion"] == "cancelled"
    assert work.lines[-1] == "the workflow run was cancelled"
    assert work.operations["cancel"] == {"value": {"cancelled": True}}


def test_a_cancel_that_github_refuses_is_only_logged(github: FakeGitHub, clients: GitHubOnly) -> None:
    """The run may have ended in the meantime, which changes nothing for the cancelled step."""
    plain(github, conclusion=None)

    class Cancelling(ImmediateWork):
        def wait_until(self, name: str, poll: Any, every: Any = None) -> Any:
            github.world.end_run(
                github.world.repository("acme/infrastructure"), runs(github)[0]["id"], "success"
            )
            raise RunCancelled(name, "cancelled", "enough")

    (change,) = ACTION.plan(INPUTS, clients)
    work = Cancelling(clients)
    with pytest.raises(RunCancelled):
        Dispatch().apply(change, INPUTS, work)
    assert "could not be cancelled" in work.lines[-1]
    assert work.operations["cancel"] == {"value": {"cancelled": False}}


def test_a_run_over_the_time_limit_is_linked(github: FakeGitHub, clients: GitHubOnly) -> None:
    """It continues, and the failure leads to it."""
    plain(github, conclusion=None)
    with pytest.raises(ActionFailed, match="still running: https://"):
        dispatch(clients, polls=3)


def test_an_outage_while_waiting_is_waited_out(github: FakeGitHub, clients: GitHubOnly) -> None:
    """Server errors mean "not yet"."""
    plain(github)
    github.faults.add("status", status=503, path=r".*/actions/runs/\d+", times=2)
    github.faults.add("half", path=r".*/actions/runs/\d+")
    result, _ = dispatch(clients)
    assert result["conclusion"] == "success"


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        (INPUTS, None),
        (TRACED, None),
        (INPUTS | {"inputs": {f"i{n}": "x" for n in range(25)}}, None),
        (INPUTS | {"inputs": {f"i{n}": "x" for n in range(26)}}, "25"),
        (TRACED | {"inputs": {f"i{n}": "x" for n in range(25)}}, "25"),
        (TRACED | {"inputs": {"closeout_run": "x"}}, "leave it out"),
    ],
)
def test_invalid_inputs_are_found_at_load(inputs: Any, word: str | None) -> None:
    """At most 25 inputs including the trace, which only closeout may set."""
    assert ACTION.check is not None
    problems = ACTION.check(inputs)
    assert (problems == []) if word is None else (word in problems[0])


def test_the_plan_says_what_is_dispatched_where(clients: GitHubOnly) -> None:
    """Repository, workflow, ref, and the inputs."""
    (change,) = ACTION.plan(INPUTS, clients)
    assert (change.verb, change.resource) == ("dispatch", "acme/infrastructure teardown.yml@main")
    assert "preview=shop-17" in change.reason
    assert ACTION.verify((change,), clients) == ()
    (permission,) = ACTION.permissions(INPUTS)
    assert (permission.actions, permission.resources) == (("actions:write",), ("acme/infrastructure",))


class Pages:
    """A GitHub whose list of workflow runs has these pages."""

    def __init__(self, *pages: list[dict[str, Any]]) -> None:
        self.pages = pages
        self.asked: list[str] = []

    def request(self, method: str, path: str, *, query: Any = None, body: Any = None) -> Any:
        """Answer the list, and a dispatch with another run than ours."""
        if method == "POST":
            return {"workflow_run_id": 8, "html_url": "https://github.test/8"}
        assert path.endswith("/teardown.yml/runs"), (path, body)
        self.asked.append(query["page"])
        return {"workflow_runs": self.pages[int(query["page"]) - 1]}


def others(age: float) -> list[dict[str, Any]]:
    """Return a full page of others' runs, newest first, the oldest begun `age` seconds before our intent."""
    ages = [0.0] * 99 + [age]
    made = [datetime.fromtimestamp(INTENDED - each, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for each in ages]
    return [{"id": 100 + n, "display_title": "x", "created_at": at} for n, at in enumerate(made)]


def run_after(pages: Pages) -> Any:
    """Return the run after a dispatch that was cut off: 7 is the first one's, 8 that of a second dispatch."""
    clients: Any = GitHubOnly(pages)  # type: ignore[arg-type]
    clock = Clock()
    reborn = Dispatch(clock)
    clock.time += SETTLE
    return dispatch(clients, TRACED | {"wait": False}, reborn, operations=_intent())[0]["run"]


OURS = {"id": 7, "display_title": "teardown closeout-" + "a" * 26 + "-1-teardown"}


@pytest.mark.parametrize("full", [0, 1, _PAGES - 1])
def test_our_run_is_found_after_full_pages_of_others(full: int) -> None:
    """A page of exactly a hundred is not the last one, and clocks may differ a little."""
    pages = Pages(*[others(OLDER)] * full, [OURS])
    assert run_after(pages) == 7
    assert pages.asked == [str(page) for page in range(1, full + 2)]


@pytest.mark.parametrize(
    ("pages", "asked"),
    [
        (Pages(others(OLDER + 1), [OURS]), 1),
        (Pages(*[others(OLDER)] * _PAGES, [OURS]), _PAGES),
        (Pages(others(OLDER)[:99], [OURS]), 1),
    ],
    ids=["older than the dispatch", "more than GitHub lists", "the last page"],
)
def test_the_search_for_our_run_is_limited(pages: Pages, asked: int) -> None:
    """Pages that are too old for it are not requested."""
    assert run_after(pages) == 8
    assert len(pages.asked) == asked


@pytest.mark.parametrize("count", [_MAX_INPUTS - 1, _MAX_INPUTS])
def test_the_most_inputs_are_sent_with_the_trace(github: FakeGitHub, clients: GitHubOnly, count: int) -> None:
    """GitHub's error about more would not name the limit."""
    given = {f"i{number}": "x" for number in range(count)}
    github.world.add_workflow(
        "acme/infrastructure", "teardown.yml", inputs=[*given, "closeout_run"], run_name="{closeout_run}"
    )
    inputs = TRACED | {"inputs": given, "wait": False}
    if count < _MAX_INPUTS:
        assert dispatch(clients, inputs)[0]["run"] is not None
    else:
        with pytest.raises(
            CloseoutError, match=f"{count + 1} inputs, but GitHub accepts at most {_MAX_INPUTS}"
        ):
            dispatch(clients, inputs)
