"""Webhook deliveries of the fake GitHub: really signed, really sent over HTTP, kept for redelivery.

As on GitHub: the GUID belongs to the event and is shared by all hooks and kept on redelivery, a delivery's own
id is another number, an answer other than 2xx (or none within ten seconds) is a failure, and nothing is sent
twice by itself.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from closeout.testing import deliveries
from closeout.testing.github.webhooks import Hook, HookOwner
from closeout.testing.github.world import stamp

TIMEOUT = 10.0


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
