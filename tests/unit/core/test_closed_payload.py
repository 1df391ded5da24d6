"""The payload built from GitHub's API has a webhook's shape, by GitHub's description and GitHub's examples."""

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
"""What GitHub's own examples omit: the `type` of a requested team."""


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


def test_a_complete_pull_request_becomes_a_complete_webhook() -> None:
    """Every required field is there, and every field has its type."""
    payload = closed_payload(example("pull-request"), ACTOR)
    assert missing(payload) == set()
    assert payload["sender"] == ACTOR


def test_an_entry_of_the_list_lacks_only_what_the_list_omits() -> None:
    """Whether it was merged follows from the time of the merge."""
    pull = example("pull-request-simple-items")
    payload = closed_payload(pull, ACTOR)
    assert missing(payload) == UNLISTED - {"rebaseable"}
    assert (payload["pull_request"]["merged"], payload["pull_request"]["merged_by"]) == (True, ACTOR)
    assert not closed_payload({**pull, "merged_at": None}, ACTOR)["pull_request"]["merged"]


def test_without_a_sender_only_the_sender_is_missing() -> None:
    """Naming nobody is better than naming the wrong person."""
    payload = closed_payload(example("pull-request"), None)
    assert "sender" not in payload
    assert missing(payload) == {"sender"}


@pytest.mark.parametrize("name", ["pull-request", "pull-request-simple-items"])
def test_closing_and_live_check_can_be_read_from_the_payload(name: str) -> None:
    """The guards of a webhook work with it."""
    payload = closed_payload(example(name), None)
    assert closing_of(facts_of("pull_request", payload)) == (1296269, 1, AT)
    subject = livecheck.subject_of("pull_request", payload)
    assert subject is not None
    assert (subject.repository, subject.id, subject.owner_id) == ("octocat/Hello-World", 1, 1)


def test_real_webhooks_have_the_shape_of_ours() -> None:
    """No field that a trigger or a guard reads distinguishes the tests' payloads from a webhook."""
    sent = deliveries.pull_request(closed_at=AT, full=True)
    made = closed_payload(sent["pull_request"], sent["sender"])
    assert facts_of("pull_request", made) == facts_of("pull_request", sent)


def event(**changes: Any) -> dict[str, Any]:
    """One issue event of GitHub's example, of #17, that closed it."""
    found = copy.deepcopy(DESCRIBED["examples"]["issue-event-items"][0])
    return {**found, "event": "closed", "created_at": AT, "issue": {"number": 17}, **changes}


def test_the_issue_events_say_who_closed_it() -> None:
    """Of the same pull request and time; a renamed issue, a ghost or half an entry names nobody."""
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


def test_two_possible_closers_mean_none() -> None:
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
