"""Concurrency keys."""

from __future__ import annotations

from typing import Any

import pytest

from closeout.core.facts import facts_of
from closeout.core.keys import MISSING, check_template, concurrency_key, lookup_of
from tests.unit.core.events import about, pull_request, push


def key(template: str | None, event: str, payload: dict[str, Any], automation: str = "a") -> str | None:
    """The key of an event."""
    return concurrency_key(automation, template, facts_of(event, payload), lookup_of(payload))


def test_events_of_one_pull_request_share_a_key() -> None:
    """By the repository's id, not its name: a rename in between does not separate two runs."""
    renamed = pull_request(repository={"id": 186853002, "full_name": "acme/store"})
    assert key(None, "pull_request", pull_request()) == "a|186853002|17"
    assert key(None, "pull_request", renamed) == "a|186853002|17"
    assert key(None, "pull_request_review", pull_request("submitted")) == "a|186853002|17"


def test_a_key_belongs_to_its_automation() -> None:
    """Two automations on one pull request do not wait for each other."""
    assert key(None, "pull_request", pull_request(), "a") != key(None, "pull_request", pull_request(), "b")


@pytest.mark.parametrize(
    ("event", "payload"), [("push", push()), ("issue_comment", about(issue={"number": 1}))]
)
def test_other_events_have_no_default_key(event: str, payload: dict[str, Any]) -> None:
    """Their runs are independent."""
    assert key(None, event, payload) is None


def test_without_an_id_the_name_counts_and_without_both_a_key_is_shared() -> None:
    """A missing field never lets related runs overlap."""
    assert key(None, "pull_request", pull_request(repository={"full_name": "acme/shop"})) == "a|acme/shop|17"
    assert key(None, "pull_request", {}) == f"a|{MISSING}|{MISSING}"


TEMPLATES = [
    ("fixed", "a|fixed"),
    ("${{ event.number }}", "a|17"),
    ("${{event.pull_request.base.ref}}-x", "a|develop-x"),
    ("${{ event.repository.full_name }}/${{ event.number }}", "a|acme/shop/17"),
    ("${{ event.pull_request.merged }}", "a|true"),
    ("${{ event.repository.private }}", "a|false"),
    ("${{ event.nothing.here }}", f"a|{MISSING}"),
    ("${{ event.number.deeper }}", f"a|{MISSING}"),
    ("${{ event.pull_request }}", f"a|{MISSING}"),
]


@pytest.mark.parametrize(("template", "expected"), TEMPLATES)
def test_a_template_takes_values_from_the_payload(template: str, expected: str) -> None:
    """A value that is missing or not plain becomes one fixed word: such runs share a key."""
    assert check_template(template) is None
    assert key(template, "pull_request", pull_request()) == expected


def test_a_long_key_becomes_its_digest() -> None:
    """Equal keys stay equal and different ones different, at a bounded length."""
    long = "${{ event.pull_request.title }}"
    one, two = pull_request(), pull_request()
    one["pull_request"]["title"], two["pull_request"]["title"] = "x" * 5000, "x" * 5001
    keys = {key(long, "pull_request", one), key(long, "pull_request", one), key(long, "pull_request", two)}
    assert len(keys) == 2
    assert all(found is not None and len(found) < 100 for found in keys)


def test_the_length_of_a_key_is_counted_in_bytes() -> None:
    """A partition key of DynamoDB takes 2,048, including the prefix `key#`."""
    wide = pull_request()
    wide["pull_request"]["title"] = "\N{BROOM}" * 509
    found = key("${{ event.pull_request.title }}", "pull_request", wide)
    assert found is not None
    assert len(f"key#{found}".encode()) <= 2_048


@pytest.mark.parametrize(
    "template",
    [
        "",
        "  ",
        "${{ event.number",
        "${{ event['number'] }}",
        "${{ number }}",
        "${{ event }}",
        "${{ string(event.number) }}",
        "${{ event.a-b }}",
        "${{ event.a }} ${{ event. }}",
        "${{}}",
    ],
)
def test_a_template_that_the_receiver_cannot_evaluate_is_a_fault(template: str) -> None:
    """It makes keys without CEL; the message says what it accepts instead."""
    assert "concurrency key" in (check_template(template) or "")
