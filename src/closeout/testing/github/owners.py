"""The part of GitHub's REST API that lists whose repositories there are.

A user's list shows public repositories; the list of the token's user shows what that token may see.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from closeout.testing import payloads
from closeout.testing.github.rights import Refused
from closeout.testing.github.routes import cut_page
from closeout.testing.github.world import World

_PATHS = re.compile(r"/users/([^/]+)|/orgs/([^/]+)/repos|/users/([^/]+)/repos|/user/repos")


def answer(world: World, path: str, query: Mapping[str, str], token: Mapping[str, Any]) -> Any:
    """Return the answer to GET, None if the path is about something else. Raises `Refused`."""
    found = _PATHS.fullmatch(path)
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
        repository.to_json(full=True)
        for repository in sorted(world.repositories.values(), key=lambda each: each.full_name.lower())
        if wanted is None or repository.full_name.partition("/")[0].lower() == wanted.lower()
        if token["repositories"] is None or repository.full_name in token["repositories"]
        if user is None or not repository.private
    ]
    return cut_page(query, shown)
