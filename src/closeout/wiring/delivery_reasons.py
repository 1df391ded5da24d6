"""One delivery, and for each current automation whether it would start a run, and why.

It calls the functions that `closeout explain` calls, without GitHub: what only GitHub knows is reported as undecided.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from closeout.core.automation import Automation
from closeout.core.closing import WEBHOOK, heard_by
from closeout.core.errors import CloseoutError
from closeout.core.payload import decode
from closeout.ports import DeliveryId, DeliveryView, RunReader
from closeout.run.explain import FAIL, explain

MOST_TEXT = 300_000
"""Characters of a payload that are shown. Taking secrets out of a payload of 25 MB would take a quarter of a minute."""


class Reason(NamedTuple):
    """What the delivery would cause in one automation today."""

    automation: str
    matched: bool
    outcome: str
    """As `run.explain` has it: `run skip fail nothing unknown`."""
    reason: str
    code: str | None = None
    """The code of an error."""


class DeliveryDetail(NamedTuple):
    """A delivery, as people see it."""

    delivery: DeliveryView
    headers: tuple[tuple[str, str], ...]
    """Those that are stored; none for a delivery that no webhook brought."""
    payload: str
    """Indented JSON, without secrets; unchanged if it is not JSON; empty if it is gone."""
    is_cut: bool
    """Whether the payload is longer than what is shown."""
    reasons: tuple[Reason, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object of the JSON API."""
        return {
            **self.delivery.to_json(),
            "automations": [reason._asdict() for reason in self.reasons],
            "payload": self.payload,
            "payload_is_cut": self.is_cut,
        }


def read_delivery(
    reader: RunReader,
    delivery_id: DeliveryId,
    automations: Sequence[Automation],
    redact: Callable[[str], str] = str,
) -> DeliveryDetail | None:
    """Return a delivery with its reasons, None if there is none. Raises `StoreUnavailable`, or `LedgerError` for a damaged one."""
    delivery = reader.delivery(delivery_id)
    if delivery is None:
        return None
    body = reader.body(delivery_id)
    try:
        payload = decode(body)
        text = json.dumps(payload, indent=2, ensure_ascii=False)
        rows = explain(automations, delivery.event, payload)
        reasons = tuple(
            Reason(row["name"], row["matched"], row["outcome"], redact(row["reason"]), row.get("code"))
            for row in rows
        )
    except CloseoutError as error:
        text = body.decode("utf-8", "replace")
        reasons = tuple(
            Reason(one.name, False, FAIL, redact(error.message), error.code) for one in automations
        )
    is_cut = len(text) > MOST_TEXT
    if is_cut:
        text = text[:MOST_TEXT].rpartition("\n")[0]  # between values: half a secret would not be recognized
    headers = (
        ("X-GitHub-Event", delivery.event),
        ("X-GitHub-Delivery", delivery.guid),
        ("X-GitHub-Hook-ID", delivery.hook),
    )
    by_webhook = heard_by(delivery.origin) == WEBHOOK
    return DeliveryDetail(delivery, headers if by_webhook else (), redact(text), is_cut, reasons)
