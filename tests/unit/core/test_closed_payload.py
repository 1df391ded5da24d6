"""The payload made from GitHub's API has a webhook's shape, by GitHub's own description and from GitHub's own examples."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from openapi_schema_validator import OAS30Validator

from closeout import livecheck
from closeout.core.closed_payload import UNLISTED, closed_by, closed_payload, closers
from closeout.core.closing import closing_of
from closeout.core.facts import facts_of
from closeout.testing import deliveries
from tests import openapi

DESCRIBED: dict[str, Any] = json.loads(Path(openapi.__file__).with_name("closed.json").read_text("utf-8"))
AT = "2011-01-26T19:01:12Z"
ACTOR: dict[str, Any] = DESCRIBED["examples"]["issue-event-items"][0]["actor"]
REQUIRED = re.compile(r"'(\w+)' is a required property")
INCOMPLETE = {"type"}
"""What GitHub's own examples lack: the `type` of a requested team."""


def example(name: str) -> dict[str, Any]:
    """Return one of GitHub's examples of a pull request, as if it had been closed."""
    found = copy.deepcopy(DESCRIBED["examples"][name])
    return {**(found[0] if isinstance(found, list) else found), "state": "closed"}


def missing(payload: Mapping[str, Any]) -> set[str]:
    """Return the required fields that a payload lacks. Fails for any other difference from the description."""
    whole = {
        "allOf": [{"$ref": "#/components/schemas/webhook-pull-request-closed"}],
        "components": DESCRIBED["components"],
    }
    found = {
        (error.message, REQUIRED.fullmatch(error.message))
        for error in OAS30Validator(whole).iter_errors(payload)
    }
    assert [message for message, field in found if field is None] == []
    return {field[1] for _, field in found if field} - INCOMPLETE


def test_a_whole_pull_request_becomes_a_whole_webhook() -> None:
    """Every required field is there, and every field has its type."""
    payload = closed_payload(example("pull-request"), ACTOR)
    assert missing(payload) == set()
    assert payload["sender"] == ACTOR


def test_one_of_the_list_lacks_what_the_list_does_not_tell() -> None:
    """No more than that: whether it was merged follows from when it was."""
    pull = example("pull-request-simple-items")
    payload = closed_payload(pull, ACTOR)
    assert missing(payload) == UNLISTED - {"rebaseable"}
    assert (payload["pull_request"]["merged"], payload["pull_request"]["merged_by"]) == (True, ACTOR)
    assert not closed_payload({**pull, "merged_at": None}, ACTOR)["pull_request"]["merged"]


def test_without_a_sender_nothing_else_is_missing() -> None:
    """Nobody is named rather than somebody."""
    payload = closed_payload(example("pull-request"), None)
    assert "sender" not in payload
    assert missing(payload) == {"sender"}


@pytest.mark.parametrize("name", ["pull-request", "pull-request-simple-items"])
def test_closing_and_live_check_can_be_read_from_it(name: str) -> None:
    """The guards of a webhook hold for it."""
    payload = closed_payload(example(name), None)
    assert closing_of(facts_of("pull_request", payload)) == (1296269, 1, AT)
    subject = livecheck.subject_of("pull_request", payload)
    assert subject is not None
    assert (subject.repository, subject.id, subject.owner_id) == ("octocat/Hello-World", 1, 1)


def test_a_webhook_has_the_shape_that_ours_have() -> None:
    """What the tests send is told apart from a webhook by no field that a trigger or a guard reads."""
    sent = deliveries.pull_request(closed_at=AT, full=True)
    made = closed_payload(sent["pull_request"], sent["sender"])
    assert facts_of("pull_request", made) == facts_of("pull_request", sent)


def event(**changes: Any) -> dict[str, Any]:
    """One issue event of GitHub's example, of #17, that closed it."""
    found = copy.deepcopy(DESCRIBED["examples"]["issue-event-items"][0])
    return {**found, "event": "closed", "created_at": AT, "issue": {"number": 17}, **changes}


def test_who_closed_it_is_read_from_the_issue_events() -> None:
    """Of the same pull request and moment; a renamed issue, a ghost or half an entry names nobody."""
    other = {**ACTOR, "login": "ada"}
    known = closers(
        [
            event(),
            event(event="merged"),
            event(issue={"number": 18}, actor=other),
            event(actor=None),
            {},
            None,
        ]
    )
    assert closed_by(known, 17, "2011-01-26T19:01:13Z") == ACTOR
    assert closed_by(known, 18, AT) == other
    assert closed_by(known, 19, AT) is None
    assert closed_by(known, 17, "2011-01-26T20:01:12Z") is None
    assert closed_by(known, 17, "not a moment") is None


def test_two_who_may_have_closed_it_are_nobody() -> None:
    """A guess would decide whether something is deleted."""
    known = closers(
        [
            event(),
            event(actor={**ACTOR, "login": "ada"}),
            event(issue={"number": 18}),
            event(issue={"number": 18}),
        ]
    )
    assert closed_by(known, 17, AT) is None
    assert closed_by(known, 18, AT) == ACTOR
