"""Keys of problems in the ledger's table, and the events of the function that reports them: for synthesis, function and commands.

    problem   problems       problem#<automation>#<key>   with what each target was last told about it
    lease     problems       lease                        which invocation sends messages
    watch     problems       watch                        since when patrol's intervals apply

In one partition, so that one query lists them. Only a problem that is over expires.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from closeout.core.problems import Route, Routes, is_topic
from closeout.stack.patrol import mark_partition
from closeout.stack.table import Item

PROBLEMS = "problems"
"""The partition."""
PROBLEM = "problem#"
"""Prefix of the sort keys."""
TOLD = "told:"
"""Prefix of the attributes that say what a target was told: a JSON list of when, and whether it was told that it is over."""
LEASE_KEY: Item = {"pk": {"S": PROBLEMS}, "sk": {"S": "lease"}}
WATCH = "watch"
"""The sort key of the item that says since when patrol's intervals apply."""
WATCHED = (mark_partition("report"), mark_partition("drill"))
"""The partitions of the marks (`patrol.marks`) that say whether patrol works."""
SECRET = "aws-secretsmanager:"  # noqa: S105 - how a reference begins
"""The secret references that a stack can read."""
TEST: Mapping[str, Any] = {"test": True}
"""The event that asks for a test message to each target; the schedule's asks for what is due."""
CHECK: Mapping[str, Any] = {"check": True}
"""The event that asks whether each URL can be read and sent to. Nothing is sent."""


def problem_key(automation: str, key: str) -> Item:
    """Return the key of a problem: `core.problems.Problem.automation` and `key`."""
    return {"pk": {"S": PROBLEMS}, "sk": {"S": f"{PROBLEM}{automation}#{key}"}}


def pack_routes(routes: Routes) -> str:
    """Return routes as the function's environment has them, with the targets that a stack can send to: JSON.

    A secret is in it by its reference, and never by its value.
    """
    return json.dumps(
        [_plain(routes.default), {name: _plain(one) for name, one in routes.automations.items()}]
    )


def unpack_routes(text: str) -> Routes:
    """Return the routes that `pack_routes` packed."""
    default, automations = json.loads(text)
    return Routes(_route(default), {name: _route(one) for name, one in automations.items()})


def is_notifiable(target: str) -> bool:
    """Return whether a stack can send to a target: to topics, and to URLs in Secrets Manager."""
    return is_topic(target) or is_secret(target)


def is_secret(target: str) -> bool:
    """Return whether a target is a URL in Secrets Manager."""
    return target.startswith(SECRET)


def topics(routes: Routes) -> tuple[str, ...]:
    """Return the topics among the targets."""
    return tuple(filter(is_topic, routes.targets()))


def secrets(routes: Routes) -> tuple[str, ...]:
    """Return the targets whose URLs are in Secrets Manager."""
    return tuple(filter(is_secret, routes.targets()))


def _plain(route: Route) -> list[list[str]]:
    return [sorted(route.on), list(filter(is_notifiable, route.to))]


def _route(plain: Sequence[Sequence[str]]) -> Route:
    return Route(frozenset(plain[0]), tuple(plain[1]))
