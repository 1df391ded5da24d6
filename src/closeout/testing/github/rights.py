"""What a fine-grained token of the fake GitHub may do in a repository, by method and path.

As on GitHub, a right that is missing gives 403 with the header that names it, and a token without rights still sees the
repository itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LIMITS: Mapping[str, Any] = {"repositories": None, "scopes": None, "rights": None}
"""What a token may be limited to: repositories that it sees, scopes of a classic one (named in each answer), rights of a
fine-grained one (`{"statuses": "write"}`). None: no limit."""
NEEDED: tuple[tuple[str, str, str], ...] = (
    (r"/pulls(/.*)?", "pull_requests", "read"),
    (r"/statuses/.*", "statuses", "write"),
    (r"/git/.*", "contents", "read"),
    (r"/deployments(/.*)?", "deployments", "read"),
    (r"/issues/events", "issues", "read"),
    (r"/actions/.*", "actions", "read"),
    (r"/hooks(/.*)?", "repository_hooks", "read"),
)
"""Pattern of the path below the repository, right, level. A change by another method than GET needs `write`, but for pings."""


class Refused(Exception):
    """GitHub answers with an error: an HTTP status, its message, and headers."""

    def __init__(self, status: int, message: str, errors: list[Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers: dict[str, str] = {}
        self.message = message
        self.errors = errors


def check(rights: Mapping[str, str] | None, method: str, path: str) -> None:
    """Raise `Refused` if a token with these rights may not. None: it may do everything."""
    if rights is None:
        return
    for pattern, right, level in NEEDED:
        if re.fullmatch(pattern, path):
            changes = method != "GET" and not path.endswith("/pings")
            needed = "write" if changes else level
            if rights.get(right) not in ("write", needed):
                refused = Refused(403, "Resource not accessible by personal access token")
                refused.headers["X-Accepted-GitHub-Permissions"] = f"{right}={needed}"
                raise refused
