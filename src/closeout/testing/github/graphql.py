"""The one question of GitHub's GraphQL API that the fake answers: which bases a pull request had.

It reads the variables and not the query's text, and answers with GitHub's names and types.
"""

from __future__ import annotations

from typing import Any

from closeout.testing.github.rights import Refused
from closeout.testing.github.world import World


def answer(world: World, body: dict[str, Any], token: dict[str, Any]) -> dict[str, Any]:
    """Answer a query. Like GitHub's, an error is an answer of status 200."""
    asked = body["variables"]
    name = f"{asked['owner']}/{asked['name']}"
    try:
        seen = token["repositories"] is None or name in token["repositories"]
        pull = world.pull(world.repository(name), asked["number"]) if seen else None
    except Refused:
        pull = None
    if pull is None:
        message = f"Could not resolve to a PullRequest with the number of {asked['number']}."
        return {"data": {"repository": None}, "errors": [{"type": "NOT_FOUND", "message": message}]}
    size, start = 100, int(asked["after"] or "0")
    page = pull.bases[start : start + size]
    more = start + size < len(pull.bases)
    info = {"hasNextPage": more, "endCursor": str(start + len(page)) if page else None}
    items = {"pageInfo": info, "nodes": [_node(*change) for change in page]}
    shown = {"number": pull.number, "baseRefName": pull.base, "timelineItems": items}
    return {"data": {"repository": {"pullRequest": shown}}}


def _node(before: str, after: str, automatic: bool) -> dict[str, str]:
    if automatic:
        return {"oldBase": before, "newBase": after}
    return {"previousRefName": before, "currentRefName": after}
