"""Filters of lists, as text."""

from __future__ import annotations

import pytest

from closeout.core.errors import BadFilter
from closeout.ledger.filters import delivery_filter, run_filter
from closeout.ports import DeliveryFilter, RunFilter

NOW = 1_773_480_413.0
"""14 March 2026, 09:26:53 UTC."""


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, RunFilter()),
        ({"repository": " ", "verdict": ""}, RunFilter()),
        ({"repository": "acme/shop", "automation": "x"}, RunFilter(repository="acme/shop", automation="x")),
        ({"pull-request": "17"}, RunFilter(number=17)),
        ({"pull-request": "acme/shop#17"}, RunFilter(repository="acme/shop", number=17)),
        ({"since": "2d", "until": "1h30m"}, RunFilter(since=NOW - 172_800, until=NOW - 5_400)),
        ({"since": "2026-03-14"}, RunFilter(since=NOW - 9 * 3600 - 26 * 60 - 53)),
        ({"until": "2026-03-14T10:26:53+01:00"}, RunFilter(until=NOW)),
        ({"search": "preview-21"}, RunFilter(search="preview-21")),
        ({"verdict": "failure", "state": "queued"}, RunFilter(verdict="failure", state="queued")),
        ({"automation": "x" * 200}, RunFilter(automation="x" * 200)),
    ],
)
def test_a_filter_of_runs_is_read(given: dict[str, str], wanted: RunFilter) -> None:
    """In the form that an address, a form and the command line use."""
    assert run_filter(given, NOW) == wanted


def test_a_filter_of_deliveries_is_read() -> None:
    """It has an event and a GUID instead of what runs have."""
    given = {"event": "push", "guid": "g1", "pull-request": "9"}
    assert delivery_filter(given, NOW) == DeliveryFilter(event="push", guid="g1", number=9)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"colour": "red"}, "there is no filter 'colour'"),
        ({"verdict": "good"}, "verdict is one of success, failure"),
        ({"state": "done"}, "state is one of queued"),
        ({"pull-request": "shop#0"}, "OWNER/REPO#N"),
        ({"since": "yesterday"}, "since is a time"),
        ({"search": "—"}, "letter or a digit"),
        ({"repository": "a/b", "pull-request": "c/d#1"}, "two different values of repository"),
        ({"automation": "x" * 201}, "longer than 200"),
        ({"automation": "a\0b"}, "no text"),
    ],
)
def test_a_bad_filter_is_refused_with_a_message(given: dict[str, str], said: str) -> None:
    """It names the filter and what it accepts."""
    with pytest.raises(BadFilter, match=said):
        run_filter(given, NOW)
