"""Wait until GitHub's ping has arrived, and say what became of it.

A hook that exists proves nothing: only a ping that the webhook answered with 200 shows that address, secret and
permissions fit together. GitHub's list of the hook's deliveries is the witness, not this command.
"""

from __future__ import annotations

import time

from closeout.adapters.hooks import Hooks
from closeout.core.errors import ActionFailed, ServiceError, Unavailable
from closeout.ports.clients import HookDelivery

PATIENCE = 30.0
"""Seconds within which a ping should be in GitHub's list."""
EVERY = 0.5

_WHY = {
    401: "the signature is wrong: the webhook's secret differs from the stack's",
    403: "something in front of the receiver rejects it, such as the API's resource policy (`githubAddresses`)",
    404: "there is no webhook at this address",
    429: "the API throttles requests",
}


def ping(hooks: Hooks, hook: int, *, patience: float = PATIENCE) -> HookDelivery:
    """Ping a hook and wait for the answer. Raises as `arrived` does."""
    before = frozenset(delivery.id for delivery in hooks.deliveries(hook))
    hooks.ping(hook)
    return arrived(hooks, hook, before, patience=patience)


def arrived(
    hooks: Hooks, hook: int, before: frozenset[int] = frozenset(), *, patience: float = PATIENCE
) -> HookDelivery:
    """Wait for a ping that is not among the deliveries `before`, answered with 200.

    Raises `ActionFailed` when it was answered otherwise, `Unavailable` when it did not come within `patience` seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        found = _look(hooks, hook, before, last=time.monotonic() >= deadline)
        if found is not None:
            return _accepted(hooks, hook, found)
        if time.monotonic() >= deadline:
            raise Unavailable(
                f"Hook {hook} of {hooks.target.name}: no ping within {patience:g} s in GitHub's list of its deliveries."
                " The hook is not deleted. See Settings → Webhooks → Recent Deliveries, or ping it again."
            )
        time.sleep(EVERY)


def _look(hooks: Hooks, hook: int, before: frozenset[int], *, last: bool) -> HookDelivery | None:
    try:
        listed = hooks.deliveries(hook)
    except ServiceError as error:
        if last or not error.transient:
            raise
        return None
    return next((one for one in listed if one.event == "ping" and one.id not in before), None)


def _accepted(hooks: Hooks, hook: int, delivery: HookDelivery) -> HookDelivery:
    if delivery.status_code == 200:
        return delivery
    answer = (
        f"answered with {delivery.status_code}"
        if delivery.status_code
        else f"not answered ({delivery.status})"
    )
    why = _WHY.get(delivery.status_code)
    raise ActionFailed(
        f"Hook {hook} of {hooks.target.name}: the ping was {answer}{f'; {why}' if why else ''}."
        f" The hook is not deleted (delivery {delivery.id}, GUID {delivery.guid})."
    )
