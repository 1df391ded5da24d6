"""A closing found through GitHub's API becomes a delivery with the runs that a webhook would have started."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.core import payload as rule
from closeout.core.automation import Automation
from closeout.core.closing import Closing
from closeout.core.errors import BadDelivery, PayloadRefused
from closeout.intake import Decision, Receiver
from closeout.intake.recovered import API, recovered
from closeout.testing import deliveries

AT = "2026-03-14T09:26:53Z"
CLEANUP = Automation(
    name="cleanup",
    triggers=({"event": "pull_request", "types": ["closed"], "branches": ["develop"]},),
    repositories=("acme/*",),
)
CLOSED = deliveries.pull_request(closed_at=AT)
RECEIVER = Receiver.of((CLEANUP,), lambda: (b"secret",))


def told(payload: Any = CLOSED, **given: Any) -> Decision:
    """Return the decision about an event of the list of closed pull requests."""
    return recovered(RECEIVER, payload, **{"heard": "closed-list", "at": 12.5, **given})


def test_a_closing_of_the_list_has_the_runs_of_its_webhook() -> None:
    """The same run id, key and definition; the delivery says how closeout learned of it, and has the payload."""
    body = deliveries.encode(CLOSED)
    headers = deliveries.signed_headers("pull_request", body, "secret", "g-1")
    webhook = RECEIVER.decide(
        {name.lower().encode(): value.encode() for name, value in headers.items()}, body, 1.0
    )
    found = told()
    assert found.runs == webhook.runs
    assert found.runs[0].run_id == Closing(501_001, 1_700_017, AT).run_id("cleanup")
    assert found.delivery is not None
    assert webhook.delivery is not None
    assert (found.delivery.origin, found.delivery.received_at, found.delivery.hook) == (
        "closed-list",
        12.5,
        API,
    )
    assert found.delivery.closing == webhook.delivery.closing == f"501001/1700017/{AT}"
    assert rule.decode(found.delivery.body) == CLOSED
    assert found.delivery.form is False


def test_a_closing_reported_twice_is_one_delivery() -> None:
    """Closed again later, it is another one."""
    again = told(deliveries.pull_request(closed_at="2026-03-14T09:26:54Z"))
    assert told().delivery == told().delivery
    assert again.delivery is not None
    assert (told().delivery or again.delivery).guid != again.delivery.guid


def test_a_closing_under_another_repository_name_is_another_delivery() -> None:
    """A further attempt reads it: the old name may match no automation any more. The run is the same."""
    renamed = told(deliveries.pull_request(closed_at=AT, repository="acme/renamed"))
    first = told()
    assert renamed.delivery is not None
    assert first.delivery is not None
    assert renamed.delivery.guid != first.delivery.guid
    assert renamed.delivery.closing == first.delivery.closing
    assert [run.run_id for run in renamed.runs] == [run.run_id for run in first.runs]


def test_no_header_can_name_a_delivery_of_the_api() -> None:
    """Headers are unsigned: a webhook in its place would make the closing a duplicate that starts nothing."""
    delivery = told().delivery
    assert delivery is not None
    body = deliveries.encode(CLOSED)
    for guid, hook in ((delivery.guid, "77"), ("g-1", delivery.hook)):
        headers = deliveries.signed_headers("pull_request", body, "secret", guid, 1) | {
            "X-GitHub-Hook-ID": hook
        }
        raw = {name.lower().encode(): value.encode() for name, value in headers.items()}
        with pytest.raises(BadDelivery, match="not plain ASCII"):
            RECEIVER.decide(raw, body, 1.0)


def test_an_entry_of_the_delivery_log_equals_its_webhook() -> None:
    """If the webhook still arrives, it is a duplicate."""
    found = told(heard="delivery-log", hook="400001", guid="g-1").delivery
    assert found is not None
    assert (found.hook, found.guid, found.origin) == ("400001", "g-1", "delivery-log")


def test_other_triggers_start_nothing() -> None:
    """The same filters apply as for a webhook."""
    assert told(deliveries.pull_request(closed_at=AT, base="main")).runs == ()
    assert told(deliveries.pull_request(closed_at=AT, repository="other/shop")).runs == ()


@pytest.mark.parametrize(
    "payload", [deliveries.pull_request("reopened"), {}, {**CLOSED, "pull_request": {**CLOSED["pull_request"], "closed_at": None}}]
)  # fmt: skip
def test_an_event_without_closing_and_guid_is_refused(payload: Any) -> None:
    """Two answers of the API about it could not be distinguished."""
    with pytest.raises(BadDelivery, match="which pull request was closed, and when"):
        told(payload)


def test_a_payload_that_no_webhook_could_carry_is_refused() -> None:
    """The payload rule applies to the API's answers too."""
    with pytest.raises(PayloadRefused):
        told({**CLOSED, "text": "\ud800"})
