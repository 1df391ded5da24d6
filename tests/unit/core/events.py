"""Small payloads for the tests of the core, with only what a rule reads."""

from __future__ import annotations

from typing import Any

SHA = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY: dict[str, Any] = {"id": 186853002, "full_name": "acme/shop", "private": False}


def pull_request(action: str = "closed", base: str = "develop", **more: Any) -> dict[str, Any]:
    """A `pull_request` payload: #17 of acme/shop, from the same repository."""
    return {
        "action": action,
        "number": 17,
        "pull_request": {
            "id": 279147437,
            "number": 17,
            "merged": True,
            "title": "A title",
            "head": {"ref": "topic", "sha": SHA, "repo": {"id": 186853002}},
            "base": {"ref": base, "sha": "f" * 40, "repo": {"id": 186853002}},
        },
        "repository": REPOSITORY,
        "sender": {"login": "Codertocat"},
        **more,
    }


def push(ref: str = "refs/heads/main", *paths: str, **more: Any) -> dict[str, Any]:
    """A `push` payload with one commit that modifies `paths`."""
    commit = {"id": SHA, "added": [], "modified": list(paths), "removed": []}
    return {
        "ref": ref,
        "before": "f" * 40,
        "after": SHA,
        "deleted": False,
        "commits": [commit],
        "head_commit": commit,
        "repository": REPOSITORY,
        "sender": {"login": "Codertocat"},
        **more,
    }


def about(**more: Any) -> dict[str, Any]:
    """A payload of any other event of acme/shop."""
    return {"repository": REPOSITORY, "sender": {"login": "Codertocat"}, **more}
