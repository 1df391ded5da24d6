"""Decide what a request is: unauthorized, not a delivery, a ping, or a delivery with the runs that it starts.

Bytes and headers in, a value or a named error out. It uses no socket, clock or thread, so every rule is tested without
one, and both receivers (`closeout.server.webhook`, `closeout.lambdas.receiver_app`) decide in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

from closeout.core import ids, keys, payload, signature, triggers
from closeout.core.closing import Closing, closing_of
from closeout.core.delivery import Headers, read_headers
from closeout.core.facts import Facts, facts_of
from closeout.core.records import NewDelivery, NewRun
from closeout.core.rules import Rule, rules_of
from closeout.intake.headers import SIGNATURE

if TYPE_CHECKING:
    from closeout.core.automation import Automation

Secrets: TypeAlias = Callable[[], Sequence[bytes]]
"""Returns every active secret from memory, newest first. Never empty: a server without one does not start."""


class Decision(NamedTuple):
    """A verified delivery and the runs that it starts; a ping has neither."""

    delivery: NewDelivery | None
    runs: tuple[NewRun, ...] = ()


ReadFacts = Callable[[str, bytes, tuple[str, ...]], Facts]
"""Returns the facts of an event's JSON text; the last argument is the status contexts that closeout itself sets."""


def plain_facts(event: str, text: bytes, own_contexts: tuple[str, ...] = ()) -> Facts:
    """Read the facts with the standard library, as leniently as `decode.facts`. Raises PayloadRefused."""
    return facts_of(event, payload.decode_for_matching(text), own_contexts)


class Receiver:
    """Verifies, decodes and matches. It calls `secrets` for each request, so a rotation takes effect at once."""

    def __init__(
        self,
        rules: Sequence[Rule],
        contexts: tuple[str, ...],
        secrets: Secrets,
        facts: ReadFacts = plain_facts,
    ) -> None:
        self._secrets = secrets
        self._contexts = contexts
        self._facts = facts
        self._rules = rules

    @classmethod
    def of(cls, automations: Sequence[Automation], secrets: Secrets) -> Self:
        """Return the receiver of a configuration, with the fast decoder."""
        from closeout.core.automation import status_contexts  # noqa: PLC0415 - not for the receiver on AWS
        from closeout.intake import decode  # noqa: PLC0415

        return cls(rules_of(automations), status_contexts(automations), secrets, decode.facts)

    def verify(self, headers: Mapping[bytes, bytes], body: bytes) -> None:
        """Check the signature over the raw body with every active secret. Raises Unauthorized."""
        signature.verify(body, headers.get(SIGNATURE), self._secrets())

    def check(self) -> signature.Check:
        """Return a check for a body that arrives in pieces, with the secrets that are active now."""
        return signature.Check(self._secrets())

    def decide(self, headers: Mapping[bytes, bytes], body: bytes, received_at: float) -> Decision:
        """Decide what a verified request is. `received_at` is in seconds since the epoch.

        For any bytes it raises only BadDelivery (PayloadRefused is one).
        """
        head = read_headers(headers.get)
        text = payload.from_form(body) if head.form else body
        payload.check_bytes(text)
        if head.event == "ping":
            self._facts(head.event, text, self._contexts)  # which refuses what is not JSON
            return Decision(None)
        return self.decided(head, body, text, received_at)

    def decided(
        self, head: Headers, body: bytes, text: bytes, received_at: float, origin: str = "github"
    ) -> Decision:
        """Return an event as a delivery with its runs. `text` is the JSON in the body."""
        facts = self._facts(head.event, text, self._contexts)
        closing = closing_of(facts)
        delivery = NewDelivery(
            hook=head.hook,
            guid=head.guid,
            event=head.event,
            action=facts.action,
            repository=facts.repository,
            body=body,
            form=head.form,
            received_at=received_at,
            origin=origin,
            number=facts.number,
            closing=None if closing is None else str(closing),
        )
        return Decision(delivery, self._runs(head.guid, facts, closing, text))

    def runs(self, event: str, guid: str, text: bytes) -> tuple[NewRun, ...]:
        """Return the runs that a replay of a stored delivery would start. `text` is its payload as JSON."""
        facts = self._facts(event, text, self._contexts)
        return self._runs(guid, facts, closing_of(facts), text)

    def _runs(self, guid: str, facts: Facts, closing: Closing | None, text: bytes) -> tuple[NewRun, ...]:

        decoded = cache(partial(payload.decode, text))  # which only some templates need

        def look(path: str) -> Any:
            return keys.lookup_of(decoded())(path)

        return tuple(
            NewRun(
                closing.run_id(rule.name) if closing else ids.run_id(guid, rule.name),
                rule.name,
                keys.concurrency_key(rule.name, rule.concurrency, facts, look),
                rule.definition,
                rule.queue_timeout,
            )
            for rule in self._rules
            if _starts(rule, facts)
        )


def _starts(rule: Rule, facts: Facts) -> bool:
    """Whether a run starts. The run asks for earlier bases itself, because GitHub may answer us later than it waits for us."""
    filters = (rule.triggers, rule.repositories, rule.senders, facts)
    return triggers.match(*filters).matched or (rule.bases == "ever" and triggers.is_candidate(*filters))
