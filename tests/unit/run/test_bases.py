"""A pull request that was retargeted before it was closed: its earlier bases count if that is harmless."""

from __future__ import annotations

import json
from typing import Any

import pytest

from closeout.adapters.github import GitHubClient
from closeout.core.automation import Automation
from closeout.core.errors import ServiceError
from closeout.run import explain
from closeout.run.bases import bases_of
from closeout.testing.github import FakeGitHub
from tests.unit.adapters.conftest import client, github  # noqa: F401 - fixtures
from tests.unit.run.world import AUTOMATION, Scene, pull_payload, unreachable

REPOSITORY = "acme/shop"


def timeline(*bases: str, now: str = "main") -> dict[str, Any]:
    """GitHub's answer about #17, which went into these bases before."""
    nodes = [{"previousRefName": base, "currentRefName": now} for base in bases]
    items = {"nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}}
    pull = {"number": 17, "baseRefName": now, "timelineItems": items}
    return {"data": {"repository": {"pullRequest": pull}}}


def changed(old: str, new: str) -> Any:
    """GitHub's answer about a pull request that went into develop before, with other JSON in one place."""
    return json.loads(json.dumps(timeline("develop")).replace(old, new))


def closed_into(base: str, answer: Any, **changes: Any) -> Scene:
    """A run of a pull request that was closed with this base, and what GitHub says of earlier ones."""
    payload = pull_payload()
    payload["pull_request"]["base"] = {**payload["pull_request"]["base"], "ref": base}
    scene = Scene(payload=payload).with_automation(**{"bases": "ever", **changes})
    scene.world.answers["/graphql"] = answer
    return scene


# --- what GitHub is asked ---------------------------------------------------------------------------------


def test_every_base_of_the_timeline_is_read(github: FakeGitHub, client: GitHubClient) -> None:  # noqa: F811
    """Retargeted by people and by GitHub itself, over several pages; each base is given once."""
    github.world.open_pull(REPOSITORY, number=17, base="develop")
    github.world.retarget(REPOSITORY, 17, "feature/parent")
    github.world.retarget(REPOSITORY, 17, "main", automatic=True)
    assert bases_of(client, REPOSITORY, 17) == ("main", "develop", "feature/parent")
    pull = github.world.repository(REPOSITORY).pulls[17]
    pull.bases[:0] = [(f"b{n}", f"b{n + 1}", False) for n in range(250)]
    assert len(bases_of(client, REPOSITORY, 17)) == 3 + 251
    assert len([one for one in github.requests() if one["path"] == "/graphql"]) == 1 + 3


def test_an_enterprise_server_has_graphql_next_to_its_rest_api(github: FakeGitHub) -> None:  # noqa: F811
    """`/api/v3` is REST, `/api/graphql` GraphQL."""
    github.world.open_pull(REPOSITORY, number=17, base="develop")
    client = GitHubClient(lambda: github.token, f"{github.url}/api/v3", timeout=5.0)  # noqa: F811
    assert bases_of(client, REPOSITORY, 17) == ("develop",)
    assert github.requests()[-1]["path"] == "/api/graphql"
    github.clear_requests()  # GraphQL has a description of its own


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, "the answer is not the pull request that was asked for"),
        ({}, "the answer is not the pull request that was asked for"),
        (
            {"errors": [{"type": "RATE_LIMITED", "message": "API rate\nlimit exceeded"}]},
            "acme/shop#17: API rate limit exceeded",
        ),
        ({"errors": [{"type": "RATE_LIMITED"}]}, "acme/shop#17: an error without a message"),
        (
            {**timeline("develop"), "errors": [{"message": "Something went wrong"}]},
            "acme/shop#17: Something went wrong",
        ),
        ({"data": {"repository": None}}, "the answer is not the pull request that was asked for"),
        (
            {"data": {"repository": {"pullRequest": None}}},
            "the answer is not the pull request that was asked for",
        ),
        (changed("17", "18"), "the answer is not the pull request that was asked for"),
        (changed("false", "true"), "the answer does not say whether there is more"),
        (changed("false", "null"), "the answer does not say whether there is more"),
        (changed("false", '"yes"'), "the answer does not say whether there is more"),
        (changed('"develop"', "null"), "the answer is not the timeline that was asked for"),
        (changed('"develop"', '""'), "the answer is not the timeline that was asked for"),
        (changed("previousRefName", "previous"), "the answer is not the timeline that was asked for"),
        (changed('"nodes": [', '"nodes": null, "x": ['), "the answer is not the timeline that was asked for"),
    ],
)
def test_an_unreadable_answer_does_not_mean_no_other_base(answer: Any, says: str) -> None:
    """Neither one with data next to an error, nor one without an end."""
    scene = closed_into("main", answer)
    with pytest.raises(ServiceError) as error:
        bases_of(scene.deps().github, REPOSITORY, 17)
    assert error.value.message == f"GitHub: POST /graphql: {says}"


def test_an_endless_timeline_is_an_error() -> None:
    """However often it names a next page."""
    text = json.dumps(timeline()).replace("false", "true").replace('"endCursor": null', '"endCursor": "1"')
    with pytest.raises(ServiceError, match="more than 20 pages"):
        bases_of(closed_into("main", json.loads(text)).deps().github, REPOSITORY, 17)


# --- what a run does with it ------------------------------------------------------------------------------


def test_a_pull_request_that_had_the_base_before_is_torn_down() -> None:
    """Opened against develop, retargeted to main, closed: the preview of develop goes."""
    scene = closed_into("main", timeline("develop"))
    assert scene.play().verdict == "success"
    assert scene.world.resources == set()
    assert scene.durable.result("match")["run"] is True


def test_a_pull_request_that_never_had_the_base_is_skipped_without_a_status() -> None:
    """The reason lists its bases, in a form by which lists can leave the run out."""
    scene = closed_into("main", timeline("release/1"))
    ending = scene.play()
    assert (ending.verdict, scene.world.statuses) == ("skipped", [])
    assert ending.summary == (
        "no base matched: base branch 'main' matches none of develop; before that it had release/1"
    )
    assert closed_into("main", timeline()).play().summary.endswith("; it had no other base")


@pytest.mark.parametrize("base", ["develop", "main"])
def test_github_is_asked_only_if_the_base_at_the_close_does_not_match(base: str) -> None:
    """And never if the file says `at-close`."""
    scene = closed_into(base, timeline("develop"), bases="ever" if base == "develop" else "at-close")
    scene.play()
    assert "POST /graphql" not in scene.world.log


@pytest.mark.parametrize(
    "error",
    [unreachable(), ServiceError("401 Bad credentials", service="github", operation="x", reason="401")],
)
def test_while_github_does_not_answer_the_run_waits_and_nothing_is_deleted(error: Exception) -> None:
    """Unknown is neither a match nor a mismatch; at its time limit the run fails and says why."""
    scene = closed_into("main", timeline("develop"))
    scene.world.faults["POST /graphql"] = [error] * 20
    assert scene.play().verdict == "success"
    scene = closed_into("main", timeline("develop"))
    scene.world.faults["POST /graphql"] = [error] * 10_000
    ending = scene.play()
    assert ending.verdict == "failure"
    assert "cannot read the bases that the pull request had" in ending.summary
    assert scene.world.resources
    assert scene.clock.now() - 1_700_000_000 >= AUTOMATION.timeout


def test_without_a_token_an_earlier_base_is_not_looked_up() -> None:
    """Without one nothing could be deleted either."""
    scene = closed_into("main", timeline("develop"))
    scene.has_token = False
    ending = scene.play()
    assert ending.verdict == "skipped"
    assert ending.summary.startswith(
        "no base matched: base branch 'main' matches none of develop; earlier ones"
    )


def test_paths_still_count_for_an_earlier_base() -> None:
    """Every other filter is as before."""
    trigger = {**AUTOMATION.triggers[0], "paths": ["docs/**"]}
    scene = closed_into("main", timeline("develop"), triggers=(trigger,))
    assert scene.play().summary == "none of 1 changed paths matches docs/**"


# --- explain ----------------------------------------------------------------------------------------------


def explained(automation: Automation, answer: Any) -> dict[str, Any]:
    """What `explain` says of a pull request that was closed into main."""
    scene = closed_into("main", answer)
    ask = None if answer is None else lambda *pull: bases_of(scene.deps().github, *pull)
    return explain.explain([automation], "pull_request", scene.payload, None, ask)[0]


def test_explain_says_what_a_run_would_do() -> None:
    """With GitHub's answer, without one, and where only the base at the close counts."""
    ever = closed_into("main", None).automation
    row = explained(ever, timeline("develop"))
    assert row["outcome"] == "run"
    assert row["reason"].endswith("base branch 'develop', in acme/shop, which it had before 'main'")
    assert explained(ever, timeline())["outcome"] == "skip"
    row = explained(ever, None)
    assert (row["outcome"], row["reason"]) == (
        "skip",
        "base branch 'main' matches none of develop, unless it had another base before; closeout did not ask GitHub",
    )
    assert explained(AUTOMATION, timeline("develop"))["outcome"] == "nothing"
