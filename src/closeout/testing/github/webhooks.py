"""Webhooks as the fake GitHub keeps them: of a repository or of an organization, with the secret that signs.

Apart from the rest of the world, because both kinds of owner have the same ones, and because the rules of their
settings (what is masked, what an update drops) are what clients get wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from closeout.testing import payloads

MASK = "********"


@dataclass(slots=True)
class Hook:
    """A webhook. An empty `secret`: it has none."""

    id: int
    url: str
    secret: str
    events: tuple[str, ...]
    form: bool
    active: bool = True
    insecure: bool = False
    updated_at: str = payloads.WHEN
    last: dict[str, Any] = field(default_factory=lambda: {"code": None, "status": "unused", "message": None})
    """What became of the last delivery, as `last_response` shows it."""

    def wants(self, event: str) -> bool:
        """Whether this hook subscribes to `event`."""
        return self.active and (event == "ping" or "*" in self.events or event in self.events)

    def configure(self, config: Mapping[str, Any], *, whole: bool = False) -> None:
        """Change the settings that are given; with `whole` a secret that is left out is removed."""
        self.url = str(config.get("url", self.url))
        self.form = config.get("content_type", "form" if self.form else "json") == "form"
        self.insecure = str(config.get("insecure_ssl", "1" if self.insecure else "0")) == "1"
        if whole or "secret" in config:
            self.secret = str(config.get("secret", ""))

    def config(self) -> dict[str, Any]:
        """Return the settings as the API shows them: the secret is masked."""
        return {
            "url": self.url,
            "content_type": "form" if self.form else "json",
            "insecure_ssl": "1" if self.insecure else "0",
            **({"secret": MASK} if self.secret else {}),
        }

    def to_json(self, owner: HookOwner) -> dict[str, Any]:
        """Return the hook as the API shows it; only a repository's has `last_response` and `test_url`."""
        base = f"{payloads.API}{owner.path}/hooks/{self.id}"
        of_repository = owner.kind == "repository"
        return {
            "type": "Repository" if of_repository else "Organization",
            "id": self.id,
            "name": "web",
            "active": self.active,
            "events": list(self.events),
            "config": self.config(),
            "url": base,
            "ping_url": f"{base}/pings",
            "deliveries_url": f"{base}/deliveries",
            "created_at": payloads.WHEN,
            "updated_at": self.updated_at,
            **({"test_url": f"{base}/test", "last_response": dict(self.last)} if of_repository else {}),
        }


@dataclass(slots=True, kw_only=True)
class HookOwner:
    """Who has hooks: a repository or an organization."""

    kind: ClassVar[str]
    """`repository` or `organization`, as in X-GitHub-Hook-Installation-Target-Type."""
    id: int
    hooks: dict[int, Hook] = field(default_factory=dict)
    deliveries: list[dict[str, Any]] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Its path in the API."""
        raise NotImplementedError


@dataclass(slots=True, kw_only=True)
class Organization(HookOwner):
    """An organization: only its hooks are of interest."""

    kind = "organization"
    login: str

    @property
    def path(self) -> str:
        """Its path in the API."""
        return f"/orgs/{self.login}"
