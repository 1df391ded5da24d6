"""The control API under `/_control/`: what a person would do on github.com, for another process that drives the fake.

The demo and the tutorial are such processes. It needs no token. A test in the same process uses `FakeGitHub.world` and
`.faults`, which can do more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from closeout.testing.github.rights import Refused

if TYPE_CHECKING:
    from closeout.testing.github.server import FakeGitHub

_PULL_ACTIONS = {"close": "closed", "reopen": "reopened"}


def answer(
    fake: FakeGitHub, method: str, path: str, body: Mapping[str, Any], query: Mapping[str, str]
) -> Any:
    """Carry out one control request; `path` is what follows `/_control/`. Raises `Refused`, and `TypeError` for unknown options."""
    if (method, path) == ("POST", "repositories"):
        return fake.world.add_repository(**body).to_json()
    found = re.fullmatch(r"repositories/([^/]+/[^/]+)/([a-z]+)(?:/(\d+)/([a-z]+))?", path)
    if found is None:
        raise Refused(404, f"no control request {method} {path}")
    name, kind, number, verb = found.groups()
    repository = fake.world.repository(name)
    match method, kind, verb:
        case "POST", "hooks", None:
            return fake.add_hook(name, **body).to_json(repository)
        case "POST", "pulls", None:
            pull = fake.world.open_pull(name, **body)
        case "POST", "pulls", "close" | "reopen":
            options = dict(body)
            wait = options.pop("wait", False)
            pull = fake.world.change_pull(name, int(number), _PULL_ACTIONS[verb], **options)
            if wait:
                fake.sender.settle()
        case "GET", "deliveries", None:
            fake.sender.settle(float(query.get("settle", "0")))
            return repository.deliveries
        case _:
            raise Refused(404, f"no control request {method} {path}")
    return fake.world.pull_payload(repository, pull)["pull_request"]
