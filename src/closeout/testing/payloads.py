"""The objects that GitHub's payloads are made of: users, repositories, pull requests.

They are apart from the deliveries because FakeGitHub's API answers are made of the same objects; field names
and nesting are those of GitHub's webhook documentation, values are ours. `full=True` adds the many URL fields
that make a real payload as large as it is.
"""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from typing import Any

SITE = "https://github.com"
API = "https://api.github.com"
SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
WHEN = "2026-03-14T09:26:53Z"

_USER_LINKS = (
    "followers", "following{/other_user}", "gists{/gist_id}", "starred{/owner}{/repo}", "subscriptions",
    "orgs", "repos", "events{/privacy}", "received_events",
)  # fmt: skip
_REPOSITORY_LINKS = (
    "forks", "keys{/key_id}", "collaborators{/collaborator}", "teams", "hooks", "issues/events{/number}",
    "events", "assignees{/user}", "branches{/branch}", "tags", "git/blobs{/sha}", "git/tags{/sha}",
    "git/refs{/sha}", "git/trees{/sha}", "statuses/{sha}", "languages", "stargazers", "contributors",
    "subscribers", "subscription", "commits{/sha}", "git/commits{/sha}", "comments{/number}",
    "issues/comments{/number}", "contents/{+path}", "compare/{base}...{head}", "merges",
    "{archive_format}{/ref}", "downloads", "issues{/number}", "pulls{/number}", "milestones{/number}",
    "notifications{?since,all,participating}", "labels{/name}", "releases{/id}", "deployments",
)  # fmt: skip


_seconds = itertools.count(int(time.time()))


def fresh_moment() -> str:
    """Return a time at which no pull request of this process was closed, so that each closing is a new one."""
    return datetime.fromtimestamp(next(_seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _link_name(path: str) -> str:
    return path.split("{", maxsplit=1)[0].strip("/").replace("/", "_") + "_url"


def user(login: str = "octo-dev", *, number: int = 583231, full: bool = False) -> dict[str, Any]:
    """Return a user, a bot when the login ends in `[bot]`."""
    result: dict[str, Any] = {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": f"{API}/users/{login}",
        "html_url": f"{SITE}/{login}",
        "type": "Bot" if login.endswith("[bot]") else "User",
        "site_admin": False,
    }
    if full:
        result.update({_link_name(path): f"{API}/users/{login}/{path}" for path in _USER_LINKS})
    return result


def repository(
    full_name: str = "acme/shop", *, number: int = 501_001, private: bool = True, full: bool = False
) -> dict[str, Any]:
    """Return a repository; its owner is an organization."""
    owner, name = full_name.split("/")
    result: dict[str, Any] = {
        "id": number,
        "node_id": f"R_{number}",
        "name": name,
        "full_name": full_name,
        "private": private,
        "owner": user(owner, number=9_001, full=full) | {"type": "Organization"},
        "html_url": f"{SITE}/{full_name}",
        "description": "An example",
        "fork": False,
        "url": f"{API}/repos/{full_name}",
        "default_branch": "main",
        "visibility": "private" if private else "public",
        "archived": False,
    }
    if full:
        result.update({_link_name(path): f"{API}/repos/{full_name}/{path}" for path in _REPOSITORY_LINKS})
    return result


def side(
    repo: dict[str, Any] | None, *, owner: str, ref: str, sha: str, full: bool = False
) -> dict[str, Any]:
    """Return `head` or `base` of a pull request; `repo` is None when the fork is gone."""
    result: dict[str, Any] = {"label": f"{owner}:{ref}", "ref": ref, "sha": sha, "repo": repo}
    if repo is not None:
        result["user"] = user(owner, number=9_001, full=full)
    return result


def pull_request(  # noqa: PLR0913 - a pull request has that many independent sides
    repo: dict[str, Any],
    *,
    number: int = 17,
    pull_id: int = 1_700_017,
    state: str = "closed",
    closed_at: str | None = None,
    merged: bool = False,
    base: str = "develop",
    head: str = "feature/basket",
    sha: str = SHA,
    head_repository: dict[str, Any] | str | None = "same",
    labels: tuple[str, ...] = (),
    title: str = "Add a basket",
    author: str = "octo-dev",
    full: bool = False,
) -> dict[str, Any]:
    """Return a pull request; `head_repository` is `"same"`, another repository (a fork), or None (fork gone).

    A closed one was closed at `closed_at`, by default at a moment of its own.
    """
    source = repo if head_repository == "same" else head_repository
    assert source is None or isinstance(source, dict)
    owner = source["owner"]["login"] if source else "someone"
    url = f"{API}/repos/{repo['full_name']}/pulls/{number}"
    result: dict[str, Any] = {
        "url": url,
        "id": pull_id,
        "node_id": f"PR_{pull_id}",
        "html_url": f"{SITE}/{repo['full_name']}/pull/{number}",
        "number": number,
        "state": state,
        "locked": False,
        "draft": False,
        "title": title,
        "user": user(author, full=full),
        "body": "Adds a basket to the shop.",
        "labels": [_label(40 + position, name) for position, name in enumerate(labels)],
        "created_at": "2026-03-10T08:00:00Z",
        **_ending(state, closed_at, merged=merged),
        # An unmerged close carries a merge commit too: no decision may depend on it.
        "merge_commit_sha": "e5bd3914e2e596debea16f433f57875b5b90bcd6",
        "assignees": [],
        "requested_reviewers": [],
        "head": side(source, owner=owner, ref=head, sha=sha, full=full),
        "base": side(
            repo,
            owner=repo["owner"]["login"],
            ref=base,
            sha="9049f1265b7d61be4a8904a9a27120d2064dab3b",
            full=full,
        ),
        "comments": 0,
        "commits": 3,
        "additions": 120,
        "deletions": 8,
        "changed_files": 4,
    }
    return result | _pull_extras(result, author) if full else result


def _ending(state: str, closed_at: str | None, *, merged: bool) -> dict[str, Any]:
    """Return what says whether and when a pull request was closed."""
    at = (closed_at or fresh_moment()) if state == "closed" else None
    merged_at = at if merged else None
    return {"updated_at": at or WHEN, "closed_at": at, "merged": merged, "merged_at": merged_at}


def issue_event(event: str, number: int, at: str, id: int) -> dict[str, Any]:  # noqa: A002
    """Return what happened to a pull request, as the list of issue events shows it."""
    issue = {"number": number, "pull_request": {}}
    return {"id": id, "event": event, "actor": user(), "created_at": at, "issue": issue}


def _label(number: int, name: str) -> dict[str, Any]:
    return {"id": number, "name": name, "color": "ededed", "default": False, "description": None}


def _pull_extras(pull: dict[str, Any], author: str) -> dict[str, Any]:
    """Return what makes a pull request as large as a real one."""
    url, page = pull["url"], pull["html_url"]
    repo = f"{API}/repos/{pull['base']['repo']['full_name']}"
    links = ("self", "html", "issue", "comments", "review_comments", "commits", "statuses")
    return {
        "assignees": [user(author, full=True)],
        "requested_reviewers": [user(f"reviewer-{i}", number=60_000 + i, full=True) for i in range(3)],
        "body": "Adds a basket to the shop, with its prices and its tests.\r\n" * 40,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "issue_url": f"{repo}/issues/{pull['number']}",
        "comments_url": f"{repo}/issues/{pull['number']}/comments",
        "commits_url": f"{url}/commits",
        "review_comments_url": f"{url}/comments",
        "statuses_url": f"{repo}/statuses/{pull['head']['sha']}",
        "_links": {name: {"href": f"{url}/{name}"} for name in links},
    }
