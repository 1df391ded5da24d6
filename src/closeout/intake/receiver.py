"""Decide what a request is: unauthorized, not a delivery, a ping, or a delivery with the runs that it starts.

Bytes and headers in, a value or a named error out. No socket, clock or thread is known here, so every rule of the
door is tested without one, and the ASGI glue (`closeout.server.webhook`) stays a few lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from closeout.core import ids, keys, payload, signature, triggers
from closeout.core.automation import Automation
from closeout.core.delivery import read_headers
from closeout.core.facts import Facts
from closeout.intake import decode
from closeout.intake.door import SIGNATURE
from closeout.ports import NewDelivery, NewRun

Secrets = Callable[[], Sequence[bytes]]
"""Gives every active secret from memory, newest first. Never empty: a server without one does not start."""


class Decision(NamedTuple):
    """A verified delivery and the runs that it starts; a ping has neither."""

    delivery: NewDelivery | None
    runs: tuple[NewRun, ...] = ()


class _Candidate(NamedTuple):
    """An automation and what is the same for all its runs."""

    automation: Automation
    definition: str


class Receiver:
    """Verifies, decodes and matches. `secrets` is asked anew for each request, so that a rotation is seen."""

    def __init__(self, *, automations: Sequence[Automation], secrets: Secrets) -> None:
        self._secrets = secrets
        self._by_event: dict[str, tuple[_Candidate, ...]] = {}
        for automation in automations:
            candidate = _Candidate(automation, automation.canonical())
            for event in dict.fromkeys(str(trigger["event"]) for trigger in automation.triggers):
                self._by_event[event] = (*self._by_event.get(event, ()), candidate)

    def verify(self, headers: Mapping[bytes, bytes], body: bytes) -> None:
        """Check the signature over the raw body with every active secret. Raises Unauthorized."""
        signature.verify(body, headers.get(SIGNATURE), self._secrets())

    def decide(self, headers: Mapping[bytes, bytes], body: bytes, received_at: float) -> Decision:
        """Say what a verified request is. `received_at` is in seconds since the epoch.

        Raises BadDelivery (PayloadRefused among them); nothing else, whatever the bytes are.
        """
        head = read_headers(headers.get)
        text = payload.from_form(body) if head.form else body
        payload.door(text)
        facts = decode.facts(head.event, text)
        if head.event == "ping":
            return Decision(None)
        delivery = NewDelivery(
            hook=head.hook,
            guid=head.guid,
            event=head.event,
            action=facts.action,
            repository=facts.repository,
            body=body,
            form=head.form,
            received_at=received_at,
            origin="github",
        )
        return Decision(delivery, self._runs(head.guid, facts, text))

    def runs(self, event: str, guid: str, text: bytes) -> tuple[NewRun, ...]:
        """Match a kept delivery's payload (JSON text) again: what a replay would start."""
        return self._runs(guid, decode.facts(event, text), text)

    def _runs(self, guid: str, facts: Facts, text: bytes) -> tuple[NewRun, ...]:
        candidates = self._by_event.get(facts.event)
        if candidates is None or facts.own:
            return ()
        lookup = _Lookup(text)
        return tuple(
            NewRun(
                run_id=ids.run_id(guid, automation.name),
                automation=automation.name,
                key=keys.concurrency_key(automation.name, automation.concurrency, facts, lookup),
                definition=definition,
                queue_timeout=automation.queue_timeout,
            )
            for automation, definition in candidates
            if triggers.match(automation.triggers, automation.repositories, automation.senders, facts).matched
        )


class _Lookup:
    """Reads one path of the payload; the payload is decoded in full only if a key's template asks."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._look: Callable[[str], Any] | None = None

    def __call__(self, path: str) -> Any:
        if self._look is None:
            self._look = keys.look_in(payload.decode(self._text))
        return self._look(path)
