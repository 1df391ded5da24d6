"""Which deliveries close problems: only a reopened pull request, and only those of its earlier closings."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from closeout.core.records import NewDelivery
from closeout.ledger.problems import ProblemClosure, of_reopened

PAYLOAD: dict[str, Any] = {
    "repository": {"id": 1},
    "pull_request": {"id": 2, "updated_at": "2026-03-14T09:26:53Z"},
}


def of(
    payload: Any, event: str = "pull_request", action: str = "reopened", *, form: bool = False
) -> ProblemClosure | None:
    """Return what a delivery closes."""
    text = json.dumps(payload)
    body = f"payload={quote(text)}" if form else text
    return of_reopened(
        NewDelivery("h", "g", event, action, "acme/shop", body.encode(), form, 1.0, "github", 17)
    )


@pytest.mark.parametrize("form", [False, True])
def test_a_reopened_pull_request_closes_the_problems_of_its_closings(form: bool) -> None:
    """Up to the time at which GitHub changed it."""
    assert of(PAYLOAD, form=form) == ProblemClosure("1/2/", "1/2/2026-03-14T09:26:53Z", "reopened")


@pytest.mark.parametrize(
    "payload",
    [
        {},
        PAYLOAD | {"repository": {"id": "1"}},
        PAYLOAD | {"pull_request": {"id": None, "updated_at": "2026-03-14T09:26:53Z"}},
        PAYLOAD | {"pull_request": {"id": 2}},
        PAYLOAD | {"pull_request": {"id": 2, "updated_at": 5}},
    ],
)
def test_an_incomplete_payload_closes_nothing(payload: Any) -> None:
    """Whichever half is missing."""
    assert of(payload) is None


@pytest.mark.parametrize(("event", "action"), [("pull_request", "closed"), ("issues", "reopened")])
def test_another_event_closes_nothing(event: str, action: str) -> None:
    """A closing opens problems through its run."""
    assert of(PAYLOAD, event, action) is None
