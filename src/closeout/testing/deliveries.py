"""Deliveries as GitHub sends them: payloads by event, and the signed headers that go with them.

Public, so that people can test their own automations. It signs with its own two lines rather than with
`core.signature`: a mistake there must not cancel itself out in a test.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from closeout.testing import payloads

ZEROS = "0" * 40
SAMPLE_REPOSITORY = "sample/never-matches"
"""The repository of the samples that the command line sends: no configuration may name it."""

Payload = dict[str, Any]


def encode(payload: Payload, *, form: bool = False) -> bytes:
    """Return the raw request body: JSON, or a form whose field `payload` holds the JSON."""
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    return urlencode({"payload": text}).encode() if form else text.encode()


def signature(body: bytes, secret: str | bytes) -> str:
    """Return `X-Hub-Signature-256` for these raw bytes."""
    key = secret.encode() if isinstance(secret, str) else secret
    return "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest()


def signed_headers(  # noqa: PLR0913  one parameter for each thing that the headers say
    event: str,
    body: bytes,
    secret: str | bytes,
    guid: str,
    hook_id: int = 400_001,
    *,
    form: bool = False,
    target_id: int = 501_001,
    target_type: str = "repository",
) -> dict[str, str]:
    """Return the headers of a hook's delivery of `body`; `target_type` may also be `organization`."""
    key = secret.encode() if isinstance(secret, str) else secret
    return {
        "Accept": "*/*",
        "Content-Type": "application/x-www-form-urlencoded" if form else "application/json",
        "User-Agent": "GitHub-Hookshot/fake000",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": guid,
        "X-GitHub-Hook-ID": str(hook_id),
        "X-GitHub-Hook-Installation-Target-ID": str(target_id),
        "X-GitHub-Hook-Installation-Target-Type": target_type,
        "X-Hub-Signature": "sha1=" + hmac.new(key, body, hashlib.sha1).hexdigest(),
        "X-Hub-Signature-256": signature(body, key),
    }


def pull_request(
    action: str = "closed",
    *,
    repository: str = "acme/shop",
    repository_id: int = 501_001,
    private: bool = True,
    full: bool = False,
    sender: str = "octo-dev",
    **pull: Any,
) -> Payload:
    """Return a `pull_request` payload: by default #17 into `develop`, closed and not merged.

    `pull` goes to `payloads.pull_request` (number, merged, base, head, labels, head_repository, …).
    `full=True` gives the size of a real one, about 24 KB.
    """
    repo = payloads.repository(repository, number=repository_id, private=private, full=full)
    pull.setdefault("state", "closed" if action == "closed" else "open")
    request = payloads.pull_request(repo, full=full, **pull)
    result = {"action": action, "number": request["number"], "pull_request": request}
    if action in ("labeled", "unlabeled") and request["labels"]:
        result["label"] = request["labels"][-1]
    return result | _about(repo, sender)


def from_fork(action: str = "closed", *, gone: bool = False, **changes: Any) -> Payload:
    """Return a pull request from a fork whose branch is named like a colleague's; `gone`: the fork was deleted."""
    fork = (
        None if gone else payloads.repository("outsider/shop", number=777_001, private=False) | {"fork": True}
    )
    return pull_request(action, head_repository=fork, author="outsider", sender="outsider", **changes)


def push(
    ref: str = "refs/heads/develop",
    *,
    repository: str = "acme/shop",
    after: str = payloads.SHA,
    modified: tuple[str, ...] = ("src/app.py",),
    **about: Any,
) -> Payload:
    """Return a `push`; with `after=ZEROS` it is one that deletes the ref."""
    deleted = after == ZEROS
    commit = {
        "id": after,
        "message": "Change the shop",
        "timestamp": payloads.WHEN,
        "author": {"name": "Octo Dev", "email": "octo-dev@example.com"},
        "added": [],
        "removed": [],
        "modified": list(modified),
    }
    return {
        "ref": ref,
        "before": "9049f1265b7d61be4a8904a9a27120d2064dab3b",
        "after": after,
        "created": False,
        "deleted": deleted,
        "forced": False,
        "base_ref": None,
        "commits": [] if deleted else [commit],
        "head_commit": None if deleted else commit,
        "pusher": {"name": "octo-dev", "email": "octo-dev@example.com"},
    } | _about(payloads.repository(repository), **about)


def push_delete(ref: str = "refs/heads/feature/basket", **changes: Any) -> Payload:
    """Return the `push` that deletes a branch."""
    return push(ref, after=ZEROS, **changes)


def create(ref: str = "feature/basket", ref_type: str = "branch", **changes: Any) -> Payload:
    """Return a `create` of a branch or a tag."""
    return {"ref": ref, "ref_type": ref_type, "master_branch": "main", "pusher_type": "user"} | _of(changes)


def delete(ref: str = "feature/basket", ref_type: str = "branch", **changes: Any) -> Payload:
    """Return a `delete` of a branch or a tag."""
    return {"ref": ref, "ref_type": ref_type, "pusher_type": "user"} | _of(changes)


def issue_comment(
    text: str = "/teardown", *, number: int = 17, author: str = "octo-dev", **changes: Any
) -> Payload:
    """Return an `issue_comment` created on a pull request."""
    api = f"{payloads.API}/repos/{changes.get('repository', 'acme/shop')}"
    return {
        "action": "created",
        "issue": {
            "id": 1_600_017,
            "number": number,
            "title": "Add a basket",
            "state": "open",
            "user": payloads.user(),
            "labels": [],
            "pull_request": {"url": f"{api}/pulls/{number}"},
        },
        "comment": {
            "id": 3_000_001,
            "body": text,
            "user": payloads.user(author),
            "created_at": payloads.WHEN,
        },
    } | _of(changes, sender=author)


def release(tag: str = "v1.2.0", action: str = "published", **changes: Any) -> Payload:
    """Return a `release`."""
    return {
        "action": action,
        "release": {
            "id": 8_001,
            "tag_name": tag,
            "target_commitish": "main",
            "name": tag,
            "draft": False,
            "prerelease": False,
            "author": payloads.user(),
        },
    } | _of(changes)


def workflow_run(conclusion: str = "success", *, branch: str = "develop", **changes: Any) -> Payload:
    """Return a `workflow_run` that completed."""
    run = {
        "id": 30_433_642,
        "name": "build",
        "head_branch": branch,
        "head_sha": payloads.SHA,
        "event": "push",
        "status": "completed",
        "conclusion": conclusion,
        "workflow_id": 159_038,
        "pull_requests": [],
    }
    return {"action": "completed", "workflow_run": run, "workflow": {"id": 159_038, "name": "build"}} | _of(
        changes
    )


def check_run(conclusion: str = "success", **changes: Any) -> Payload:
    """Return a `check_run` that completed."""
    run = {
        "id": 4,
        "name": "test",
        "head_sha": payloads.SHA,
        "status": "completed",
        "conclusion": conclusion,
        "check_suite": {"id": 5, "head_branch": "feature/basket", "head_sha": payloads.SHA},
        "pull_requests": [],
    }
    return {"action": "completed", "check_run": run} | _of(changes)


def deployment_status(state: str = "success", *, environment: str = "preview-17", **changes: Any) -> Payload:
    """Return a `deployment_status`."""
    return {
        "action": "created",
        "deployment_status": {"id": 1, "state": state, "environment": environment, "target_url": ""},
        "deployment": {
            "id": 42,
            "sha": payloads.SHA,
            "ref": "feature/basket",
            "task": "deploy",
            "environment": environment,
        },
    } | _of(changes)


def status(
    context: str = "ci/test", state: str = "success", *, sha: str = payloads.SHA, **changes: Any
) -> Payload:
    """Return a `status`: what GitHub sends when anybody posts a commit status, closeout included."""
    return {
        "id": 1,
        "sha": sha,
        "name": changes.get("repository", "acme/shop"),
        "context": context,
        "state": state,
        "description": None,
        "target_url": None,
        "branches": [],
    } | _of(changes)


def ping(*, hook_id: int = 400_001, **changes: Any) -> Payload:
    """Return the `ping` that GitHub sends when a hook is created."""
    return {
        "zen": "Non-blocking is better than blocking.",
        "hook_id": hook_id,
        "hook": {
            "id": hook_id,
            "type": "Repository",
            "name": "web",
            "active": True,
            "events": ["pull_request"],
        },
    } | _of(changes)


def _about(repo: Payload, sender: str = "octo-dev") -> Payload:
    return {
        "repository": repo,
        "organization": {"login": "acme", "id": 9_001},
        "sender": payloads.user(sender),
    }


def _of(changes: dict[str, Any], sender: str = "octo-dev") -> Payload:
    repo = payloads.repository(
        changes.get("repository", "acme/shop"),
        number=changes.get("repository_id", 501_001),
        private=changes.get("private", True),
    )
    return _about(repo, changes.get("sender", sender))


SAMPLES: dict[str, tuple[str, str, Callable[..., Payload]]] = {
    "pull_request.closed": ("pull_request", "a pull request closed without a merge", pull_request),
    "pull_request.merged": ("pull_request", "a pull request merged", partial(pull_request, merged=True)),
    "pull_request.reopened": (
        "pull_request",
        "a pull request opened again",
        partial(pull_request, "reopened"),
    ),
    "pull_request.fork": ("pull_request", "a pull request from a fork closed", from_fork),
    "push": ("push", "a push to a branch", push),
    "push.delete": ("push", "the push that deletes a branch", push_delete),
    "create": ("create", "a branch made", create),
    "delete": ("delete", "a branch deleted", delete),
    "issue_comment.created": ("issue_comment", "a comment on a pull request", issue_comment),
    "release.published": ("release", "a release published", release),
    "workflow_run.completed": ("workflow_run", "a workflow run completed", workflow_run),
    "check_run.completed": ("check_run", "a check run completed", check_run),
    "deployment_status.created": ("deployment_status", "a deployment's status", deployment_status),
    "ping": ("ping", "what GitHub sends when a hook is made", ping),
}
"""Name → (event, one sentence, builder)."""


def sample(name: str, *, repository: str = SAMPLE_REPOSITORY) -> tuple[str, Payload]:
    """Return a built-in sample as (event, payload). Raises KeyError for a name that `SAMPLES` does not have."""
    event, _, build = SAMPLES[name]
    return event, build(repository=repository)
