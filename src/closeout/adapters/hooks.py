"""The webhooks of a repository or an organization, over GitHub's API.

They are separate from `adapters.github`, because no run touches a hook: only commands do, with a token of their own.
This API has one trap: an update of the hook itself removes the secret unless the update contains it, so a new secret
is set through the hook's `config`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from closeout.core.errors import ServiceError, UsageError
from closeout.core.url import same_webhook
from closeout.ports import GitHubRequests, Json
from closeout.ports.clients import Hook, HookDelivery

PAGE = 100
MAX_PAGES = 10
"""Hooks that are read: GitHub allows 20 for each event, so no owner has as many."""

_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}")
_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]{1,100}")


class Target(NamedTuple):
    """The owner of hooks: `acme/shop`, or the organization `acme`."""

    name: str

    @property
    def organization(self) -> bool:
        """Whether it is an organization."""
        return "/" not in self.name

    @property
    def path(self) -> str:
        """Its path in the API."""
        return f"/orgs/{self.name}" if self.organization else f"/repos/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read `OWNER/NAME` or `ORGANIZATION`. Raises `UsageError`."""
        owner, slash, name = text.partition("/")
        if not _LOGIN.fullmatch(owner) or (
            slash and (not _REPOSITORY.fullmatch(name) or name in (".", ".."))
        ):
            raise UsageError(f"{text!r} is neither a repository (acme/shop) nor an organization (acme).")
        return cls(text)


class Hooks:
    """The hooks of one target. Every method raises `ServiceError`; with `hints` it says what a token needs to write hooks."""

    def __init__(self, github: GitHubRequests, target: Target, *, hints: bool = True) -> None:
        self._github = github
        self.target = target
        self._hints = hints

    def all(self) -> tuple[Hook, ...]:
        """Return every hook."""
        found: list[Hook] = []
        for page in range(1, MAX_PAGES + 1):
            answer = self._call("GET", "/hooks", query={"per_page": str(PAGE), "page": str(page)})
            found += [_hook(entry) for entry in _listed(answer)]
            if len(answer) < PAGE:
                break
        return tuple(found)

    def reaching(self, url: str) -> tuple[Hook, ...]:
        """Return the hooks whose deliveries arrive at this webhook, under either of its paths."""
        return tuple(hook for hook in self.all() if same_webhook(hook.url, url))

    def create(self, url: str, secret: str, events: Sequence[str]) -> Hook:
        """Create a hook; GitHub pings it at once."""
        body = {"name": "web", "active": True, "events": list(events), "config": _config(url, secret)}
        return _hook(self._call("POST", "/hooks", body=body, secret=secret))

    def update(self, hook: int, url: str, secret: str, events: Sequence[str]) -> Hook:
        """Replace all settings of a hook, including its secret."""
        body = {"active": True, "events": list(events), "config": _config(url, secret)}
        return _hook(self._call("PATCH", f"/hooks/{hook}", body=body, secret=secret))

    def set_secret(self, hook: int, secret: str) -> None:
        """Change only the secret; setting the same one again changes nothing."""
        self._call("PATCH", f"/hooks/{hook}/config", body={"secret": secret}, secret=secret)

    def ping(self, hook: int) -> None:
        """Ask GitHub to send a `ping`."""
        self._call("POST", f"/hooks/{hook}/pings")

    def delete(self, hook: int) -> None:
        """Remove a hook."""
        self._call("DELETE", f"/hooks/{hook}")

    def deliveries(self, hook: int) -> tuple[HookDelivery, ...]:
        """Return the latest deliveries (at most 100), the newest first."""
        answer = self._call("GET", f"/hooks/{hook}/deliveries", query={"per_page": str(PAGE)})
        return tuple(_delivery(entry) for entry in _listed(answer))

    def _call(self, method: str, path: str, *, secret: str | None = None, **asked: Any) -> Any:
        try:
            return self._github.request(method, self.target.path + path, **asked)
        except ServiceError as error:
            text = error.message.replace(secret, "***") if secret else error.message
            error.message = text + (_hint(self.target, error) if self._hints else "")
            error.args = (error.message,)
            raise error from None


def _config(url: str, secret: str) -> dict[str, Json]:
    return {"url": url, "content_type": "json", "insecure_ssl": "0", "secret": secret}


def _hint(target: Target, error: ServiceError) -> str:
    """Return what the token may lack: GitHub answers 404 for what it may not see."""
    if error.transient or error.http_status not in (403, 404):
        return ""
    if target.organization:
        return (
            f"; is there an organization {target.name}, and is the token one of its owner's, with"
            " `Webhooks: write` on the organization (classic: admin:org_hook)?"
        )
    return (
        f"; is there a repository {target.name}, and has the token `Webhooks: write` on it"
        " (classic: admin:repo_hook)?"
    )


def _listed(answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise _unusable("a list")
    return answer


def _hook(entry: Any) -> Hook:
    try:
        config = entry["config"]
        return Hook(
            id=int(entry["id"]),
            url=str(config.get("url", "")),
            events=tuple(str(event) for event in entry["events"]),
            active=bool(entry["active"]),
            content_type=str(config.get("content_type", "form")),
            insecure=str(config.get("insecure_ssl", "0")) != "0",
            last_code=(entry.get("last_response") or {}).get("code"),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise _unusable("a webhook") from None


def _delivery(entry: Any) -> HookDelivery:
    try:
        return HookDelivery(
            id=int(entry["id"]),
            guid=str(entry["guid"]),
            event=str(entry["event"]),
            status=str(entry["status"]),
            status_code=int(entry["status_code"]),
            delivered_at=str(entry["delivered_at"]),
        )
    except (KeyError, TypeError, ValueError):
        raise _unusable("a delivery") from None


def _unusable(what: str) -> ServiceError:
    return ServiceError(
        f"GitHub: the answer is not {what}, as was asked for",
        service="github",
        operation="hooks",
        reason="unusable-answer",
        transient=True,
    )
