"""A run that deletes nothing differs from one that deleted: its status, `expect: present`, and `environment`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from closeout.actions.registry import builtin
from closeout.adapters.github import GitHubClient
from closeout.core.errors import PayloadRefused, ServiceError
from closeout.core.plan import Change
from closeout.run import found
from closeout.testing.github import FakeGitHub
from tests.unit.adapters.conftest import client, github  # noqa: F401 - fixtures
from tests.unit.run.world import DELETE, Scene, World, step, unreachable

ABSENT = "there is no thing preview-17 in 123456789012/eu-central-1"
LIST = "/repos/acme/shop/deployments"
ENVIRONMENT = "preview-${{ event.pull_request.number }}"


def empty(**changes: Any) -> Scene:
    """A run that finds nothing, of an automation with these changes."""
    return Scene(world=World(resources=set())).with_automation(**changes)


def deployed(scene: Scene, *states: str) -> Scene:
    """GitHub has one deployment in `preview-17`, with these statuses, the newest first."""
    scene.world.answers |= {
        LIST: [{"id": 5, "environment": "preview-17"}],
        f"{LIST}/5/statuses": [{"state": state} for state in states],
    }
    return scene


# --- the status -------------------------------------------------------------------------------------------


def test_one_step_that_found_something_is_enough() -> None:
    """The message is about the whole run."""
    scene = Scene(world=World(resources={"preview-17"}))
    scene.with_automation(steps=(step(), step("other-17", id="delete-2")))
    assert scene.play().summary.startswith("2/2 steps: deleted preview-17; there is no thing other-17")


def test_a_script_in_the_run_may_have_deleted_something() -> None:
    """What user code found is unknown, so the run does not say that nothing existed."""
    scene = empty(steps=(step(), step(id="run", uses="shell", inputs={"run": "true"}, account=None)))
    shell = replace(builtin()["shell"], plan=lambda _inputs, _clients: ())
    scene.actions["shell"] = shell
    assert scene.play().summary.startswith("2/2 steps: ")


def test_steps_that_searched_for_nothing_do_not_count() -> None:
    """Skipped steps and ones that only write: the run is empty, and its status says what was written."""
    note = replace(
        DELETE,
        uses="test/note",
        destructive="never",
        plan=lambda _inputs, _clients: (Change(verb="post", resource="a note", reason="test"),),
        apply=lambda _change, _inputs, _work: {"summary": "noted"},
        verify=lambda _changes, _clients: (),
        absent=None,
    )
    skipped = step(id="delete-2", condition="false")
    scene = empty(steps=(step(), skipped, step(id="note", uses="test/note", destructive=False, account=None)))
    scene.actions["test/note"] = note
    assert scene.play().summary == f"nothing was there: {ABSENT}; noted"


def test_a_first_attempt_does_not_read_earlier_ones() -> None:
    """Nobody is asked."""
    scene = empty()
    scene.deleted_before = lambda _run_id, _attempt, _closings: True
    assert scene.play().summary == f"nothing was there: {ABSENT}"


def test_a_further_attempt_says_what_an_earlier_one_deleted() -> None:
    """Otherwise a reader would take the name for a wrong one."""
    scene = empty()
    scene.attempt, scene.deleted_before = 2, lambda _run_id, _attempt, closings: not closings
    assert scene.play().summary == f"already gone, an earlier attempt deleted it: {ABSENT}"
    scene = empty()
    scene.attempt = 2
    assert scene.play().summary == f"nothing was there: {ABSENT}"


def test_earlier_attempts_are_read_again_until_the_ledger_answers() -> None:
    """A failed read never means "nothing"."""
    answers = [unreachable("ledger"), None]

    def before(_run_id: str, _attempt: int, _closings: bool) -> bool:
        error = answers.pop(0)
        if error is not None:
            raise error
        return True

    scene = empty()
    scene.attempt, scene.deleted_before = 2, before
    assert scene.play().summary.startswith("already gone")


# --- expect: present --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["apply", "dry-run"])
def test_a_step_that_expects_something_fails_when_nothing_is_there(mode: str) -> None:
    """The status names the step and what to do, and the operation has a stable code."""
    scene = empty(steps=(step(expect="present"),), mode=mode)
    ending = scene.play()
    assert (ending.verdict, scene.world.statuses[-1][0]) == ("failure", "failure")
    assert ending.summary == (
        f"delete-1: {ABSENT}: nothing to delete, but the step has `expect: present`: correct the name that it makes"
    )
    assert scene.durable.result("delete-1/expect")["kind"] == "nothing-there"


def test_it_succeeds_when_something_is_there_or_an_earlier_attempt_deleted_it() -> None:
    """A further attempt after a half-finished one does not fail for what is rightly missing."""
    scene = Scene().with_automation(steps=(step(expect="present"),))
    assert scene.play().verdict == "success"
    scene = empty(steps=(step(expect="present"),))
    scene.attempt, scene.deleted_before = 2, lambda _run_id, _attempt, closings: not closings
    assert scene.play().verdict == "success"


# --- environment ------------------------------------------------------------------------------------------


def test_nothing_deleted_and_an_active_deployment_is_a_failure() -> None:
    """Something was deployed, so the names are wrong."""
    scene = deployed(empty(environment=ENVIRONMENT), "success", "in_progress")
    ending = scene.play()
    assert (ending.verdict, ending.summary) == (
        "failure",
        "nothing was there, but GitHub has an active deployment in preview-17: correct the names that the steps make",
    )
    assert scene.durable.result("environment")["kind"] == "nothing-there"


@pytest.mark.parametrize("states", [("inactive", "success"), ("failure",), ("in_progress",), ()])
def test_an_inactive_deployment_does_not_count(states: tuple[str, ...]) -> None:
    """GitHub calls a deployment active only if its latest status is `success`."""
    scene = deployed(empty(environment=ENVIRONMENT), *states)
    assert scene.play().summary == f"nothing was there: {ABSENT}"
    assert "GitHub has no active deployment in preview-17" in scene.world.lines
    assert scene.durable.result("environment") == {"environment": "preview-17"}


def test_a_deployment_deleted_for_an_earlier_closing_does_not_count() -> None:
    """Reopened and closed again without a deployment: GitHub still shows the old one as active."""
    scene = deployed(empty(environment=ENVIRONMENT), "success")
    scene.deleted_before = lambda _run_id, _attempt, closings: closings
    assert scene.play().verdict == "success"
    assert scene.durable.result("environment") == {"deleted_before": True}


@pytest.mark.parametrize("change", [{"mode": "dry-run"}, {"environment": None}])
def test_github_is_not_asked_without_need(change: dict[str, str | None]) -> None:
    """A dry run deletes nothing by design."""
    scene = deployed(empty(**{"environment": ENVIRONMENT, **change}), "success")
    assert scene.play().verdict == "success"
    assert not any("deployments" in call for call in scene.world.log)


def test_a_run_that_deleted_something_does_not_ask() -> None:
    """Its deployment stays active at GitHub until somebody says otherwise there."""
    scene = deployed(Scene().with_automation(environment=ENVIRONMENT), "success")
    assert scene.play().verdict == "success"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"message": "oops"}, "the answer is not a list"),
        ([{"id": 5, "environment": "preview-170"}], "the answer is not the list that was asked for"),
        ([{"id": "5", "environment": "preview-17"}], "the answer is not the list that was asked for"),
    ],
)
def test_an_unreadable_list_of_deployments_is_unknown(answer: object, says: str) -> None:
    """The run fails and says so."""
    scene = empty(environment=ENVIRONMENT)
    scene.world.answers[LIST] = answer
    ending = scene.play()
    assert ending.verdict == "failure"
    assert ending.summary.startswith(
        "nothing was there, and closeout cannot tell whether that is right: GitHub: GET"
    )
    assert ending.summary.endswith(says)


def test_github_is_asked_again_after_a_transient_error() -> None:
    """An outage of some minutes fails nothing."""
    scene = deployed(empty(environment=ENVIRONMENT), "inactive")
    scene.world.faults[f"GET {LIST}"] = [unreachable() for _ in range(5)]
    assert scene.play().verdict == "success"
    scene = deployed(empty(environment=ENVIRONMENT), "inactive")
    scene.world.faults[f"GET {LIST}"] = [
        ServiceError("403 the token needs deployments: read", service="github", operation="x", reason="403")
    ]
    assert scene.play().summary.endswith("403 the token needs deployments: read")


def test_a_cancel_while_github_does_not_answer_cancels_the_run() -> None:
    """The cancel is not mistaken for an unreadable answer."""
    scene = deployed(empty(environment=ENVIRONMENT), "inactive")
    scene.world.faults[f"GET {LIST}"] = [unreachable()]
    scene.world.before = lambda call: scene.durable.cancel() if call == f"GET {LIST}" else None
    assert scene.play().verdict == "cancelled"


def test_every_deployment_of_the_environment_counts(github: FakeGitHub, client: GitHubClient) -> None:  # noqa: F811
    """An older one may be the active one, on a later page too; those of other environments are not asked about."""
    repository = github.world.repository("acme/shop")
    of = [
        {"id": n, "environment": "preview-17", "sha": "", "ref": "x", "statuses": []}
        for n in range(101, 1, -1)
    ]
    repository.deployments += [
        {**of[0], "id": 900, "environment": "preview-1", "statuses": [{"state": "success"}]},
        *of,
    ]
    assert found.is_active(client, "acme/shop", "preview-17") is False
    repository.deployments.append({**of[0], "id": 1, "statuses": [{"state": "success"}]})
    assert found.is_active(client, "acme/shop", "preview-17") is True


def test_too_many_deployments_are_unknown() -> None:
    """Deployments that were not read do not count as inactive."""
    scene = empty()
    page = [{"id": n, "environment": "e"} for n in range(100)]
    scene.world.answers |= {LIST: page, **{f"{LIST}/{n}/statuses": [] for n in range(100)}}
    with pytest.raises(ServiceError, match="300 deployments or more"):
        found.is_active(scene.deps().github, "acme/shop", "e")
    assert scene.world.log.count(f"GET {LIST}") == 3


def test_deployments_of_a_payload_without_its_repository_are_unknown() -> None:
    """That does not mean "none"."""
    for about in (None, {}, {"full_name": 5}):
        with pytest.raises(PayloadRefused, match="lacks the repository"):
            found.repository({"repository": about})
    assert found.repository({"repository": {"full_name": "acme/shop"}}) == "acme/shop"


@pytest.mark.parametrize("statuses", [{}, [5], [{}], [{"state": 1}]])
def test_malformed_statuses_are_unknown(statuses: Any) -> None:
    """Even if none is the likely answer."""
    scene = empty(environment=ENVIRONMENT)
    scene.world.answers |= {LIST: [{"id": 5, "environment": "preview-17"}], f"{LIST}/5/statuses": statuses}
    assert "closeout cannot tell whether that is right" in scene.play().summary
