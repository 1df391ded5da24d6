"""The part of GitHub's REST API about a repository that the fake answers, as a table of paths.

Answers carry the fields that closeout and its tests read, with GitHub's names and types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from closeout.testing import payloads
from closeout.testing.github.rights import Refused
from closeout.testing.github.world import Pull, Repository, World

ONLY_BY_ITSELF = ("merged", "comments", "commits", "additions", "deletions", "changed_files")
"""Fields that the list of pull requests lacks: https://docs.github.com/en/rest/pulls/pulls"""


class Call(NamedTuple):
    """One API request: decoded body, who asks, and what the path's pattern caught."""

    world: World
    repository: Repository
    user: dict[str, Any] | None
    body: Mapping[str, Any]
    query: Mapping[str, str]
    rest: tuple[str, ...]


Answer = tuple[int, Any]


class Cut(list[Any]):
    """One page of a list. `following` is the query of the next one, None on the last."""

    following: Mapping[str, str] | None = None


def cut_page(query: Mapping[str, str], items: Sequence[Any]) -> Cut:
    """Cut one page out, as `page` and `per_page` (30 unless told, at most 100) say."""
    size = min(int(query.get("per_page", "30")), 100)
    number = int(query.get("page", "1"))
    cut = Cut(items[(number - 1) * size : number * size])
    cut.following = {**query, "page": str(number + 1)} if len(items) > number * size else None
    return cut


def _get_pull(call: Call) -> Answer:
    pull = call.world.pull(call.repository, int(call.rest[0]))
    # Who merged it is in the answer about one pull request only; who closed it without a merge is nowhere in it.
    by = {"merged_by": payloads.user() if pull.merged else None}
    return 200, call.world.pull_payload(call.repository, pull)["pull_request"] | by | pull.times


def _list_pulls(call: Call) -> Answer:
    state, head = call.query.get("state", "open"), call.query.get("head", "")
    pulls = _by_age(call, [p for p in call.repository.pulls.values() if state in ("all", p.state)])
    if ":" in head:  # GitHub ignores what is not OWNER:BRANCH
        pulls = [
            p for p in pulls if f"{(p.fork or call.repository.full_name).partition('/')[0]}:{p.head}" == head
        ]
    listed = cut_page(call.query, pulls[::-1])
    listed[:] = [_in_a_list(call, pull) for pull in listed]
    return 200, listed


def _in_a_list(call: Call, pull: Pull) -> dict[str, Any]:
    """Return a pull request without what GitHub gives only for one by itself."""
    shown = call.world.pull_payload(call.repository, pull)["pull_request"] | pull.times
    return {key: value for key, value in shown.items() if key not in ONLY_BY_ITSELF}


def _by_age(call: Call, pulls: list[Pull]) -> list[Pull]:
    """Return pull requests as `sort` says, the newest last: the list is given in reverse."""
    if call.query.get("sort") != "updated":
        return pulls
    return sorted(pulls, key=lambda pull: (pull.updated_at or "", pull.id))


def _post_status(call: Call) -> Answer:
    _check_status(call.body)
    return 201, call.world.add_status(call.repository, call.rest[0], call.body, call.user)


def _check_status(body: Mapping[str, Any]) -> None:
    if body.get("state") not in ("error", "failure", "pending", "success"):
        raise Refused(422, "Validation Failed", [{"field": "state", "code": "custom"}])
    if len(body.get("description") or "") > 140:
        raise Refused(422, "Validation Failed", ["description is too long (maximum is 140 characters)"])
    target = body.get("target_url")
    if target and not target.startswith(("http://", "https://")):
        raise Refused(422, "Validation Failed", ["Target URL must use http(s) scheme"])


def _get_ref(call: Call) -> Answer:
    sha = call.repository.refs.get(call.rest[0])
    if sha is None:
        raise Refused(404, "Not Found")
    return 200, _ref(call.rest[0], sha)


def _matching_refs(call: Call) -> Answer:
    # By prefix: `heads/pr-1` also gives `heads/pr-12`. Whoever reads it as "is there" deletes the wrong thing.
    return 200, [_ref(ref, sha) for ref, sha in call.repository.refs.items() if ref.startswith(call.rest[0])]


def _ref(ref: str, sha: str) -> dict[str, Any]:
    return {
        "ref": f"refs/{ref}",
        "node_id": "REF",
        "url": "",
        "object": {"type": "commit", "sha": sha, "url": ""},
    }


def _delete_ref(call: Call) -> Answer:
    call.world.set_ref(call.repository, call.rest[0], None)
    return 204, None


def _post_comment(call: Call) -> Answer:
    user = call.user or {"login": "app[bot]", "id": 99, "type": "Bot"}
    text = str(call.body.get("body", ""))
    return 201, call.world.add_comment(call.repository, int(call.rest[0]), text, user)


def _patch_comment(call: Call) -> Answer:
    comment = call.world.find_comment(call.repository, int(call.rest[0]))
    comment["body"] = call.body["body"]
    return 200, comment


def _list_deployments(call: Call) -> Answer:
    named = call.query.get("environment")
    found = [one for one in call.repository.deployments if named in (None, one["environment"])]
    return 200, cut_page(
        call.query, [{key: one[key] for key in ("id", "environment", "sha", "ref")} for one in found]
    )


def _list_deployment_statuses(call: Call) -> Answer:
    for one in call.repository.deployments:
        if one["id"] == int(call.rest[0]):
            return 200, cut_page(call.query, one["statuses"])
    raise Refused(404, "Not Found")


def _dispatch(call: Call) -> Answer:
    run = call.world.dispatch(call.repository, call.rest[0], call.body, call.user)
    if call.body.get("return_run_details") and call.repository.workflows[call.rest[0]]["details"]:
        return 200, {"workflow_run_id": run["id"], "run_url": run["url"], "html_url": run["html_url"]}
    return 204, None


def _list_workflows(call: Call) -> Answer:
    known = [{"id": one["id"], "path": one["file"]} for one in call.repository.workflows.values()]
    return 200, {"total_count": len(known), "workflows": cut_page(call.query, known)}


def _list_runs(call: Call) -> Answer:
    workflow = call.repository.workflows.get(call.rest[0])
    if workflow is None:
        raise Refused(404, "Not Found")
    runs = [
        run
        for run in reversed(call.repository.runs.values())
        if run["workflow_id"] == workflow["id"]
        and call.query.get("event", run["event"]) == run["event"]
        and call.query.get("branch", run["head_branch"]) == run["head_branch"]
    ]
    return 200, {
        "total_count": len(runs),
        "workflow_runs": cut_page(call.query, [_shown(run) for run in runs]),
    }


def _cancel_run(call: Call) -> Answer:
    call.world.end_run(call.repository, int(call.rest[0]), "cancelled")
    return 202, {}


def _shown(run: dict[str, Any]) -> dict[str, Any]:
    # What GitHub does not show: a dispatch's inputs.
    return {key: value for key, value in run.items() if key not in ("inputs", "looks", "file")}


ROUTES: tuple[tuple[str, str, Callable[[Call], Answer]], ...] = (
    ("GET", r"", lambda call: (200, call.repository.to_json(full=True))),
    ("GET", r"/pulls", _list_pulls),
    ("GET", r"/pulls/(\d+)", _get_pull),
    (
        "GET",
        r"/pulls/(\d+)/files",
        lambda call: (200, cut_page(call.query, call.world.pull(call.repository, int(call.rest[0])).files)),
    ),
    ("POST", r"/statuses/([0-9a-f]{40})", _post_status),
    (
        "GET",
        r"/commits/([^/]+)/statuses",
        lambda call: (200, cut_page(call.query, call.repository.statuses.get(call.rest[0], []))),
    ),
    ("GET", r"/git/ref/(.+)", _get_ref),
    ("GET", r"/git/matching-refs/(.+)", _matching_refs),
    ("DELETE", r"/git/refs/(.+)", _delete_ref),
    ("GET", r"/issues/events", lambda call: (200, cut_page(call.query, call.repository.events))),
    (
        "GET",
        r"/issues/(\d+)/comments",
        lambda call: (200, cut_page(call.query, call.repository.comments.get(int(call.rest[0]), []))),
    ),
    ("POST", r"/issues/(\d+)/comments", _post_comment),
    ("PATCH", r"/issues/comments/(\d+)", _patch_comment),
    ("GET", r"/deployments", _list_deployments),
    ("GET", r"/deployments/(\d+)/statuses", _list_deployment_statuses),
    ("GET", r"/actions/workflows", _list_workflows),
    ("POST", r"/actions/workflows/([^/]+)/dispatches", _dispatch),
    ("GET", r"/actions/workflows/([^/]+)/runs", _list_runs),
    (
        "GET",
        r"/actions/runs/(\d+)",
        lambda call: (200, _shown(call.world.look_at_run(call.repository, int(call.rest[0])))),
    ),
    ("POST", r"/actions/runs/(\d+)/cancel", _cancel_run),
)
"""(method, pattern of the path after `/repos/{owner}/{repo}`, handler)."""
