"""Replay a delivery that did not arrive and that patrol left alone: a person has decided that it still counts.

It is read from GitHub's delivery log again, stored as recovered without a run, and then replayed like any stored delivery.
On a stack, patrol's function does the first part, because only it has the token, and the command does the second with the
person's rights: somebody who may only start that function cannot replay an old delivery.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from closeout.core.errors import NotFound, ServiceError, Unavailable
from closeout.core.units import MINUTE
from closeout.patrol.delivery_log import Entry, read_payload
from closeout.patrol.ignored import IGNORED, Ignored, ignored
from closeout.ports import DeliveryId, GitHubReads
from closeout.ports.patrol import Marks
from closeout.wiring.api_intake import ApiIntake

KIND = "recover"
"""The request's kind in the ledger; its target is a GUID."""
AT_ONCE = 8
"""Deliveries that are looked up in the ledger at a time: on a stack, each is a read of the table."""


def left_alone(store: Marks, now: float) -> list[Ignored]:
    """Return the deliveries that can still be recovered, the newest first."""
    found = ignored(store.marks(IGNORED).values(), now)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        stored = list(pool.map(lambda each: store.has_delivery(str(each.hook), each.guid), found))
    return [each for each, there in zip(found, stored, strict=True) if not there]


def named(store: Marks, now: float, guid: str) -> Ignored:
    """Return the delivery of a GUID that patrol left alone, stored since or not. Raises `NotFound`."""
    found = next((each for each in ignored(store.marks(IGNORED).values(), now) if each.guid == guid), None)
    if found is None:
        raise NotFound(
            f"No delivery {guid} is left to recover; `closeout deliveries list --ignored` shows which are, and GitHub"
            " keeps each for three days."
        )
    return found


def find(store: Marks, now: float, guid: str) -> Ignored:
    """Return one that can still be recovered by its GUID. Raises `NotFound`."""
    each = named(store, now, guid)
    if store.has_delivery(str(each.hook), guid):
        raise NotFound(f"Delivery {guid} is in the ledger already: `closeout deliveries list` shows its ID.")
    return each


def read(github: GitHubReads, each: Ignored) -> Mapping[str, Any]:
    """Return the payload of one of them from GitHub's log. Raises `Unavailable`, which says what to do."""
    try:
        return read_payload(github, each.path, each.id, each.guid)
    except ServiceError as error:
        raise Unavailable(f"{error.message}. {_advice(error)}") from error


def take_in(github: GitHubReads, intake: ApiIntake, each: Ignored) -> DeliveryId:
    """Store one of them without a run; return its id, also if it is stored already. Raises as `read` does, or `NotFound`."""
    payload = read(github, each)
    entry = Entry(each.id, each.guid, each.event, each.action, each.delivered_at, again=False)
    delivery = intake.store_delivery(each.hook, entry, payload, frozenset())
    if delivery is None:
        raise NotFound(f"Delivery {each.guid} is a ping, which starts nothing.")
    return delivery


class Recovery(NamedTuple):
    """Carries out requests to recover, over one ledger."""

    github: GitHubReads
    intake: ApiIntake

    def replay(self, guid: str, by: str) -> str:
        """Store a delivery that was left alone and start what it matches; return the executions, or why there are none.

        Raises as `find` and `take_in` do, and then nothing is stored. The runs are stored by the replay, which says who asked.
        """
        each = find(self.intake.store, self.intake.now(), guid)
        return self.intake.reruns.replay(take_in(self.github, self.intake, each), by)


def _advice(error: ServiceError) -> str:
    """Say what to do about a delivery that GitHub did not show. A 404 may mean an expired one or a missing right."""
    if error.reason in ("401", "403", "404"):
        return (
            "GitHub keeps a delivery for three days and shows it to a token that may read the webhook; `closeout drill`"
            " says whether yours may."
        )
    minutes = round((error.retry_after or 0.0) / MINUTE) or 1
    return f"Nothing was stored; try again in {minutes} min."
