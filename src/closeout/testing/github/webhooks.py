"""Webhooks of the fake GitHub and their deliveries: really signed, really sent over HTTP, kept for redelivery.

Repositories and organizations have the same ones. The rules of their settings (what is masked, what an update drops)
are what clients get wrong. As on GitHub, the GUID belongs to the event and is shared by all hooks and kept on
redelivery, a delivery's own id is another number, an answer other than 2xx (or none within ten seconds) is a failure,
and nothing is sent twice by itself.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit

from closeout.testing import deliveries, payloads

MASK = "********"
TIMEOUT = 10.0


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
    """The outcome of the last delivery, as `last_response` shows it."""

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


class Sender:
    """Sends events to hooks, each delivery on a thread of its own.

    `names` says where a URL really answers, by its beginning: what DNS does for an API that runs on this machine.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.names: dict[str, str] = {}
        self._now = now
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._numbers = iter(range(12_345_678_901, 99_999_999_999, 7))

    def send(self, owner: HookOwner, event: str, payload: dict[str, Any], guid: str) -> None:
        """Start one delivery for each hook of `owner` that wants `event`."""
        for hook in list(owner.hooks.values()):
            if hook.wants(event):
                self.send_to(owner, hook, event, payload, guid)

    def send_to(self, *what: Any, redelivery: bool = False) -> None:
        """Start one delivery (owner, hook, event, payload, GUID) to this hook alone, whatever it subscribes to."""
        thread = threading.Thread(
            target=self._deliver, args=what, kwargs={"redelivery": redelivery}, daemon=True
        )
        with self._lock:
            self._threads.append(thread)
            thread.start()

    def redeliver(self, owner: HookOwner, number: int) -> bool:
        """Send a delivery again with its own GUID and body. False: unknown."""
        for known in owner.deliveries:
            if known["id"] == number and known["hook_id"] in owner.hooks:
                hook = owner.hooks[known["hook_id"]]
                payload = known["request"]["payload"]
                self.send_to(owner, hook, known["event"], payload, known["guid"], redelivery=True)
                return True
        return False

    def settle(self, timeout: float = 15.0) -> bool:
        """Wait until everything under way was answered."""
        deadline = time.monotonic() + timeout
        while True:
            with self._lock:
                self._threads = [thread for thread in self._threads if thread.is_alive()]
                waiting = list(self._threads)
            if not waiting:
                return True
            if time.monotonic() > deadline:
                return False
            waiting[0].join(0.05)

    def _deliver(
        self,
        owner: HookOwner,
        hook: Hook,
        event: str,
        payload: dict[str, Any],
        guid: str,
        *,
        redelivery: bool,
    ) -> None:
        body = deliveries.encode(payload, form=hook.form)
        headers = deliveries.signed_headers(
            event,
            body,
            hook.secret,
            guid,
            hook.id,
            form=hook.form,
            target_id=owner.id,
            target_type=owner.kind,
        )
        if not hook.secret:
            headers = {key: value for key, value in headers.items() if not key.startswith("X-Hub-Signature")}
        began = time.monotonic()
        code, text, answer = _post(self._address(hook.url), body, headers)
        with self._lock:
            number = next(self._numbers)
        record = {
            "id": number,
            "guid": guid,
            "delivered_at": stamp(self._now()),
            "redelivery": redelivery,
            "duration": round(time.monotonic() - began, 2),
            "status": text,
            "status_code": code,
            "event": event,
            "action": payload.get("action"),
            "installation_id": None,
            "repository_id": (payload.get("repository") or {}).get("id"),
            "hook_id": hook.id,
            "url": hook.url,
            "request": {"headers": headers, "payload": payload},
            "response": {"headers": {}, "payload": answer},
        }
        good = 200 <= code < 300
        hook.last = {"code": code, "status": "active" if good else "failed", "message": text}
        owner.deliveries.insert(0, record)

    def _address(self, url: str) -> str:
        """Return where a hook's URL answers: of several beginnings the longest counts."""
        known = max((name for name in self.names if url.startswith(name)), key=len, default="")
        return self.names[known] + url.removeprefix(known) if known else url


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str, str]:
    """Return (status code, GitHub's word for it, the answer's text); code 0 when there was no answer."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=TIMEOUT)
    try:
        connection.request("POST", parts.path or "/", body, headers)
        response = connection.getresponse()
        text = response.read(65_536).decode("utf-8", "replace")
    except TimeoutError:
        return 0, "timed out", ""
    except (OSError, http.client.HTTPException):
        return 0, "failed to connect to host", ""
    finally:
        connection.close()
    good = 200 <= response.status < 300
    return response.status, "OK" if good else f"Invalid HTTP Response: {response.status}", text


def stamp(now: float) -> str:
    """Return a time as GitHub writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
