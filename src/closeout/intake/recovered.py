"""Accept an event that GitHub's API reports: a delivery with the runs that it starts, as if its webhook had arrived.

No signature is checked, because the origin is GitHub's API over TLS. The payload is checked like all payloads, and its
runs come from the same matching as a webhook's, so that the first of the two starts them and the other adds nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from closeout.core import payload as rule
from closeout.core.closing import EVENT
from closeout.core.delivery import Headers
from closeout.core.errors import BadDelivery
from closeout.core.ids import short_digest
from closeout.intake.receiver import Decision, Receiver

API = "closeout api"
"""The hook of a delivery without a webhook. No header can contain the space, so no webhook can have this name."""


def recovered(
    receiver: Receiver,
    payload: Mapping[str, Any],
    *,
    heard: str,
    at: float,
    event: str = EVENT,
    hook: str = API,
    guid: str | None = None,
) -> Decision:
    """Return the delivery of an event that GitHub's API reports, and the runs that it starts, ready for a ledger.

    `heard` is one of `core.closing.HEARD` and becomes the delivery's origin; `at` is when it was read, in seconds since
    the epoch. For an entry of the delivery log `hook` and `guid` are the entry's, so that a webhook that still arrives is the
    same delivery. Without a `guid`, the delivery is named after the closing and its repository's name, so that a second report
    is the same delivery. After a rename it is another one: otherwise a further attempt would read the payload with the old
    name, which no longer matches any automation. Like every GUID that is not GitHub's, the name contains a space, because a
    webhook's headers are not signed.

    Raises `BadDelivery` for a payload that no webhook could contain (`PayloadRefused`), and for one without a GUID that is
    not a complete closing.
    """
    body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    rule.decode(body)
    decision = receiver.decided(Headers(event, guid or "", hook, form=False), body, body, at, heard)
    if guid is not None or decision.delivery is None:
        return decision
    closing = decision.delivery.closing
    if closing is None:
        raise BadDelivery("the API's answer does not say which pull request was closed, and when")
    identity = f"{closing} {decision.delivery.repository}"
    return decision._replace(delivery=decision.delivery._replace(guid=f"closing {short_digest(identity)}"))
