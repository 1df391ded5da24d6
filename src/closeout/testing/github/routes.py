"""The part of GitHub's REST API about repositories that the fake answers, for a single one as a table of paths.

Answers carry the fields that closeout and its tests read, with GitHub's names and types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from closeout.testing import payloads
from closeout.testing.github.rights import Refused
from closeout.testing.github.webhooks import Sender
from closeout.testing.github.world import Repository, World

ONLY_BY_ITSELF = ("merged", "comments", "commits", "additions", "deletions", "changed_files")
"""Fields that the list of pull requests lacks: https://docs.github.com/en/rest/pulls/pulls"""

_OWNERS = re.compile(r"/users/([^/]+)|/orgs/([^/]+)/repos|/users/([^/]+)/repos|/user/repos")


class Call(NamedTuple):
    """One API request: whom it is about, who asks, decoded body, and what the path's pattern caught."""

    world: World
    sender: Sender
    owner: Any
    """A repository; for `HOOK_ROUTES` an organization too."""
    user: dict[str, Any] | None
    body: Mapping[str, Any]
    query: Mapping[str, str]
    rest: tuple[str, ...]

    @property
    def repository(self) -> Repository:
        """The repository that the request is about."""
        repository: Repository = self.owner
        return repository


Answer = tuple[int, Any]


class ListedPage(list[Any]):
    """One page of a list. `following` is the query of the next one, None on the last."""

    following: Mapping[str, str] | None = None


def cut_page(query: Mapping[str, str], items: Sequence[Any]) -> ListedPage:
    """Cut one page out, as `page` and `per_page` (30 unless told, at most 100) say."""
    size = min(int(query.get("per_page", "30")), 100)
    number = int(query.get("page", "1"))
    cut = ListedPage(items[(number - 1) * size : number * size])
    cut.following = {**query, "page": str(number + 1)} if len(items) > number * size else None
    return cut


def _get_pull(call: Call) -> Answer:
    pull = call.world.pull(call.repository, int(call.rest[0]))
    # Who merged it is in the answer about one pull request only; who closed it without a merge is nowhere in it.
    by = {"merged_by": payloads.user() if pull.merged else None}
    return 200, call.world.pull_payload(call.repository, pull)["pull_request"] | by | pull.times


def _list_pulls(call: Call) -> Answer:
    state, head = call.query.get("state", "open"), call.query.get("head", "")
    pulls = [pull for pull in call.repository.pulls.values() if state in ("all", pull.state)]
    if call.query.get("sort") == "updated":
        pulls.sort(key=lambda pull: (pull.updated_at or "", pull.id))
    if ":" in head:  # GitHub ignores anything that is not OWNER:BRANCH
        pulls = [
            p for p in pulls if f"{(p.fork or call.repository.full_name).partition('/')[0]}:{p.head}" == head
        ]
    listed = cut_page(call.query, pulls[::-1])
    for place, pull in enumerate(listed):
        shown = call.world.pull_payload(call.repository, pull)["pull_request"] | pull.times
        listed[place] = {key: value for key, value in shown.items() if key not in ONLY_BY_ITSELF}
    return 200, listed


def _post_status(call: Call) -> Answer:
    body = call.body
    if body.get("state") not in ("error", "failure", "pending", "success"):
        raise Refused(422, "Validation Failed", [{"field": "state", "code": "custom"}])
    if len(body.get("description") or "") > 140:
        raise Refused(422, "Validation Failed", ["description is too long (maximum is 140 characters)"])
    target = body.get("target_url")
    if target and not target.startswith(("http://", "https://")):
        raise Refused(422, "Validation Failed", ["Target URL must use http(s) scheme"])
    return 201, call.world.add_status(call.repository, call.rest[0], body, call.user)


def _get_ref(call: Call) -> Answer:
    sha = call.repository.refs.get(call.rest[0])
    if sha is None:
        raise Refused(404, "Not Found")
    return 200, _ref(call.rest[0], sha)


def _matching_refs(call: Call) -> Answer:
    # By prefix: `heads/pr-1` also returns `heads/pr-12`. A client that reads that as "exists" deletes the wrong thing.
    return 200, [_ref(ref, sha) for ref, sha in call.repository.refs.items() if ref.startswith(call.rest[0])]


def _ref(ref: str, sha: str) -> dict[str, Any]:
    commit = {"type": "commit", "sha": sha, "url": ""}
    return {"ref": f"refs/{ref}", "node_id": "REF", "url": "", "object": commit}


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


Routes = Mapping[str, Callable[[Call], Answer]]
"""Method and pattern of the path after the owner's → handler."""
ROUTES: Routes = {
    r"GET ": lambda call: (200, call.repository.to_json()),
    r"GET /pulls": _list_pulls,
    r"GET /pulls/(\d+)": _get_pull,
    r"GET /pulls/(\d+)/files": lambda call: (
        200,
        cut_page(call.query, call.world.pull(call.repository, int(call.rest[0])).files),
    ),
    r"POST /statuses/([0-9a-f]{40})": _post_status,
    r"GET /commits/([^/]+)/statuses": lambda call: (
        200,
        cut_page(call.query, call.repository.statuses.get(call.rest[0], [])),
    ),
    r"GET /git/ref/(.+)": _get_ref,
    r"GET /git/matching-refs/(.+)": _matching_refs,
    r"GET /issues/events": lambda call: (200, cut_page(call.query, call.repository.events)),
    r"GET /issues/(\d+)/comments": lambda call: (
        200,
        cut_page(call.query, call.repository.comments.get(int(call.rest[0]), [])),
    ),
    r"POST /issues/(\d+)/comments": _post_comment,
    r"PATCH /issues/comments/(\d+)": _patch_comment,
    r"GET /deployments": _list_deployments,
    r"GET /deployments/(\d+)/statuses": _list_deployment_statuses,
    r"GET /actions/workflows": _list_workflows,
    r"POST /actions/workflows/([^/]+)/dispatches": _dispatch,
    r"GET /actions/workflows/([^/]+)/runs": _list_runs,
    r"GET /actions/runs/(\d+)": lambda call: (
        200,
        _shown(call.world.look_at_run(call.repository, int(call.rest[0]))),
    ),
    r"POST /actions/runs/(\d+)/cancel": _cancel_run,
}


def list_owned(world: World, path: str, query: Mapping[str, str], token: Mapping[str, Any]) -> Any:
    """Return the answer to GET about an owner or its repositories, None if the path is about something else. Raises `Refused`.

    A user's list shows public repositories; the list of the token's user shows what that token may see.
    """
    found = _OWNERS.fullmatch(path)
    if found is None:
        return None
    owner, organization, user = found.groups()
    if owner is not None:
        kind = "Organization" if owner.lower() in world.organizations else "User"
        return payloads.user(owner) | {"type": kind}
    if organization is not None and organization.lower() not in world.organizations:
        raise Refused(404, "Not Found")
    if (organization, user) == (None, None) and token["user"] is None:
        raise Refused(403, "Resource not accessible by integration")
    wanted = organization or user
    shown = [
        repository.to_json()
        for repository in sorted(world.repositories.values(), key=lambda each: each.full_name.lower())
        if wanted is None or repository.full_name.partition("/")[0].lower() == wanted.lower()
        if token["repositories"] is None or repository.full_name in token["repositories"]
        if user is None or not repository.private
    ]
    return cut_page(query, shown)
