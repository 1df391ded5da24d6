"""Take in what GitHub's API told: a delivery with the runs that it starts, as if its webhook had come.

No signature is checked: the origin is GitHub's API over TLS. The payload goes through the rule of all payloads, and its
runs come from the same matching as a webhook's, so that whichever comes first starts them and the other adds nothing.
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
"""The hook of a delivery that came through none. No header can carry the space, so no webhook can take this place."""


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
    """Return the delivery of an event that GitHub's API told of, and the runs that it starts, ready for a ledger.

    `heard` is one of `core.closing.HEARD` and becomes the delivery's origin; `at` is when it was heard, in seconds since
    the epoch. An entry of the delivery log gives its `hook` and `guid`, so that its webhook, should it still come, is the
    same delivery. Without a `guid`, a closing and its repository's name give the delivery its name: told twice, it is one
    delivery. Told after a rename it is another one, or a further attempt would read the payload with the old name, which matches
    no automation any more. The name has a space, as has every GUID that GitHub did not give, because a webhook's headers are
    not signed.

    Raises `BadDelivery` for a payload that no webhook could carry (`PayloadRefused`), and for one without a GUID that is
    not a whole closing.
    """
    body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    rule.decode(body)
    decision = receiver.decided(Headers(event, guid or "", hook, form=False), body, body, at, heard)
    if guid is not None or decision.delivery is None:
        return decision
    closing = decision.delivery.closing
    if closing is None:
        raise BadDelivery("the API's answer does not say which pull request was closed, and when")
    told = f"{closing} {decision.delivery.repository}"
    return decision._replace(delivery=decision.delivery._replace(guid=f"closing {short_digest(told)}"))
