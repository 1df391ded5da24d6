"""Keys of problems in the ledger's table, and the event of the function that tells of them: for synthesis, function and commands.

    problem   problems       problem#<automation>#<key>   with what each target was last told of it
    lease     problems       lease                        which invocation tells

In one partition, so that one query lists them. Only a problem that is over expires.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from closeout.core.problems import Route, Routes, is_topic
from closeout.stack.table import Item

PROBLEMS = "problems"
"""The partition."""
PROBLEM = "problem#"
"""Prefix of the sort keys."""
TOLD = "told:"
"""Prefix of the attributes that say what a target was told, as a JSON list of when, and whether it was that it is over."""
LEASE_KEY: Item = {"pk": {"S": PROBLEMS}, "sk": {"S": "lease"}}
TEST: Mapping[str, Any] = {"test": True}
"""The event that asks for a test message to each target; the schedule's asks for what is due."""


def problem_key(automation: str, key: str) -> Item:
    """Return the key of a problem: `core.problems.Problem.automation` and `key`."""
    return {"pk": {"S": PROBLEMS}, "sk": {"S": f"{PROBLEM}{automation}#{key}"}}


def pack_routes(routes: Routes) -> str:
    """Return routes as the function's environment has them, with topics alone: JSON."""
    return json.dumps(
        [_plain(routes.default), {name: _plain(one) for name, one in routes.automations.items()}]
    )


def unpack_routes(text: str) -> Routes:
    """Return the routes that `pack_routes` packed."""
    default, automations = json.loads(text)
    return Routes(_route(default), {name: _route(one) for name, one in automations.items()})


def topics(routes: Routes) -> tuple[str, ...]:
    """Return the targets to which a stack can send."""
    return tuple(target for target in routes.targets() if is_topic(target))


def _plain(route: Route) -> list[list[str]]:
    return [sorted(route.on), list(filter(is_topic, route.to))]


def _route(plain: Sequence[Sequence[str]]) -> Route:
    return Route(frozenset(plain[0]), tuple(plain[1]))
